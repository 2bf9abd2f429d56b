//! What the log keeps of a payload: all of it, or identities alone.

use std::borrow::Cow;

use serde_json::{Map, Value, value::RawValue};

use super::{DeliveryRecord, Outcome};

impl DeliveryRecord {
    /// The payload that the log keeps, once the outcome is known. Of a job that has no effect it keeps who
    /// and what it is and how it went, in GitHub's own form, so that it can be replayed later.
    #[must_use]
    pub fn kept_payload(&self, outcome: Outcome) -> Cow<'_, RawValue> {
        if matches!(outcome, Outcome::IgnoredNoLabel | Outcome::BannedEntity) {
            Cow::Owned(reduced(&self.log.payload))
        } else {
            Cow::Borrowed(&self.log.payload)
        }
    }
}

/// What is kept of each part of a payload that leads to nothing.
const IDENTITY: [(&str, &[&str]); 5] = [
    (
        "workflow_job",
        &[
            "id",
            "run_id",
            "name",
            "labels",
            "html_url",
            "status",
            "conclusion",
            "runner_name",
            "created_at",
            "started_at",
            "completed_at",
        ],
    ),
    ("repository", &["id", "full_name", "private", "owner"]),
    ("organization", &["id", "login"]),
    ("installation", &["id"]),
    ("sender", &["id", "login", "type"]),
];
/// What is kept of an owner.
const OWNER: &[&str] = &["id", "login", "type"];

fn reduced(payload: &RawValue) -> Box<RawValue> {
    let Ok(whole) = serde_json::from_str::<Map<String, Value>>(payload.get()) else {
        return RawValue::NULL.to_owned();
    };
    let mut kept = Map::new();
    kept.extend(whole.get("action").map(|action| ("action".to_owned(), action.clone())));
    for (part, keys) in IDENTITY {
        let Some(value) = whole.get(part) else { continue };
        let mut some = only(value, keys);
        if let Some(owner) = some.get_mut("owner") {
            *owner = only(owner, OWNER);
        }
        kept.insert(part.to_owned(), some);
    }
    // Its keys are texts and its numbers finite, so writing it cannot fail.
    serde_json::value::to_raw_value(&kept).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn only(value: &Value, keys: &[&str]) -> Value {
    let Value::Object(object) = value else { return value.clone() };
    let some = object.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(some.map(|(key, value)| (key.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_and_what_and_how_it_went_are_kept() {
        let whole = json!({
            "action": "queued",
            "workflow_job": { "id": 9_007_199_254_740_993_i64, "labels": ["a"], "head_sha": "x", "node_id": "y" },
            "repository": {
                "id": 3, "full_name": "o/r", "private": true, "description": "x",
                "owner": { "id": 2, "login": "o", "type": "User", "html_url": "x" },
            },
            "installation": { "id": 8, "node_id": "x" },
            "sender": { "id": 1, "login": "s", "type": "User", "site_admin": false },
            "deployment": { "id": 5 },
        });
        let kept = json!({
            "action": "queued",
            "workflow_job": { "id": 9_007_199_254_740_993_i64, "labels": ["a"] },
            "repository": {
                "id": 3, "full_name": "o/r", "private": true,
                "owner": { "id": 2, "login": "o", "type": "User" },
            },
            "installation": { "id": 8 },
            "sender": { "id": 1, "login": "s", "type": "User" },
        });
        let text = reduced(&serde_json::value::to_raw_value(&whole).unwrap());
        assert_eq!(serde_json::from_str::<Value>(text.get()).unwrap(), kept);
    }

    #[test]
    fn parts_that_are_no_objects_stay_what_they_are() {
        for text in [r#"{"repository":null,"sender":[1]}"#, "{}"] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            assert_eq!(reduced(&raw).get(), text);
        }
        let list = RawValue::from_string("[1]".to_owned()).unwrap();
        assert_eq!(reduced(&list).get(), "null");
    }
}
