//! Label and field selectors.

use serde_json::Value;

use super::{address::Kind, refusal::Refusal};

/// Which objects of a kind are meant.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    pub(super) namespace: String,
    labels: Vec<Term>,
    fields: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub(super) fn parse(kind: &Kind, namespace: &str, labels: &str, fields: &str) -> Result<Self, Refusal> {
        let labels =
            terms(labels).ok_or_else(|| Refusal::new(400, format!("bad label selector {labels:?}")))?;
        let fields =
            terms(fields).ok_or_else(|| Refusal::new(400, format!("bad field selector {fields:?}")))?;
        let known =
            |key: &str| matches!(key, "metadata.name" | "metadata.namespace") || kind.fields.contains(&key);
        if let Some(term) = fields.iter().find(|term| !known(&term.key)) {
            return Err(Refusal::new(400, format!("field label not supported: {}", term.key)));
        }
        Ok(Self { namespace: namespace.to_owned(), labels, fields })
    }

    /// Whether it means this object.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"].get(key).and_then(Value::as_str);
        // An unset field is the empty string.
        let field = |path: &str| {
            let found = path.split('.').try_fold(object, |value, name| value.get(name));
            Some(found.and_then(Value::as_str).unwrap_or_default())
        };
        let here = self.namespace.is_empty() || object["metadata"]["namespace"] == *self.namespace;
        here && self.labels.iter().all(|term| term.holds(label(&term.key)))
            && self.fields.iter().all(|term| term.holds(field(&term.key)))
    }
}

impl Term {
    fn holds(&self, value: Option<&str>) -> bool {
        match &self.test {
            Test::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|other| other != value)),
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
        }
    }
}

/// Commas separate terms except inside parentheses.
fn terms(text: &str) -> Option<Vec<Term>> {
    let mut depth = 0;
    text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
    .map(term)
    .collect()
}

fn term(text: &str) -> Option<Term> {
    let list = |values: &str| -> Option<Vec<String>> {
        let inner = values.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
    };
    let (key, test) = if let Some((key, value)) = text.split_once("!=") {
        (key, Test::NotIn(vec![value.trim().to_owned()]))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Test::In(vec![value.trim().to_owned()]))
    } else if let Some((key, values)) = text.split_once(" notin ") {
        (key, Test::NotIn(list(values)?))
    } else if let Some((key, values)) = text.split_once(" in ") {
        (key, Test::In(list(values)?))
    } else if let Some(key) = text.strip_prefix('!') {
        (key, Test::Missing)
    } else {
        (text, Test::Exists)
    };
    let key = key.trim();
    let fits = !key.is_empty() && !key.contains(char::is_whitespace);
    fits.then(|| Term { key: key.to_owned(), test })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doubles::kube::address::parse;

    fn selects(labels: &str, fields: &str) -> bool {
        let kind = parse("/api/v1/pods").unwrap().kind;
        let pod = json!({
            "metadata": { "name": "p", "namespace": "ns", "labels": { "app": "a", "tier": "x" } },
            "spec": { "nodeName": "n" },
        });
        Selector::parse(kind, "ns", labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn labels_and_fields_select() {
        for labels in
            ["", "app=a", "app==a,tier!=y", "app in (a, b)", "app notin (c),tier", "!other", "other!=z"]
        {
            assert!(selects(labels, ""), "{labels}");
        }
        for labels in ["app=b", "app!=a", "other", "!app", "app in (b)", "app notin (a,b)"] {
            assert!(!selects(labels, ""), "{labels}");
        }
        assert!(selects("", "spec.nodeName=n,metadata.name=p"));
        assert!(selects("", "status.phase="), "an unset field is empty");
        assert!(!selects("", "spec.nodeName!=n"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let kind = parse("/api/v1/pods").unwrap().kind;
        assert!(Selector::parse(kind, "", "", "spec.color=red").is_err());
        assert!(Selector::parse(kind, "", "a b", "").is_err());
    }
}
