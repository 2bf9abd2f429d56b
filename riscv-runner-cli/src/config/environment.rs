//! Environment variables laid over the file: `RRCTL_<SECTION>__<KEY>` wins over the file, and the
//! reference service's variables fill what neither sets.

use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    problem::{Origin, Problems},
    reader::Context,
    tree::{Entries, Node, Value, parse_value},
};

/// The variables of the process, or of a test, as far as they are for us; what others put into the environment
/// is not kept. Any of them may hold a secret.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, SecretString>);

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        let ours = all.into_iter().filter(|(name, _)| is_ours(name));
        Self(ours.map(|(name, text)| (name, SecretString::from(text))).collect())
    }
}

impl Variables {
    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(ExposeSecret::expose_secret)
    }

    /// Every variable with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.expose_secret()))
    }
}

/// Names alone.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What our variables begin with.
const PREFIX: &str = "RRCTL_";
/// The reference service's filter of the log, which [`super::server`] reads.
const LOGLEVEL: &str = "LOGLEVEL";

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
        || name == LOGLEVEL
        || REFERENCE.iter().any(|(known, _)| *known == name)
        || APP_KEYS.iter().any(|(known, _)| *known == name)
}

/// Lists of tables, which have no key of their own to name.
const WHOLE_LISTS: [&str; 3] = ["RRCTL_ENTITIES", "RRCTL_POOLS", "RRCTL_ROUTES"];

/// The reference service's variables and the keys that they stand for.
const REFERENCE: [(&str, &[&str]); 5] = [
    ("POSTGRES_URL", &["store", "url"]),
    ("GHAPP_WEBHOOK_SECRET", &["github", "webhook_secrets"]),
    ("K8S_KUBECONFIG", &["cluster", "kubeconfig_text"]),
    ("TRACE_API_SECRET", &["server", "trace_secret"]),
    ("STAGING_URL", &["server", "staging_url"]),
];

/// Keys that set the same thing in several ways: a variable with one of them wins over a file with another.
const TWINS: [&[&str]; 10] = [
    &["admin_secret", "admin_secret_file"],
    &["discord_url", "discord_url_file"],
    &["kubeconfig", "kubeconfig_text", "kubeconfig_text_file"],
    &["otlp_headers", "otlp_headers_file"],
    &["private_key", "private_key_file"],
    &["trace_secret", "trace_secret_file"],
    &["url", "url_file"],
    &["webhook_secret", "webhook_secret_file"],
    &["webhook_secrets", "webhook_secrets_files"],
    &["webhook_url", "webhook_url_file"],
];

/// The other ways to set what a key sets.
fn twins(key: &str) -> impl Iterator<Item = &'static str> {
    let all = TWINS.iter().find(|all| all.contains(&key)).map_or(&[][..], |all| *all);
    all.iter().copied().filter(move |twin| *twin != key)
}

fn is_variable(node: &Node) -> bool {
    matches!(node.origin, Origin::Variable(_))
}

/// Tables whose keys are the operator's own: what follows in a variable's name is one key, in its own case.
const OPEN_TABLES: [&str; 4] = ["annotations", "env", "labels", "node_selector"];

/// The reference service's keys of the two Apps, by the kind of App.
const APP_KEYS: [(&str, &str); 2] =
    [("GHAPP_ORG_PRIVATE_KEY", "organization"), ("GHAPP_PERSONAL_PRIVATE_KEY", "user")];

/// Lays the variables over the tree.
pub(crate) fn overlay(root: &mut Entries, variables: &Variables, problems: &Problems) {
    let mut ours: Vec<_> = variables
        .iter()
        .filter_map(|(name, text)| {
            let rest = name.strip_prefix(PREFIX)?;
            let is_key = WHOLE_LISTS.contains(&name) || rest.contains("__");
            is_key.then(|| (path_of(rest), name, text))
        })
        .collect();
    ours.sort_by_cached_key(|(path, ..)| in_order(path));
    for (path, name, text) in ours {
        let origin = Origin::Variable(name.into());
        let node = Node { value: Value::Untyped(Zeroizing::new(text.to_owned())), origin: origin.clone() };
        if let Err(problem) = set(root, &path, node) {
            problems.error(&origin, &path.join("."), problem, None);
        }
    }
    for (name, path) in REFERENCE {
        if let Some(text) = present(variables, name) {
            fill(root, path, text, name);
        }
    }
    for (name, kind) in APP_KEYS {
        if let Some(text) = present(variables, name) {
            fill_app_key(root, kind, text, name, problems);
        }
    }
}

/// Variables that would set a key if their parts were joined by two underscores. Others are left alone:
/// Kubernetes names some after a service, such as `RRCTL_SERVICE_HOST`.
pub(crate) fn warn_of_misnamed(variables: &Variables, context: &Context) {
    let asked = context.asked.borrow();
    for (name, _) in variables.iter() {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| !rest.contains("__")) else { continue };
        let rest = rest.to_lowercase();
        let meant = asked.keys().find(|(table, key)| rest == format!("{}_{key}", table.replace('.', "_")));
        if let Some((table, key)) = meant.filter(|(table, _)| !table.is_empty()) {
            let meant = format!("{PREFIX}{}__{key}", table.replace('.', "__")).to_uppercase();
            let (origin, key) = (Origin::Variable(name.into()), format!("{table}.{key}"));
            let hint = format!("parts are joined by two underscores: {meant}");
            context.problems.warn(&origin, &key, "is not set by this variable", Some(hint));
        }
    }
}

