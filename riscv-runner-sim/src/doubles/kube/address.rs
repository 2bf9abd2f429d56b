//! Paths and queries of the API: which kind, which namespace, which object, which part of it.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// A kind of object that the double keeps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Its name in paths.
    pub(super) resource: &'static str,
    /// Its name in objects.
    pub(super) kind: &'static str,
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
    /// Fields by which it can be selected, beside those of all kinds.
    pub(super) fields: &'static [&'static str],
}

/// The kinds of `v1` that a control plane of runners touches.
static KINDS: [Kind; 6] = [
    Kind {
        resource: "pods",
        kind: "Pod",
        namespaced: true,
        fields: &["spec.nodeName", "status.phase", "spec.restartPolicy"],
    },
    Kind { resource: "nodes", kind: "Node", namespaced: false, fields: &["spec.unschedulable"] },
    Kind { resource: "secrets", kind: "Secret", namespaced: true, fields: &["type"] },
    Kind {
        resource: "events",
        kind: "Event",
        namespaced: true,
        fields: &[
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "reason",
            "type",
        ],
    },
    Kind { resource: "namespaces", kind: "Namespace", namespaced: false, fields: &[] },
    Kind { resource: "serviceaccounts", kind: "ServiceAccount", namespaced: true, fields: &[] },
];

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) kind: &'static Kind,
    /// The namespace; empty for cluster-wide kinds and for listings of all namespaces.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    /// `status`, `log`, `binding`.
    pub(super) part: Option<String>,
}

impl Address {
    /// The resource as access rules name it: `pods`, `pods/log`.
    pub(super) fn resource(&self) -> String {
        match &self.part {
            Some(part) => format!("{}/{part}", self.kind.resource),
            None => self.kind.resource.to_owned(),
        }
    }
}

/// Reads a path below `/api/v1`.
pub(super) fn parse(path: &str) -> Result<Address, Refusal> {
    let unknown = || Refusal::new(404, "the server could not find the requested resource");
    let rest = path.strip_prefix("/api/v1/").ok_or_else(unknown)?;
    let words: Vec<&str> = rest.split('/').collect();
    let (namespace, words) = match words.as_slice() {
        ["namespaces", namespace, resource, rest @ ..] if *resource != "status" => {
            (*namespace, [&[*resource], rest].concat())
        }
        other => ("", other.to_vec()),
    };
    let (resource, name, part) = match words.as_slice() {
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, Some(*name), None),
        [resource, name, part] => (*resource, Some(*name), Some(*part)),
        _ => return Err(unknown()),
    };
    let kind = KINDS.iter().find(|kind| kind.resource == resource).ok_or_else(unknown)?;
    if kind.namespaced && name.is_some() && namespace.is_empty() {
        return Err(unknown());
    }
    Ok(Address {
        kind,
        namespace: namespace.to_owned(),
        name: name.map(str::to_owned),
        part: part.map(str::to_owned),
    })
}

/// Reads a query. Later values of a key win.
pub(super) fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let pair: Vec<u8> = rest.by_ref().take(2).collect();
                let value = std::str::from_utf8(&pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(value.unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_kind_namespace_object_and_part() {
        let pod = parse("/api/v1/namespaces/ns/pods/p/status").unwrap();
        assert_eq!(
            (pod.kind.kind, &*pod.namespace, pod.name.as_deref(), pod.part.as_deref()),
            ("Pod", "ns", Some("p"), Some("status"))
        );
        assert_eq!(parse("/api/v1/nodes").unwrap().kind.kind, "Node");
        assert_eq!(parse("/api/v1/pods").unwrap().namespace, "");
        assert_eq!(parse("/api/v1/namespaces/ns").unwrap().name.as_deref(), Some("ns"));
        for bad in ["/api/v1/widgets", "/api/v1/pods/p", "/apis/apps/v1/deployments", "/api/v1/a/b/c/d/e/f"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = query("watch=true&labelSelector=app%3Da%2Cb%21%3Dc&x=a+b");
        assert_eq!(query["labelSelector"], "app=a,b!=c");
        assert_eq!((&*query["watch"], &*query["x"]), ("true", "a b"));
    }
}
