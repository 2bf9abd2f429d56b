//! What goes wrong on purpose, and what was asked.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::rights::Caller;

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object, its log included.
    Get,
    /// All objects of a kind.
    List,
    /// Changes of a kind.
    Watch,
    /// A new object, bindings and reviews included.
    Create,
    /// A whole object replaced.
    Update,
    /// Part of an object changed.
    Patch,
    /// An object gone.
    Delete,
}

impl Verb {
    /// The verb as access rules name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// How a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing happens; the answer has this HTTP status.
    Refuse(u16),
    /// It is done, but the answer has this HTTP status.
    PerformThenFail(u16),
    /// It is done after this long.
    Delay(Duration),
}

/// Something that goes wrong, a number of times.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) verb: Option<Verb>,
    pub(super) resource: Option<String>,
    pub(super) kind: FaultKind,
    pub(super) times: u32,
}

impl Fault {
    /// The next request fails like this.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { verb: None, resource: None, kind, times: 1 }
    }

    /// Only requests with this verb on this resource (`pods`, `pods/log`, `secrets`, …).
    #[must_use]
    pub fn on(self, verb: Verb, resource: &str) -> Self {
        Self { verb: Some(verb), resource: Some(resource.to_owned()), ..self }
    }

    /// So many requests instead of one.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    fn fits(&self, verb: Verb, resource: &str) -> bool {
        self.verb.is_none_or(|wanted| wanted == verb)
            && self.resource.as_deref().is_none_or(|wanted| wanted == resource)
    }
}

/// Uses up the first fault that fits.
pub(super) fn take(faults: &mut Vec<Fault>, verb: Verb, resource: &str) -> Option<FaultKind> {
    let n = faults.iter().position(|fault| fault.fits(verb, resource))?;
    let kind = faults[n].kind;
    if faults[n].times <= 1 {
        faults.remove(n);
    } else {
        faults[n].times -= 1;
    }
    Some(kind)
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What it wants.
    pub verb: Verb,
    /// Of what: `pods`, `pods/status`, ….
    pub resource: String,
    /// The object's name, where the path has one.
    pub name: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without the question mark.
    pub query: String,
    /// The body, if it is JSON.
    pub body: Option<Value>,
    /// Who sent it.
    pub by: Caller,
    /// When it came.
    pub at: Instant,
}
