//! The configuration as a tree of values that know where they come from. Nothing is judged here.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use secrecy::zeroize::Zeroizing;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Origin, Problems};

/// A value and where it was set.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// A value. Any text may be a secret, until whoever reads it knows what it is.
#[derive(Clone)]
pub(crate) enum Value {
    /// TOML's string.
    Text(Zeroizing<String>),
    /// What an environment variable holds: whoever reads it decides what it is.
    Untyped(Zeroizing<String>),
    /// TOML's integer.
    Integer(i64),
    /// TOML's boolean.
    Boolean(bool),
    /// TOML's float or date; what kind it is, and its text.
    Other(&'static str, String),
    /// TOML's array.
    Array(Vec<Node>),
    /// TOML's table.
    Table(Entries),
}

/// The entries of a table.
pub(crate) type Entries = BTreeMap<String, Node>;

impl Value {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Untyped(_) => "text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Other(kind, _) => kind,
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Its kind alone.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl Node {
    /// What kind of value it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        self.value.kind()
    }

    /// The value for libraries that read TOML themselves.
    pub(crate) fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Text(text) => toml::Value::String(text.as_str().to_owned()),
            Value::Untyped(text) => match parse_value(text, &self.origin) {
                Some(node) => node.to_toml(),
                None => toml::Value::String(text.as_str().to_owned()),
            },
            Value::Integer(number) => toml::Value::Integer(*number),
            Value::Boolean(value) => toml::Value::Boolean(*value),
            Value::Other(_, text) => match text.parse() {
                Ok(number) => toml::Value::Float(number),
                Err(_) => toml::Value::String(text.clone()),
            },
            Value::Array(items) => toml::Value::Array(items.iter().map(Self::to_toml).collect()),
            Value::Table(entries) => {
                toml::Value::Table(entries.iter().map(|(key, node)| (key.clone(), node.to_toml())).collect())
            }
        }
    }

    /// The node at a path such as `volumes[0].mount`, or its nearest ancestor.
    pub(crate) fn at(&self, path: &str) -> &Self {
        let mut node = self;
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match &node.value {
                Value::Table(entries) => entries.get(step),
                Value::Array(items) => step.parse::<usize>().ok().and_then(|n| items.get(n)),
                Value::Text(_)
                | Value::Untyped(_)
                | Value::Integer(_)
                | Value::Boolean(_)
                | Value::Other(..) => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

/// Reads a file's text; what cannot be read of it becomes a problem, and the rest is read all the same.
pub(crate) fn parse_file(path: &Path, text: &str, problems: &Problems) -> Entries {
    let path: Arc<Path> = path.into();
    let (table, errors) = DeTable::parse_recoverable(text);
    let lines = Lines::new(text);
    let origin = |offset| Origin::File { path: Arc::clone(&path), line: lines.of(offset) };
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        problems.error(&origin(at), "", format!("not valid TOML: {}", one_line(error.message())), None);
    }
    entries(table.get_ref(), &origin)
}

/// Reads a single TOML value, as environment variables hold it.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text.trim()).ok()?;
    Some(node(&value, &|_| origin.clone()))
}

fn entries(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Entries {
    table
        .iter()
        .map(|(key, value)| {
            let mut node = node(value, origin);
            // A table's own span may begin at its first entry; its key is where people look.
            node.origin = origin(key.span().start);
            (key.get_ref().to_string(), node)
        })
        .collect()
}

fn node(value: &Spanned<DeValue<'_>>, origin: &dyn Fn(usize) -> Origin) -> Node {
    let at = origin(value.span().start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(Zeroizing::new(text.to_string())),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("a number out of range", number.as_str().to_owned()),
        },
        DeValue::Float(number) => Value::Other("a number with a fraction", number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(date) => Value::Other("a date", date.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| node(item, origin)).collect()),
        DeValue::Table(table) => Value::Table(entries(table, origin)),
    };
    Node { value, origin: at }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Offsets at which lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    fn of(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}
