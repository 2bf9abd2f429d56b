//! Reading the canonical text of a pool key back: `org:1|a,b` or `repo:1/2|a,b`.

use riscv_runner_core::{
    ids::{EntityId, IdError, RepoId},
    labels::LabelSet,
    scope::{PoolKey, Scope},
};

/// Reads what [`PoolKey`]'s `Display` wrote. The labels come back in canonical spelling.
pub(crate) fn parse_pool_key(text: &str) -> Result<PoolKey, BadKey> {
    let bad = || BadKey(text.to_owned());
    let (scope, labels) = text.split_once('|').ok_or_else(bad)?;
    let scope = match scope.split_once(':').ok_or_else(bad)? {
        ("org", entity) => Scope::Organization(entity.parse()?),
        ("repo", ids) => {
            let (entity, repo) = ids.split_once('/').ok_or_else(bad)?;
            Scope::Repository(entity.parse::<EntityId>()?, repo.parse::<RepoId>()?)
        }
        _ => return Err(bad()),
    };
    Ok(PoolKey { scope, labels: LabelSet::new(split_labels(labels))? })
}

fn split_labels(text: &str) -> Vec<String> {
    let mut labels = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            ',' => {
                labels.push(String::new());
                continue;
            }
            '\\' => chars.next().unwrap_or('\\'),
            c => c,
        };
        if let Some(label) = labels.last_mut() {
            label.push(literal);
        }
    }
    labels
}

/// A text that is no pool key.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a pool key")]
pub(crate) struct BadKey(String);

impl From<IdError> for BadKey {
    fn from(error: IdError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let entity = EntityId::new(7).unwrap();
        for scope in [Scope::Organization(entity), Scope::Repository(entity, RepoId::new(9).unwrap())] {
            for labels in [vec!["a"], vec!["B", "a"], vec!["a,b", "c\\d", "\\,"], vec!["x|y", "z:1"]] {
                let key = PoolKey { scope, labels: LabelSet::new(labels).unwrap() };
                let read = parse_pool_key(&key.to_string()).unwrap();
                assert_eq!(read, key);
                assert_eq!(read.to_string(), key.to_string());
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "org:1", "org:0|a", "team:1|a", "repo:1|a", "org:1|"] {
            assert!(parse_pool_key(text).is_err(), "{text}");
        }
    }
}
