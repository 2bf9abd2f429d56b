//! How a value is read from the tree and shown again: one pair of functions for every type of key.

use std::{collections::BTreeMap, fmt, net::SocketAddr, time::Duration};

use bytesize::ByteSize;
use jiff::SignedDuration;
use secrecy::zeroize::Zeroizing;

use super::tree::{Node, Value, parse_value};

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where below the key, such as `[2]`.
    pub(crate) below: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// What would be right.
    pub(crate) hint: Option<String>,
}

impl Fault {
    /// Something wrong with the value itself.
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { below: String::new(), problem: problem.into(), hint: None }
    }

    /// The same, with what would be right.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn below(mut self, step: &str) -> Self {
        self.below.insert_str(0, step);
        self
    }
}

/// The result of reading a value: all problems with it, not only the first.
pub(crate) type Read<T> = Result<T, Vec<Fault>>;

/// A type that a key can have.
pub(crate) trait Setting: Sized {
    /// Reads it.
    fn read(node: &Node) -> Read<Self>;
    /// Writes it as a TOML value. A secret writes that it is set.
    fn show(&self) -> String;
    /// What kind of value it is, for the reference.
    fn kind() -> &'static str {
        "text"
    }
}

/// Refuses a value for its kind.
pub(crate) fn wrong_kind<T>(node: &Node, wanted: &str) -> Read<T> {
    Err(vec![Fault::new(format!("must be {wanted}, not {}", node.kind()))])
}

/// The text of a node that is text.
pub(crate) fn text<'a>(node: &'a Node, wanted: &str) -> Read<&'a str> {
    match &node.value {
        Value::Text(text) | Value::Untyped(text) => Ok(text),
        Value::Integer(_) | Value::Boolean(_) | Value::Other(..) | Value::Array(_) | Value::Table(_) => {
            wrong_kind(node, wanted)
        }
    }
}

/// A TOML string.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Reads text by a constructor.
pub(crate) fn from_text<T, E: fmt::Display>(
    node: &Node,
    wanted: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Read<T> {
    parse(text(node, wanted)?).map_err(|error| vec![Fault::new(error.to_string())])
}

impl Setting for String {
    fn read(node: &Node) -> Read<Self> {
        let text = text(node, "text")?;
        if text.trim().is_empty() {
            return Err(vec![Fault::new("must not be empty").hint("leave the key out to take its default")]);
        }
        Ok(text.to_owned())
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for bool {
    fn read(node: &Node) -> Read<Self> {
        match &node.value {
            Value::Boolean(value) => Ok(*value),
            Value::Untyped(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err(vec![Fault::new(format!("must be true or false, not {:?}", text.as_str()))]),
            },
            Value::Text(_) | Value::Integer(_) | Value::Other(..) | Value::Array(_) | Value::Table(_) => {
                wrong_kind(node, "true or false")
            }
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn kind() -> &'static str {
        "true or false"
    }
}

impl Setting for i64 {
    fn read(node: &Node) -> Read<Self> {
        match &node.value {
            Value::Integer(number) => Ok(*number),
            Value::Untyped(text) => text
                .trim()
                .replace('_', "")
                .parse()
                .map_err(|_| vec![Fault::new(format!("must be a number, not {:?}", text.as_str()))]),
            Value::Text(_) | Value::Boolean(_) | Value::Other(..) | Value::Array(_) | Value::Table(_) => {
                wrong_kind(node, "a whole number")
            }
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn kind() -> &'static str {
        "number"
    }
}

impl Setting for u32 {
    fn read(node: &Node) -> Read<Self> {
        let number = i64::read(node)?;
        Self::try_from(number)
            .map_err(|_| vec![Fault::new(format!("must be a number from 0 to {}, not {number}", Self::MAX))])
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn kind() -> &'static str {
        "number"
    }
}

impl Setting for SocketAddr {
    fn read(node: &Node) -> Read<Self> {
        let text = text(node, "an address")?;
        text.trim().parse().map_err(|_| {
            let fault = Fault::new(format!("must be an address and a port, not {text:?}"));
            vec![fault.hint("for example \"0.0.0.0:8080\" or \"[::]:8080\"")]
        })
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
    fn kind() -> &'static str {
        "address"
    }
}

impl Setting for ByteSize {
    fn read(node: &Node) -> Read<Self> {
        if let Value::Integer(number) = &node.value {
            return u64::try_from(*number).map(Self::b).map_err(|_| vec![Fault::new("must not be negative")]);
        }
        let text = text(node, "a size")?;
        text.trim().parse().map_err(|_| {
            vec![
                Fault::new(format!("must be a size, not {text:?}"))
                    .hint("for example \"25MiB\" or \"512 kB\""),
            ]
        })
    }
    fn show(&self) -> String {
        quoted(&self.display().iec().to_string())
    }
    fn kind() -> &'static str {
        "size"
    }
}

impl Setting for Duration {
    fn read(node: &Node) -> Read<Self> {
        let text = text(node, "a duration")?;
        parse_duration(text).map_err(|problem| {
            vec![Fault::new(problem).hint("for example \"1500ms\", \"600s\", \"15 min\", \"6h\" or \"90d\"")]
        })
    }
    fn show(&self) -> String {
        quoted(&show_duration(*self))
    }
    fn kind() -> &'static str {
        "duration"
    }
}

/// Reads `1500ms`, `600s`, `15 min`, `6h`, `1h 30m`, `90d`; a day is 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refused = |_| format!("must be a duration, not {text:?}");
    let trimmed = text.trim();
    if trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("must be a duration with its unit, not {text:?}"));
    }
    // jiff's own durations stop at hours, because calendars differ about longer units.
    if let Some(days) = trimmed.strip_suffix(['d', 'D']).or_else(|| trimmed.strip_suffix("days")) {
        let days: u64 = days.trim().parse().map_err(|_| format!("must be a duration, not {text:?}"))?;
        return days.checked_mul(24 * 3600).map(Duration::from_secs).ok_or_else(|| "is too long".to_owned());
    }
    let signed: SignedDuration = trimmed.parse().map_err(|error: jiff::Error| refused(error))?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that keeps it whole.
pub(crate) fn show_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if nanos == 0 {
        return match seconds {
            0 => "0s".to_owned(),
            s if s % 86_400 == 0 && s >= 172_800 => format!("{}d", s / 86_400),
            s if s % 3600 == 0 => format!("{}h", s / 3600),
            s if s % 60 == 0 && s >= 300 => format!("{}m", s / 60),
            s => format!("{s}s"),
        };
    }
    match duration.as_nanos() {
        n if n % 1_000_000 == 0 => format!("{}ms", n / 1_000_000),
        n if n % 1000 == 0 => format!("{}us", n / 1000),
        n => format!("{n}ns"),
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(node: &Node) -> Read<Self> {
        match &node.value {
            Value::Array(items) => read_items(items),
            Value::Untyped(text) => read_untyped_list(text, node),
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(..) | Value::Table(_) => {
                wrong_kind(node, "a list")
            }
        }
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Setting::show).collect::<Vec<_>>().join(", "))
    }
    fn kind() -> &'static str {
        "list"
    }
}

