//! The payload for the log: what GitHub sent without the listed addresses and bulk.
//!
//! Works on the text: what is kept is copied as it stands, so numbers keep every digit and keys that
//! nobody has heard of stay. No tree is built.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::WebhookError;

/// Addresses that every account carries; they all follow from its login.
const ACCOUNT_KEYS: &[&str] = &[
    "avatar_url",
    "events_url",
    "followers_url",
    "following_url",
    "gists_url",
    "gravatar_id",
    "hooks_url",
    "issues_url",
    "members_url",
    "organizations_url",
    "public_members_url",
    "received_events_url",
    "repos_url",
    "starred_url",
    "subscriptions_url",
    "url",
];

/// Addresses that every repository carries; they all follow from its name. And its licence.
const REPOSITORY_KEYS: &[&str] = &[
    "archive_url",
    "assignees_url",
    "blobs_url",
    "branches_url",
    "clone_url",
    "collaborators_url",
    "comments_url",
    "commits_url",
    "compare_url",
    "contents_url",
    "contributors_url",
    "deployments_url",
    "downloads_url",
    "events_url",
    "forks_url",
    "git_commits_url",
    "git_refs_url",
    "git_tags_url",
    "git_url",
    "hooks_url",
    "issue_comment_url",
    "issue_events_url",
    "issues_url",
    "keys_url",
    "labels_url",
    "languages_url",
    "license",
    "merges_url",
    "milestones_url",
    "mirror_url",
    "notifications_url",
    "pulls_url",
    "releases_url",
    "ssh_url",
    "stargazers_url",
    "statuses_url",
    "subscribers_url",
    "subscription_url",
    "svn_url",
    "tags_url",
    "teams_url",
    "trees_url",
    "url",
];

/// Bulk of a job that its page shows better.
const JOB_KEYS: &[&str] = &["steps"];

/// Which part of a payload is being copied.
#[derive(Clone, Copy)]
enum Part {
    Payload,
    Repository,
    Account,
    Job,
}

impl Part {
    fn drops(self, key: &str) -> bool {
        match self {
            Self::Payload => false,
            Self::Repository => REPOSITORY_KEYS.contains(&key),
            Self::Account => ACCOUNT_KEYS.contains(&key),
            Self::Job => JOB_KEYS.contains(&key),
        }
    }

    fn inside(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Payload, "repository") => Some(Self::Repository),
            (Self::Payload, "sender" | "organization") | (Self::Repository, "owner") => Some(Self::Account),
            (Self::Payload, "workflow_job") => Some(Self::Job),
            (Self::Payload | Self::Repository | Self::Account | Self::Job, _) => None,
        }
    }
}

/// Drops the listed keys from a payload.
///
/// # Errors
/// Text that is not one JSON value.
pub(super) fn trim(text: &str) -> Result<Box<RawValue>, WebhookError> {
    let mut kept = String::with_capacity(text.len() / 2);
    let mut reader = serde_json::Deserializer::from_str(text);
    copy(&mut reader, text, Part::Payload, &mut kept)
        .and_then(|()| reader.end())
        .map_err(|error| WebhookError::from_json(&error))?;
    RawValue::from_string(kept).map_err(|error| WebhookError::from_json(&error))
}

/// Copies one value, object by object where something may be dropped inside, else verbatim.
fn copy<'de>(
    reader: &mut serde_json::Deserializer<serde_json::de::StrRead<'de>>,
    text: &str,
    part: Part,
    kept: &mut String,
) -> Result<(), serde_json::Error> {
    if text.trim_start().starts_with('{') {
        reader.deserialize_map(Keep { part, kept })
    } else {
        let raw: &'de RawValue = serde::Deserialize::deserialize(reader)?;
        kept.push_str(raw.get());
        Ok(())
    }
}

struct Keep<'a> {
    part: Part,
    kept: &'a mut String,
}

