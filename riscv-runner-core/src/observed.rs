//! What we know of something outside: three-valued, because not knowing is not absence.
//!
//! No destructive action may follow from [`Observed::Unknown`].

use serde::{Deserialize, Serialize};

/// The result of observing something outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed<T> {
    /// We observed it, and this is there.
    Present(T),
    /// We observed it, and it is not there.
    Absent,
    /// We could not observe it.
    Unknown(Why),
}

/// Why an observation is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It has not been observed yet.
    NotLooked,
    /// We tried to observe it and got no usable answer.
    Failed,
    /// A limit forbids observing it now.
    RateLimited,
    /// The answer contradicts what we know so strongly that we do not believe it
    /// (an empty listing where registrations were expected).
    Implausible,
}

impl<T> Observed<T> {
    /// The value, if it is there for certain.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// Whether it is certainly there.
    pub const fn is_present(&self) -> bool {
        matches!(self, Self::Present(_))
    }

    /// Whether it is certainly not there.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it could not be observed.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// The same knowledge about a borrowed value.
    pub const fn as_ref(&self) -> Observed<&T> {
        match self {
            Self::Present(value) => Observed::Present(value),
            Self::Absent => Observed::Absent,
            Self::Unknown(why) => Observed::Unknown(*why),
        }
    }

    /// Transforms the value; absent and unknown stay as they are.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Present(value) => Observed::Present(f(value)),
            Self::Absent => Observed::Absent,
            Self::Unknown(why) => Observed::Unknown(why),
        }
    }

    /// What the listing `self` says about one of its members.
    pub fn and_find<'a, U>(&'a self, find: impl FnOnce(&'a T) -> Option<U>) -> Observed<U> {
        match self {
            Self::Present(listing) => find(listing).map_or(Observed::Absent, Observed::Present),
            Self::Absent => Observed::Absent,
            Self::Unknown(why) => Observed::Unknown(*why),
        }
    }
}
