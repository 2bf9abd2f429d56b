//! The objects with their versions and their history, as etcd keeps them behind the API.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{address::Kind, refusal::Refusal, selector::Selector};

type Key = (String, String, String);

/// One write, with the object before and after it.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    resource: String,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

/// All objects.
#[derive(Debug)]
pub(super) struct World {
    version: u64,
    n_created: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    /// Watches from versions before this one are answered 410.
    oldest: u64,
    /// By pod and container.
    pub(super) logs: BTreeMap<(String, String), String>,
}

/// The time, as the server stamps it.
#[expect(clippy::disallowed_methods, reason = "a server of its own, at the edge")]
pub(super) fn stamp() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl World {
    pub(super) fn new() -> Self {
        let mut world = Self {
            version: 1,
            n_created: 0,
            objects: BTreeMap::new(),
            history: Vec::new(),
            oldest: 1,
            logs: BTreeMap::new(),
        };
        world.insert("namespaces", "", "default", json!({ "metadata": { "name": "default" } }));
        world
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&key(resource, namespace, name)).cloned()
    }

    pub(super) fn names(&self, resource: &str) -> Vec<String> {
        let of_kind = self.objects.keys().filter(|(kind, ..)| kind == resource);
        of_kind.map(|(_, _, name)| name.clone()).collect()
    }

    pub(super) fn list(&self, kind: &Kind, selector: &Selector) -> Vec<Arc<Value>> {
        let of_kind = self.objects.iter().filter(|((resource, ..), _)| resource == kind.resource);
        of_kind.map(|(_, object)| object).filter(|object| selector.matches(object)).cloned().collect()
    }

    /// Stores a new object with a new uid.
    pub(super) fn insert(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        mut object: Value,
    ) -> Arc<Value> {
        self.n_created += 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = format!("00000000-0000-4000-8000-{:012x}", self.n_created).into();
        metadata["creationTimestamp"] = stamp().into();
        if !namespace.is_empty() {
            metadata["namespace"] = namespace.into();
        }
        self.write(key(resource, namespace, name), object)
    }

    /// Stores a changed object; one that is not different keeps its version.
    pub(super) fn update(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        mut object: Value,
    ) -> Arc<Value> {
        let key = key(resource, namespace, name);
        if let Some(before) = self.objects.get(&key) {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if object == **before {
                return Arc::clone(before);
            }
        }
        self.write(key, object)
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let before = self.objects.remove(&key(resource, namespace, name))?;
        self.version += 1;
        let resource = resource.to_owned();
        let change =
            Change { version: self.version, resource, before: Some(Arc::clone(&before)), after: None };
        self.history.push(change);
        Some(before)
    }

    /// Forgets the history.
    pub(super) fn compact(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.history.clear();
    }

    /// The changes of a kind after `version`, as far as they concern the selector.
    pub(super) fn since(
        &self,
        version: u64,
        kind: &Kind,
        selector: &Selector,
    ) -> Result<Vec<Value>, Refusal> {
        if version < self.oldest {
            let message = format!("too old resource version: {version} ({})", self.oldest);
            return Err(Refusal::new(410, message));
        }
        let later = self.history.iter().filter(|change| change.version > version);
        Ok(later
            .filter(|change| change.resource == kind.resource)
            .filter_map(|change| change.event(kind, selector))
            .collect())
    }

    fn write(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let object = Arc::new(object);
        let resource = key.0.clone();
        let before = self.objects.insert(key, Arc::clone(&object));
        let change = Change { version: self.version, resource, before, after: Some(Arc::clone(&object)) };
        self.history.push(change);
        object
    }
}

impl Change {
    /// What a watcher with this selector is told. An object that it does not select any more is
    /// deleted for it.
    fn event(&self, kind: &Kind, selector: &Selector) -> Option<Value> {
        let matching =
            |side: &Option<Arc<Value>>| side.as_ref().filter(|object| selector.matches(object)).cloned();
        match (matching(&self.before), matching(&self.after)) {
            (None, Some(after)) => Some(event("ADDED", &typed(kind, &after))),
            (Some(_), Some(after)) => Some(event("MODIFIED", &typed(kind, &after))),
            (Some(before), None) => {
                let mut last = typed(kind, &before);
                last["metadata"]["resourceVersion"] = self.version.to_string().into();
                Some(event("DELETED", &last))
            }
            (None, None) => None,
        }
    }
}

/// A line of a watch.
pub(super) fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

/// The object with its kind, as the API hands it out.
pub(super) fn typed(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    object["kind"] = kind.kind.into();
    object["apiVersion"] = "v1".into();
    object
}

fn key(resource: &str, namespace: &str, name: &str) -> Key {
    (resource.to_owned(), namespace.to_owned(), name.to_owned())
}
