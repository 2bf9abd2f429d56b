//! `[[pools]]` and `[pools.pod]`: the named supplies of boards and the pods that run on them.

use std::collections::BTreeMap;

use riscv_runner_core::{ids::PoolName, policy::PoolPolicy};
use riscv_runner_k8s::{PodTemplate, PoolTemplate, PoolTemplates};
use serde::Deserialize;

use super::{
    problem::Origin,
    reader::Section,
    setting::{Fault, Setting},
    tree::{Node, Value, parse_value},
};

/// The pools: what the planner needs of them, and what the cluster needs.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    /// For the planner.
    pub(crate) policies: BTreeMap<PoolName, PoolPolicy>,
    /// For the cluster.
    pub(crate) templates: PoolTemplates,
    /// Names of pools that are configured but were refused: routes to them are not wrong as well.
    pub(crate) refused: Vec<PoolName>,
}

impl Pools {
    /// Reads `[[pools]]`.
    pub(crate) fn read(root: &Section<'_>, needed: bool) -> Self {
        let mut pools = Self::default();
        root.sections("pools", |section| pools.read_one(section));
        if needed && pools.policies.is_empty() && pools.refused.is_empty() && !root.has("pools") {
            let hint = "add [[pools]] with name, node_selector and image";
            root.error("pools", "no [[pools]]: there is no board to run on", Some(hint));
        }
        pools
    }

    fn read_one(&mut self, section: Section<'_>) {
        let name: Option<PoolName> = section.required("name", "a short name, such as the board's");
        let selector: Option<BTreeMap<String, String>> = section.required(
            "node_selector",
            "labels of the nodes, for example { \"riseproject.dev/board\" = \"spacemit-k3\" }",
        );
        if selector.as_ref().is_some_and(BTreeMap::is_empty) {
            section.error("node_selector", "must not be empty: it would select every node", None);
        }
        let image = section.required("image", "the image with the runner");
        let max_workers: Option<u32> = section.get("max_workers");
        let template = read_pod(&section);
        if let Some(name) = name {
            if self.policies.contains_key(&name) || self.refused.contains(&name) {
                section.error("name", format!("pool {name} already exists"), Some("rename one of them"));
            }
            match (selector, image) {
                (Some(node_selector), Some(image)) => {
                    let policy = PoolPolicy { node_selector: node_selector.clone(), image, max_workers };
                    self.templates.insert(name.clone(), PoolTemplate { node_selector, template });
                    self.policies.insert(name, policy);
                }
                _ => self.refused.push(name),
            }
        }
        section.done();
    }
}

/// Reads `[pools.pod]` key by key, so that one bad key does not hide the next.
fn read_pod(pool: &Section<'_>) -> PodTemplate {
    let pod = pool.section("pod");
    let mut good = toml::Table::new();
    for (key, node) in pod.entries() {
        let mut alone = toml::Table::new();
        alone.insert(key.clone(), value_of(key, node));
        match serde_path_to_error::deserialize::<_, PodTemplate>(toml::Value::Table(alone.clone())) {
            Ok(_) => {
                pod.show(key, shown(key, &alone), node.origin.clone());
                good.extend(alone);
            }
            Err(error) => refuse(&pod, key, node, &error),
        }
    }
    let template = PodTemplate::deserialize(toml::Value::Table(good)).unwrap_or_default();
    for found in template.problems() {
        let (key, below) = found.key.split_at(found.key.find(['.', '[']).unwrap_or(found.key.len()));
        let origin =
            pod.entries().get(key).map_or_else(|| pod.origin_of(""), |node| node.at(below).origin.clone());
        pod.problems().error(&origin, &pod.path_of(&found.key), found.problem, None);
    }
    template
}

/// The value of a key as TOML. What variables hold for the operator's own names is text, even `8` or `true`.
fn value_of(key: &str, node: &Node) -> toml::Value {
    match (key, &node.value) {
        ("env" | "labels" | "annotations", Value::Table(entries)) => {
            let text = |node: &Node| match &node.value {
                Value::Untyped(text) => toml::Value::String(text.as_str().to_owned()),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Boolean(_)
                | Value::Other(..)
                | Value::Array(_)
                | Value::Table(_) => node.to_toml(),
            };
            toml::Value::Table(entries.iter().map(|(name, node)| (name.clone(), text(node))).collect())
        }
        _ => node.to_toml(),
    }
}

/// The value of a key; of environment variables the names alone, because they may hold tokens.
fn shown(key: &str, alone: &toml::Table) -> String {
    match alone.get(key) {
        Some(toml::Value::Table(env)) if key == "env" => {
            let names = env.keys().map(|name| (name.clone(), "(set)".to_owned()));
            names.collect::<BTreeMap<_, _>>().show()
        }
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn refuse(pod: &Section<'_>, key: &str, node: &Node, error: &serde_path_to_error::Error<toml::de::Error>) {
    let message = error.inner().message();
    if message.starts_with("unknown field") && error.path().to_string() == key {
        let known = message.split_once("expected ").map_or("", |(_, known)| known);
        let hint = Some(format!("known here: {}", known.trim_start_matches("one of ").replace('`', "")));
        let origin: &Origin = &node.origin;
        pod.problems().error(origin, &pod.path_of(key), "unknown key", hint);
        return;
    }
    let path = error.path().to_string();
    let below = path.strip_prefix(key).unwrap_or("").to_owned();
    let problem = if key == "env" {
        // People put tokens there: the value is not repeated.
        let wanted = if below.is_empty() { "a table of texts" } else { "text" };
        let opened = match &node.value {
            Value::Untyped(text) => parse_value(text, &node.origin),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Boolean(_)
            | Value::Other(..)
            | Value::Array(_)
            | Value::Table(_) => None,
        };
        format!("must be {wanted}, not {}", opened.as_ref().unwrap_or(node).at(&below).kind())
    } else {
        message.replace('`', "\"")
    };
    let fault = Fault { below, problem, hint: None };
    pod.faults(key, node, vec![fault]);
}
