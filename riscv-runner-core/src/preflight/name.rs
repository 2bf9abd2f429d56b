//! The repository that a user asks about, in the forms in which users copy it.

use crate::ids::{IdError, RepoName};

/// Longest name of a repository on GitHub.
const MAX_NAME: usize = 100;
/// Longest name of an account on GitHub; managed users have a suffix beyond the usual 39.
const MAX_OWNER: usize = 100;

/// Reads `owner/name`, or the address of the repository's page or clone. Stricter than [`RepoName`], because
/// the text is untrusted and becomes part of an address.
///
/// # Errors
/// What cannot be the name of a repository on GitHub.
pub fn parse_repository(text: &str) -> Result<RepoName, IdError> {
    let text = text.trim();
    let path = match text.split_once("://") {
        Some((_, address)) => address.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let mut segments = path.split('/');
    let (owner, name) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
    let is_address = path != text;
    let name = if is_address { name.strip_suffix(".git").unwrap_or(name) } else { name };
    let more = segments.next().is_some() && !is_address;
    let fits = |part: &str, max, extra: &str| {
        (1..=max).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.as_bytes().contains(&b))
    };
    if more || !fits(owner, MAX_OWNER, "-_") || !fits(name, MAX_NAME, "-_.") || matches!(name, "." | "..") {
        return Err(IdError::new("repository", "must have the form owner/name, as on GitHub"));
    }
    RepoName::new(format!("{owner}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_people_copy_them() {
        for text in [
            "acme/widget",
            " acme/widget\n",
            "https://github.com/acme/widget",
            "https://github.com/acme/widget/",
            "https://github.com/acme/widget.git",
            "https://ghe.example/acme/widget/actions/runs/1?x=y#z",
        ] {
            assert_eq!(parse_repository(text).unwrap().as_str(), "acme/widget", "{text:?}");
        }
        assert_eq!(parse_repository("a_b/c.git").unwrap().as_str(), "a_b/c.git");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("acme/{}", "x".repeat(101));
        for text in [
            "",
            "acme",
            "acme/",
            "/widget",
            "acme/..",
            "acme/.",
            "a b/c",
            "a/b/c",
            "a/<b>",
            "../x",
            "a%2f/b",
            "https://",
            "https://github.com",
            "https://github.com/acme",
            &long,
        ] {
            assert!(parse_repository(text).is_err(), "{text:?}");
        }
    }
}