impl<'de> Visitor<'de> for Keep<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error as _;

        let mut separator = '{';
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if self.part.drops(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: &'de RawValue = map.next_value()?;
            self.kept.push(separator);
            separator = ',';
            self.kept.push_str(&serde_json::to_string(&key).map_err(A::Error::custom)?);
            self.kept.push(':');
            match self.part.inside(&key) {
                Some(part) => {
                    let mut inner = serde_json::Deserializer::from_str(raw.get());
                    copy(&mut inner, raw.get(), part, self.kept).map_err(A::Error::custom)?;
                }
                None => self.kept.push_str(raw.get()),
            }
        }
        if separator == '{' {
            self.kept.push('{');
        }
        self.kept.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn trimmed(value: &Value) -> Value {
        serde_json::from_str(trim(&value.to_string()).unwrap().get()).unwrap()
    }

    #[test]
    fn listed_keys_go_and_everything_else_stays() {
        let full = json!({
            "action": "queued",
            "url": "kept: not inside an account",
            "sender": { "login": "a", "avatar_url": "x", "html_url": "kept", "novelty_url": "kept" },
            "organization": { "login": "o", "repos_url": "x" },
            "repository": {
                "id": 1, "license": { "key": "mit" }, "archive_url": "x", "steps": "kept",
                "owner": { "login": "o", "url": "x" },
            },
            "workflow_job": { "id": 2, "steps": [1, 2], "run_url": "kept" },
            "novelty": { "steps": [1], "license": null },
        });
        let kept = json!({
            "action": "queued",
            "url": "kept: not inside an account",
            "sender": { "login": "a", "html_url": "kept", "novelty_url": "kept" },
            "organization": { "login": "o" },
            "repository": { "id": 1, "steps": "kept", "owner": { "login": "o" } },
            "workflow_job": { "id": 2, "run_url": "kept" },
            "novelty": { "steps": [1], "license": null },
        });
        assert_eq!(trimmed(&full), kept);
    }

    #[test]
    fn numbers_keep_every_digit() {
        let text = r#"{"a":12345678901234567890123,"workflow_job":{"id":9007199254740993}}"#;
        assert_eq!(trim(text).unwrap().get(), text);
    }

    #[test]
    fn parts_that_are_not_objects_are_copied() {
        let text = r#"{"sender":null,"repository":[],"workflow_job":3,"organization":{}}"#;
        assert_eq!(trim(text).unwrap().get(), text);
        assert_eq!(trim(" [1] ").unwrap().get(), "[1]");
    }

    #[test]
    fn broken_text_is_located() {
        let broken = ["", "{", r#"{"a":}"#, r#"{"a":1} x"#, r#"{"sender":{"url":}}"#, "{\n\"a\" 1}"];
        for text in broken {
            assert!(matches!(trim(text), Err(WebhookError::Json { line: 1.., .. })), "{text:?}");
        }
        let WebhookError::Json { line, column, .. } = trim("{\n  \"a\" 1}").unwrap_err() else {
            panic!("not a JSON error");
        };
        assert_eq!((line, column), (2, 7));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let key = prop_oneof![
                Just("sender".to_owned()),
                Just("repository".to_owned()),
                Just("owner".to_owned()),
                Just("url".to_owned()),
                Just("license".to_owned()),
                Just("steps".to_owned()),
                Just("workflow_job".to_owned()),
                Just("keys_url".to_owned()),
                "[ -~]{0,6}",
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn expected(value: &Value, part: Part) -> Value {
        let Value::Object(map) = value else { return value.clone() };
        let kept = map.iter().filter(|(key, _)| !part.drops(key)).map(|(key, value)| {
            let value = part.inside(key).map_or_else(|| value.clone(), |part| expected(value, part));
            (key.clone(), value)
        });
        Value::Object(kept.collect())
    }

    proptest! {
        #[test]
        fn trimming_the_text_is_trimming_the_tree(value in any_json()) {
            prop_assert_eq!(trimmed(&value), expected(&value, Part::Payload));
        }

        #[test]
        fn trimming_twice_is_trimming_once(value in any_json()) {
            let once = trim(&value.to_string()).unwrap();
            let twice = trim(once.get()).unwrap();
            prop_assert_eq!(twice.get(), once.get());
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC*") {
            let _ = trim(&text);
        }
    }
}