/// The keys that a variable's name leads through.
fn path_of(rest: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut left = Some(rest);
    while let Some(rest) = left {
        let (step, deeper) = rest.split_once("__").map_or((rest, None), |(step, rest)| (step, Some(rest)));
        let step = step.to_lowercase();
        let is_open = OPEN_TABLES.contains(&step.as_str());
        path.push(step);
        left = deeper;
        if is_open {
            path.extend(left.take().map(str::to_owned));
        }
    }
    path
}

/// Items of a list are set one after the other, the tenth after the second.
fn in_order(path: &[String]) -> Vec<(Option<usize>, String)> {
    path.iter().map(|step| (step.parse().ok(), step.clone())).collect()
}

fn present<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
    variables.get(name).filter(|text| !text.trim().is_empty())
}

fn set(entries: &mut Entries, path: &[String], node: Node) -> Result<(), String> {
    let [step, rest @ ..] = path else { return Ok(()) };
    if step.is_empty() {
        return Err("the variable's name has an empty part; parts are joined by two underscores".into());
    }
    if rest.is_empty() {
        for twin in twins(step) {
            if entries.get(twin).is_some_and(|node| !is_variable(node)) {
                entries.remove(twin);
            }
        }
        entries.insert(step.clone(), node);
        return Ok(());
    }
    let is_number = rest[0].parse::<usize>().is_ok();
    let empty = if is_number { Value::Array(Vec::new()) } else { Value::Table(Entries::new()) };
    let child = entries.entry(step.clone()).or_insert(Node { value: empty, origin: node.origin.clone() });
    descend(child, rest, node)
}

fn descend(child: &mut Node, rest: &[String], node: Node) -> Result<(), String> {
    // A whole list given by another variable is opened up, so that one of its items can be changed.
    if let Value::Untyped(text) = &child.value
        && let Some(parsed) = parse_value(text, &child.origin)
    {
        *child = parsed;
    }
    match &mut child.value {
        Value::Table(inner) => set(inner, rest, node),
        Value::Array(items) => {
            let n: usize =
                rest[0].parse().map_err(|_| format!("{:?} is not the number of an item", rest[0]))?;
            if n > items.len() {
                return Err(format!("there is no item {n}; the next one would be {}", items.len()));
            }
            if n == items.len() {
                items.push(Node { value: Value::Table(Entries::new()), origin: node.origin.clone() });
            }
            let [_, deeper @ ..] = rest else { return Ok(()) };
            if deeper.is_empty() {
                items[n] = node;
                return Ok(());
            }
            descend(&mut items[n], deeper, node)
        }
        Value::Text(_) | Value::Untyped(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(..) => {
            Err(format!("{} has no keys of its own", rest[0]))
        }
    }
}

fn fill(root: &mut Entries, path: &[&str], text: &str, name: &str) {
    let [section, key] = path else { return };
    let origin = Origin::Variable(name.into());
    let table = root
        .entry((*section).to_owned())
        .or_insert_with(|| Node { value: Value::Table(Entries::new()), origin: origin.clone() });
    let Value::Table(entries) = &mut table.value else { return };
    let set_by_variable = |key: &str| entries.get(key).is_some_and(is_variable);
    if set_by_variable(key) || twins(key).any(set_by_variable) {
        return;
    }
    for twin in twins(key) {
        entries.remove(twin);
    }
    // A secret is taken as it is: never split at commas, never read as TOML.
    let value = Value::Text(Zeroizing::new(text.to_owned()));
    let node = Node { value, origin: origin.clone() };
    let value = if *key == "webhook_secrets" { Value::Array(vec![node.clone()]) } else { node.value };
    entries.insert((*key).to_owned(), Node { value, origin });
}

fn fill_app_key(root: &mut Entries, kind: &str, text: &str, name: &str, problems: &Problems) {
    let origin = Origin::Variable(Arc::from(name));
    let apps = root.get_mut("github").and_then(|github| match &mut github.value {
        Value::Table(entries) => entries.get_mut("apps"),
        Value::Text(_)
        | Value::Untyped(_)
        | Value::Integer(_)
        | Value::Boolean(_)
        | Value::Other(..)
        | Value::Array(_) => None,
    });
    if let Some(apps) = apps {
        if let Value::Untyped(list) = &apps.value
            && let Some(parsed) = parse_value(list, &apps.origin)
        {
            *apps = parsed;
        }
        if let Value::Array(items) = &mut apps.value {
            for item in items {
                let Value::Table(app) = &mut item.value else { continue };
                let of_kind = app.get("kind").is_some_and(
                    |node| matches!(&node.value, Value::Text(text) | Value::Untyped(text) if text.as_str() == kind),
                );
                if !of_kind {
                    continue;
                }
                let ours = |key: &str| app.get(key).is_some_and(is_variable);
                if !ours("private_key") && !ours("private_key_file") {
                    app.remove("private_key_file");
                    let value = Value::Text(Zeroizing::new(text.to_owned()));
                    app.insert("private_key".into(), Node { value, origin });
                }
                return;
            }
        }
    }
    problems.error(
        &origin,
        "github.apps",
        format!("holds the private key of an App, but there is no [[github.apps]] of kind \"{kind}\""),
        Some(format!("add [[github.apps]] with kind = \"{kind}\" and its app_id")),
    );
}
