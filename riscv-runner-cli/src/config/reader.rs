//! Reading a table key by key: every key that is read is recorded with its effective value, and any other key
//! is unknown. One declaration of a key serves reading, defaults, checks and `config show`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::{
    changes::Comparable,
    problem::{Origin, Problems},
    setting::{Fault, Setting},
    tree::{Entries, Node, Value, parse_value},
};

/// How far a misspelt key may be from a known one to be taken for it.
const LIKENESS: f64 = 0.7;

/// One line of the effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The header of a table.
    Header(String),
    /// A key with its value as TOML and where the value comes from.
    Key {
        /// The key.
        key: String,
        /// Its value; `(set)` for secrets.
        value: String,
        /// Where it comes from.
        origin: Origin,
    },
}

/// What all tables of one configuration share while they are read.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// What is wrong.
    pub(crate) problems: Problems,
    /// What is in force.
    pub(crate) shown: RefCell<Vec<Shown>>,
    /// Every key that was asked for, by table and name.
    pub(crate) asked: RefCell<BTreeMap<(String, &'static str), Asked>>,
    /// The secrets that were read, to tell later whether they have changed.
    pub(crate) secrets: RefCell<BTreeMap<String, Comparable>>,
}

/// A key as the program knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What kind of value it takes.
    pub(crate) kind: &'static str,
    /// Its default as TOML, if it has one.
    pub(crate) default: Option<String>,
}

