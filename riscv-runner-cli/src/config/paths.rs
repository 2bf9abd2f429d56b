//! The full name of each key of the effective configuration: `server.listen`, `pools[0].pod.env`.

use std::collections::BTreeMap;

use super::{problem::Origin, reader::Shown};

/// Each key by its full name, with its value as TOML and where that comes from.
pub(crate) fn with_paths(all: &[Shown]) -> Vec<(String, &str, &Origin)> {
    let mut items = BTreeMap::<&str, usize>::new();
    let mut table = String::new();
    let mut found = Vec::new();
    for shown in all {
        match shown {
            Shown::Header(header) => table = path(header, &mut items),
            Shown::Key { key, value, origin } => {
                let name = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
                found.push((name, &**value, origin));
            }
        }
    }
    found
}

/// The path of a table by its header: `[[pools]]` is the next pool, and `[pools.pod]` is of the last one.
fn path<'a>(header: &'a str, items: &mut BTreeMap<&'a str, usize>) -> String {
    let name = header.trim_matches(['[', ']']);
    if header.starts_with("[[") {
        let next = items.entry(name).and_modify(|n| *n += 1).or_default();
        return format!("{name}[{next}]");
    }
    let item = name.split_once('.').and_then(|(list, rest)| Some((list, items.get(list)?, rest)));
    item.map_or_else(|| name.to_owned(), |(list, n, rest)| format!("{list}[{n}].{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_problems_name_them() {
        let header = |text: &str| Shown::Header(text.to_owned());
        let key = |key: &str| Shown::Key { key: key.into(), value: "1".into(), origin: Origin::Default };
        let all = [
            header("[server]"),
            key("listen"),
            header("[[github.apps]]"),
            key("kind"),
            header("[[pools]]"),
            key("name"),
            header("[pools.pod]"),
            key("env"),
            header("[[pools]]"),
            key("name"),
            header("[pools.pod]"),
            key("env"),
        ];
        let names: Vec<_> = with_paths(&all).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(
            names,
            [
                "server.listen",
                "github.apps[0].kind",
                "pools[0].name",
                "pools[0].pod.env",
                "pools[1].name",
                "pools[1].pod.env"
            ]
        );
    }
}
