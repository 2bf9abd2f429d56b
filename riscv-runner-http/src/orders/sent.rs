//! An order as it is sent: its fields are read one by one, so that a fault names its field.

use jiff::Timestamp;
use riscv_runner_core::{
    controls::{ControlTarget, Note, Order, Verb},
    ids::Login,
    policy::Cap,
};
use serde::Deserialize;
use serde_json::Value;

/// The actor in the audit when the sender names none.
const NOBODY: &str = "http";

/// What is wrong with an order.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) field: &'static str,
    pub(super) problem: String,
}

/// The fields; answers repeat an order in the same shape.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    verb: Value,
    #[serde(default)]
    target: Value,
    #[serde(default)]
    max_workers: Value,
    #[serde(default)]
    force: Value,
    #[serde(default)]
    reason: Value,
    #[serde(default)]
    actor: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFields {
    kind: String,
    #[serde(default)]
    name: Value,
}

/// The target of an order: accounts may be named by their logins.
#[derive(Debug)]
pub(super) enum SentTarget {
    Known(ControlTarget),
    Account(Login),
}

/// An order that is complete except for the id of an account named by its login.
#[derive(Debug)]
pub(super) struct Sent {
    verb: Verb,
    cap: Option<Cap>,
    pub(super) target: SentTarget,
    /// Accept the name even if nothing by that name is known; end a worker even if a job runs on it.
    pub(super) force: bool,
    pub(super) note: Note,
}

impl Sent {
    pub(super) fn read(body: &[u8], now: Timestamp) -> Result<Self, Invalid> {
        let fields: Fields = serde_json::from_slice(body)
            .map_err(|error| invalid("body", format!("the body is not an order: {error}")))?;
        let verb = verb(&fields.verb)?;
        Ok(Self {
            verb,
            cap: cap(&fields.max_workers, verb)?,
            target: target(&fields.target)?,
            force: force(&fields.force)?,
            note: note(&fields, now)?,
        })
    }

    /// The order, with its target.
    pub(super) fn order(&self, target: ControlTarget) -> Result<Order, Invalid> {
        let order = Order::new(self.verb, target, self.cap, self.force);
        order.map_err(|error| invalid("target", error.to_string()))
    }
}

fn invalid(field: &'static str, problem: impl Into<String>) -> Invalid {
    Invalid { field, problem: problem.into() }
}

fn verb(value: &Value) -> Result<Verb, Invalid> {
    let verb = value.as_str().and_then(Verb::parse);
    verb.ok_or_else(|| {
        let verbs = Verb::ALL.map(Verb::as_str).join(", ");
        let given = if value.is_null() { String::new() } else { format!(", not {value}") };
        invalid("verb", format!("verb must be one of {verbs}{given}"))
    })
}

fn cap(value: &Value, verb: Verb) -> Result<Option<Cap>, Invalid> {
    let field = "max_workers";
    match (value, verb) {
        (Value::Null, Verb::Limit) => {
            Err(invalid(field, "limit needs max_workers: a number, or \"unlimited\""))
        }
        (Value::Null, _) => Ok(None),
        (_, Verb::Limit) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).map(Cap::AtMost);
            let cap = number.or_else(|| (value == "unlimited").then_some(Cap::Unlimited));
            let problem =
                || format!("max_workers must be a number of at least 0, or \"unlimited\", not {value}");
            cap.map(Some).ok_or_else(|| invalid(field, problem()))
        }
        _ => Err(invalid(field, format!("{verb} takes no max_workers"))),
    }
}

fn target(value: &Value) -> Result<SentTarget, Invalid> {
    let field = "target";
    let fields: TargetFields =
        TargetFields::deserialize(value).map_err(|error| invalid(field, format!("the target: {error}")))?;
    let name = match fields.name {
        Value::Null => String::new(),
        Value::String(name) => name,
        Value::Number(id) => id.to_string(),
        other @ (Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(invalid(field, format!("a name is text, or the id of an account, not {other}")));
        }
    };
    let is_login = fields.kind == "entity" && name.parse::<i64>().is_err();
    let read = if is_login {
        Login::new(name.trim_start_matches('@')).map(SentTarget::Account)
    } else {
        ControlTarget::parse(&fields.kind, &name).map(SentTarget::Known)
    };
    read.map_err(|error| invalid(field, error.to_string()))
}

fn force(value: &Value) -> Result<bool, Invalid> {
    let force = if value.is_null() { Some(false) } else { value.as_bool() };
    force.ok_or_else(|| invalid("force", format!("force must be true or false, not {value}")))
}

fn note(fields: &Fields, now: Timestamp) -> Result<Note, Invalid> {
    let reason = text("reason", &fields.reason, "")?;
    let actor = text("actor", &fields.actor, NOBODY)?;
    Note::new(reason, actor, now).map_err(|error| invalid(error.what(), error.to_string()))
}

fn text<'a>(field: &'static str, value: &'a Value, default: &'a str) -> Result<&'a str, Invalid> {
    let text = if value.is_null() { Some(default) } else { value.as_str() };
    text.ok_or_else(|| invalid(field, format!("{field} must be text, not {value}")))
}
