//! The `Link` header of a listing: where its next page is.
//!
//! Only an address below the API's own root is followed; a token never travels elsewhere.

use reqwest::Url;

/// The address with `rel="next"`; `None` on the last page.
pub(super) fn next(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            parameter
                .trim()
                .strip_prefix("rel=")
                .is_some_and(|value| value.trim_matches('"').split(' ').any(|word| word == "next"))
        });
        is_next.then_some(address)
    })
}

/// Whether `address` lies below `root`: the same scheme, host and port, and a path under its path.
pub(super) fn is_below(address: &Url, root: &Url) -> bool {
    let prefix = root.path().trim_end_matches('/');
    address.origin() == root.origin()
        && address.path().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_others() {
        let header = r#"<https://h/a?page=1>; rel="prev", <https://h/a?page=3&per_page=100>; rel="next", <https://h/a?page=9>; rel="last""#;
        assert_eq!(next(header), Some("https://h/a?page=3&per_page=100"));
        assert_eq!(next(r#"<https://h/a?page=1>; rel="first""#), None);
        assert_eq!(next("nonsense"), None);
        assert_eq!(next(""), None);
    }

    #[test]
    fn only_addresses_below_the_root_are_ours() {
        let root: Url = "https://ghes.example/api/v3/".parse().unwrap();
        let below = |text: &str| is_below(&text.parse().unwrap(), &root);
        assert!(below("https://ghes.example/api/v3/orgs/a?page=2"));
        assert!(!below("https://ghes.example/api/v3evil/orgs"));
        assert!(!below("https://ghes.example/login"));
        assert!(!below("https://evil.example/api/v3/orgs"));
        assert!(!below("http://ghes.example/api/v3/orgs"));
        assert!(!below("https://ghes.example:444/api/v3/orgs"));
    }
}