/// A variable holds a TOML list, or plain items with commas between them.
fn read_untyped_list<T: Setting>(text: &str, node: &Node) -> Read<Vec<T>> {
    if text.trim_start().starts_with('[') {
        return match parse_value(text, &node.origin) {
            Some(Node { value: Value::Array(items), .. }) => read_items(&items),
            Some(_) | None => Err(vec![Fault::new("begins like a TOML list but is none")]),
        };
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let items: Vec<_> = items
        .map(|item| Node {
            value: Value::Untyped(Zeroizing::new(item.to_owned())),
            origin: node.origin.clone(),
        })
        .collect();
    read_items(&items)
}

fn read_items<T: Setting>(items: &[Node]) -> Read<Vec<T>> {
    let (mut read, mut faults) = (Vec::with_capacity(items.len()), Vec::new());
    for (n, item) in items.iter().enumerate() {
        match T::read(item) {
            Ok(value) => read.push(value),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.below(&format!("[{n}]")))),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

impl Setting for BTreeMap<String, String> {
    fn read(node: &Node) -> Read<Self> {
        if let Value::Untyped(text) = &node.value {
            return match parse_value(text, &node.origin) {
                Some(parsed @ Node { value: Value::Table(_), .. }) => Self::read(&parsed),
                Some(_) | None => {
                    Err(vec![Fault::new("must be a TOML table").hint("for example { \"key\" = \"value\" }")])
                }
            };
        }
        let Value::Table(entries) = &node.value else { return wrong_kind(node, "a table") };
        let (mut read, mut faults) = (Self::new(), Vec::new());
        for (key, value) in entries {
            match String::read(value) {
                Ok(text) => {
                    read.insert(key.clone(), text);
                }
                Err(found) => faults.extend(found.into_iter().map(|fault| fault.below(&format!(".{key}")))),
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }
    fn show(&self) -> String {
        let pairs: Vec<_> = self.iter().map(|(k, v)| format!("{} = {}", quoted(k), quoted(v))).collect();
        if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
    }
    fn kind() -> &'static str {
        "table"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("1500ms", 1500, "1500ms"),
            ("600s", 600_000, "10m"),
            ("15 min", 900_000, "15m"),
            ("6h", 21_600_000, "6h"),
            ("1h 30m", 5_400_000, "90m"),
            ("90d", 7_776_000_000, "90d"),
            ("0s", 0, "0s"),
        ] {
            let read = parse_duration(text).unwrap();
            assert_eq!(read, Duration::from_millis(millis), "{text}");
            assert_eq!(show_duration(read), shown);
            assert_eq!(parse_duration(shown).unwrap(), read, "{shown} round trip");
        }
        for text in ["", "10", "soon", "-5s", "10 parsecs"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