/// A table that is being read.
pub(crate) struct Section<'a> {
    context: &'a Context,
    path: String,
    origin: Origin,
    entries: Entries,
    used: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(crate) fn root(context: &'a Context, entries: Entries, origin: Origin) -> Self {
        Self { context, path: String::new(), origin, entries, used: RefCell::default() }
    }

    /// The full name of one of its keys.
    pub(crate) fn path_of(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{key}", self.path),
        }
    }

    /// Where problems go.
    pub(crate) const fn problems(&self) -> &Problems {
        &self.context.problems
    }

    /// Where a key is set, or where the table begins.
    pub(crate) fn origin_of(&self, key: &str) -> Origin {
        self.entries.get(key).map_or_else(|| self.origin.clone(), |node| node.origin.clone())
    }

    /// Whether the key is set.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The node of a key, which counts as read.
    pub(crate) fn node(&self, key: &'static str) -> Option<&Node> {
        self.used.borrow_mut().insert(key);
        self.entries.get(key)
    }

    /// Notes an error about a key of this table.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>, hint: Option<&str>) {
        let problems = &self.context.problems;
        problems.error(&self.origin_of(key), &self.path_of(key), problem, hint.map(str::to_owned));
    }

    /// Notes a warning about a key of this table.
    pub(crate) fn warn(&self, key: &str, problem: impl Into<String>, hint: Option<&str>) {
        let problems = &self.context.problems;
        problems.warn(&self.origin_of(key), &self.path_of(key), problem, hint.map(str::to_owned));
    }

    /// Reads a key; `None` when it is not set, or refused.
    pub(crate) fn get<T: Setting>(&self, key: &'static str) -> Option<T> {
        self.ask::<T>(key, None);
        let node = self.node(key)?;
        match T::read(node) {
            Ok(value) => {
                self.show(key, value.show(), node.origin.clone());
                Some(value)
            }
            Err(faults) => {
                self.faults(key, node, faults);
                None
            }
        }
    }

    /// Reads a key that has a default.
    pub(crate) fn or<T: Setting>(&self, key: &'static str, default: T) -> T {
        self.ask(key, Some(&default));
        if self.has(key) {
            return self.get(key).unwrap_or(default);
        }
        self.used.borrow_mut().insert(key);
        self.show(key, default.show(), Origin::Default);
        default
    }

    fn ask<T: Setting>(&self, key: &'static str, default: Option<&T>) {
        let asked = Asked { kind: T::kind(), default: default.map(Setting::show) };
        self.context.asked.borrow_mut().entry((header_path(&self.path), key)).or_insert(asked);
    }

    /// Reads a key that must be set.
    pub(crate) fn required<T: Setting>(&self, key: &'static str, hint: &str) -> Option<T> {
        if !self.has(key) {
            self.used.borrow_mut().insert(key);
            self.error(key, "is missing", Some(hint));
        }
        self.get(key)
    }

    /// Notes what is wrong with the value of a key.
    pub(crate) fn faults(&self, key: &str, node: &Node, faults: Vec<Fault>) {
        for fault in faults {
            let at = node.at(&fault.below).origin.clone();
            let path = format!("{}{}", self.path_of(key), fault.below);
            self.context.problems.error(&at, &path, fault.problem, fault.hint);
        }
    }

    /// Keeps a secret that was read for this key, whichever way.
    pub(crate) fn keep(&self, path: String, secret: &SecretString) {
        self.context.secrets.borrow_mut().insert(path, Comparable(secret.clone()));
    }

    /// Adds a line to the effective configuration.
    pub(crate) fn show(&self, key: &str, value: String, origin: Origin) {
        self.context.shown.borrow_mut().push(Shown::Key { key: key.to_owned(), value, origin });
    }

    /// Opens a table below this one; one that is not there is empty.
    pub(crate) fn section(&self, key: &'static str) -> Self {
        let path = self.path_of(key);
        self.header(format!("[{}]", header_path(&path)));
        let (entries, origin) = match self.node(key) {
            None => (Entries::new(), self.origin.clone()),
            Some(node) => (self.table_of(key, node), node.origin.clone()),
        };
        Section { context: self.context, path, origin, entries, used: RefCell::default() }
    }

    /// Opens the tables of a list.
    pub(crate) fn sections(&self, key: &'static str, mut read: impl FnMut(Self)) {
        let Some(node) = self.node(key) else { return };
        let parsed;
        let items = match &node.value {
            Value::Array(items) => items,
            Value::Untyped(text) => {
                parsed = parse_value(text, &node.origin);
                match parsed.as_ref().map(|node| &node.value) {
                    Some(Value::Array(items)) => items,
                    Some(_) | None => {
                        let hint = "for example [{ name = \"..\" }, { name = \"..\" }]";
                        return self.error(key, "must be a TOML list of tables", Some(hint));
                    }
                }
            }
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(..) | Value::Table(_) => {
                let hint = format!("write [[{}]] for each", self.path_of(key));
                return self.error(
                    key,
                    format!("must be a list of tables, not {}", node.kind()),
                    Some(&hint),
                );
            }
        };
        for (n, item) in items.iter().enumerate() {
            let path = format!("{}[{n}]", self.path_of(key));
            self.header(format!("[[{}]]", self.path_of(key)));
            let Value::Table(entries) = &item.value else {
                let problem = format!("must be a table, not {}", item.kind());
                self.context.problems.error(&item.origin, &path, problem, None);
                continue;
            };
            let entries = entries.clone();
            let origin = item.origin.clone();
            read(Section { context: self.context, path, origin, entries, used: RefCell::default() });
        }
    }

    fn table_of(&self, key: &str, node: &Node) -> Entries {
        match &node.value {
            Value::Table(entries) => return entries.clone(),
            Value::Untyped(text) => {
                if let Some(Node { value: Value::Table(entries), .. }) = parse_value(text, &node.origin) {
                    return entries;
                }
            }
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(..) | Value::Array(_) => {}
        }
        self.error(key, format!("must be a table, not {}", node.kind()), None);
        Entries::new()
    }

    fn header(&self, header: String) {
        self.context.shown.borrow_mut().push(Shown::Header(header));
    }

    /// Every key of the table, read or not.
    pub(crate) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Counts a key that a library reads as read.
    pub(crate) fn mark_used(&self, key: &'static str) {
        self.used.borrow_mut().insert(key);
    }

    /// A path in the file system that is relative to the file that names it.
    pub(crate) fn resolve(&self, key: &str, path: &str) -> PathBuf {
        match self.origin_of(key) {
            Origin::File { path: file, .. } => file.parent().unwrap_or(Path::new("")).join(path),
            Origin::Variable(_) | Origin::Default => PathBuf::from(path),
        }
    }

    /// Ends reading: keys that were not read are unknown.
    pub(crate) fn done(self) {
        let used = self.used.borrow();
        for (key, node) in &self.entries {
            if used.contains(key.as_str()) {
                continue;
            }
            let path = self.path_of(key);
            let problems = &self.context.problems;
            problems.error(&node.origin, &path, "unknown key", Some(known_keys(key, &used)));
        }
    }
}

/// `pools[0].pod` is written `[pools.pod]` below `[[pools]]`.
fn header_path(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
}

fn known_keys(key: &str, known: &BTreeSet<&'static str>) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), *name))
        .filter(|(likeness, _)| *likeness > LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("did you mean {name:?}?"),
        None => format!("known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
    }
}
