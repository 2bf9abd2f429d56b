//! Orders as answers and listings show them, and the checks on what operators write.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ControlTarget, Note, Order, Verb};
use crate::{ids::IdError, policy::Cap};

/// The longest reason, in characters.
const MAX_REASON: usize = 1000;
/// The longest name of an actor (a person, a team or a program), in characters.
const MAX_ACTOR: usize = 200;

/// An order with its note, in one flat object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOrder {
    /// The order's verb.
    pub verb: Verb,
    /// What it applies to.
    pub target: ControlTarget,
    /// For a limit: how many workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_workers: Option<WrittenCap>,
    /// For a revocation: whether it overrides GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
    /// Why the order was given.
    pub reason: String,
    /// The operator who gave the order.
    pub actor: String,
    /// When the order was given.
    pub since: Timestamp,
}

/// A cap as configurations write it: a number, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum WrittenCap {
    /// A number of workers.
    Number(u32),
    /// The word `unlimited`.
    Word(Unlimited),
}

/// No cap, as configurations write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlimited {
    /// The word `unlimited`.
    Unlimited,
}

impl fmt::Display for WrittenCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(Unlimited::Unlimited) => f.write_str("unlimited"),
        }
    }
}

impl From<Cap> for WrittenCap {
    fn from(cap: Cap) -> Self {
        cap.get().map_or(Self::Word(Unlimited::Unlimited), Self::Number)
    }
}

impl WrittenOrder {
    /// Converts an order and its note.
    #[must_use]
    pub fn of(order: &Order, note: &Note) -> Self {
        Self {
            verb: order.verb(),
            target: order.target(),
            max_workers: order.cap().map(WrittenCap::from),
            force: (order.verb() == Verb::Revoke).then(|| order.is_forced()),
            reason: note.reason.clone(),
            actor: note.actor.clone(),
            since: note.since,
        }
    }
}

impl Note {
    /// Checks what an operator wrote.
    ///
    /// # Errors
    /// When the reason or the actor is missing, is overlong, or holds control characters.
    pub fn new(reason: &str, actor: &str, since: Timestamp) -> Result<Self, IdError> {
        Ok(Self {
            reason: words("reason", reason, MAX_REASON)?,
            actor: words("actor", actor, MAX_ACTOR)?,
            since,
        })
    }
}

fn words(what: &'static str, text: &str, max: usize) -> Result<String, IdError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(IdError::new(what, "must not be empty"));
    }
    if text.chars().count() > max {
        return Err(IdError::new(what, format!("must be at most {max} characters long")));
    }
    if text.chars().any(char::is_control) {
        return Err(IdError::new(what, "must be one line, without control characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_one_line_that_says_something() {
        let at = Timestamp::UNIX_EPOCH;
        let note = Note::new("  new fan ", "ann@desk", at).unwrap();
        assert_eq!((note.reason.as_str(), note.actor.as_str()), ("new fan", "ann@desk"));
        let refused = |reason: &str, actor: &str| Note::new(reason, actor, at).unwrap_err().to_string();
        assert_eq!(refused(" ", "ann"), "reason must not be empty");
        assert_eq!(refused("fan", ""), "actor must not be empty");
        assert_eq!(refused("a\nb", "ann"), "reason must be one line, without control characters");
        assert_eq!(refused(&"x".repeat(1001), "ann"), "reason must be at most 1000 characters long");
    }

    #[test]
    fn an_order_is_written_flat() {
        let note = Note::new("busy week", "ann", Timestamp::UNIX_EPOCH).unwrap();
        let target = ControlTarget::parse("entity", "7").unwrap();
        let order = Order::new(Verb::Limit, target, Some(Cap::Unlimited), false).unwrap();
        let written = serde_json::to_string(&WrittenOrder::of(&order, &note)).unwrap();
        assert_eq!(
            written,
            r#"{"verb":"limit","target":{"kind":"entity","name":7},"max_workers":"unlimited","reason":"busy week","actor":"ann","since":"1970-01-01T00:00:00Z"}"#
        );
    }
}
