//! Merge patches (RFC 7386) and strategic merge patches, in which some lists are merged by a key.

use serde_json::{Map, Value};

/// How lists are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchKind {
    /// A list replaces a list.
    Merge,
    /// Lists whose elements have a key are merged element by element.
    Strategic,
}

impl PatchKind {
    /// The kind named by a content type.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().map(str::trim) {
            Some("application/merge-patch+json") => Some(Self::Merge),
            Some("application/strategic-merge-patch+json") => Some(Self::Strategic),
            Some(_) | None => None,
        }
    }
}

/// The keys by which Kubernetes merges the lists of these names.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some("name"),
        "conditions" | "addresses" => Some("type"),
        "volumeMounts" => Some("mountPath"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

/// Applies a patch.
pub(super) fn apply(target: &mut Value, patch: &Value, kind: PatchKind) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
            continue;
        }
        let key = merge_key(name).filter(|_| kind == PatchKind::Strategic);
        let field = fields.entry(name.clone()).or_insert(Value::Null);
        match (change.as_array(), key) {
            (Some(elements), Some(key)) => merge_list(field, elements, key),
            _ => apply(field, change, kind),
        }
    }
}

fn merge_list(list: &mut Value, elements: &[Value], key: &str) {
    let Value::Array(existing) = list else {
        *list = Value::Array(elements.to_vec());
        return;
    };
    for element in elements {
        let position = existing.iter().position(|old| old.get(key) == element.get(key));
        match (position, element.get("$patch").and_then(Value::as_str)) {
            (Some(n), Some("delete")) => {
                existing.remove(n);
            }
            (Some(n), _) => apply(&mut existing[n], element, PatchKind::Strategic),
            (None, Some("delete")) => {}
            (None, _) => existing.push(element.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: PatchKind, before: &Value, patch: &Value, after: &Value) {
        let mut target = before.clone();
        apply(&mut target, patch, kind);
        assert_eq!(target, *after, "{kind:?} {patch}");
    }

    #[test]
    fn null_removes_and_lists_replace() {
        check(
            PatchKind::Merge,
            &json!({ "a": 1, "b": { "c": 2 }, "l": [1] }),
            &json!({ "a": null, "b": { "d": 3 }, "l": [2] }),
            &json!({ "b": { "c": 2, "d": 3 }, "l": [2] }),
        );
    }

    #[test]
    fn conditions_are_merged_by_type() {
        let before = json!({ "conditions": [{ "type": "Ready", "status": "False" }, { "type": "X", "status": "True" }] });
        check(
            PatchKind::Strategic,
            &before,
            &json!({ "conditions": [{ "type": "Ready", "status": "True" }, { "type": "X", "$patch": "delete" }] }),
            &json!({ "conditions": [{ "type": "Ready", "status": "True" }] }),
        );
        check(
            PatchKind::Merge,
            &before,
            &json!({ "conditions": [{ "type": "Ready" }] }),
            &json!({ "conditions": [{ "type": "Ready" }] }),
        );
    }
}
