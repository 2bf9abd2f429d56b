//! Identifiers, each its own type, parsed once at the edge and trusted afterwards.
//!
//! Numbers that GitHub assigns are 64-bit integers end to end; they never pass through a float.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// Why a value was refused as an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct IdError {
    what: &'static str,
    problem: String,
}

impl IdError {
    pub(crate) fn new(what: &'static str, problem: impl Into<String>) -> Self {
        Self { what, problem: problem.into() }
    }

    /// The kind of identifier: `login`, `pool name`, …
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// Takes a positive number.
            ///
            /// # Errors
            /// Zero and negative numbers: GitHub assigns neither.
            pub fn new(value: i64) -> Result<Self, IdError> {
                if value < 1 {
                    return Err(IdError::new($what, format!("must be a positive integer, not {value}")));
                }
                Ok(Self(value))
            }

            /// The number itself.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = IdError;
            fn try_from(value: i64) -> Result<Self, IdError> {
                Self::new(value)
            }
        }

        impl From<$name> for i64 {
            fn from(id: $name) -> i64 {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let number = text
                    .trim()
                    .parse::<i64>()
                    .map_err(|_| IdError::new($what, format!("must be a positive integer, not {text:?}")))?;
                Self::new(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One `workflow_job` on GitHub. A re-run of a job has a new id.
    JobId, "job id"
);
number_id!(
    /// One workflow run on GitHub, the parent of jobs.
    RunId, "run id"
);
number_id!(
    /// GitHub's registration of a runner.
    RunnerId, "runner id"
);
number_id!(
    /// One install of a GitHub App; every reinstall has a new one.
    InstallationId, "installation id"
);
number_id!(
    /// The account that installed the App; stable across renames and reinstalls.
    EntityId, "entity id"
);
number_id!(
    /// A repository; stable across renames and transfers.
    RepoId, "repository id"
);
number_id!(
    /// A GitHub App.
    AppId, "app id"
);
number_id!(
    /// A row of the installation event log.
    EventId, "event id"
);
number_id!(
    /// One period of leadership; later periods have greater numbers, and writes of an earlier one are
    /// refused.
    Epoch, "epoch"
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $check:expr) => {
        text_id! {
            without comparison:
            $(#[$doc])*
            #[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
            $name, $what, $max, $check
        }
    };
    (without comparison: $(#[$attribute:meta])* $name:ident, $what:literal, $max:literal, $check:expr) => {
        $(#[$attribute])*
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text.
            ///
            /// # Errors
            /// Text that is empty, too long, or outside the alphabet of this kind of name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                if text.is_empty() {
                    return Err(IdError::new($what, "must not be empty"));
                }
                if text.len() > $max {
                    return Err(IdError::new($what, format!("must be at most {} bytes long", $max)));
                }
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text).map_err(|problem| IdError::new($what, format!("{problem}: {text:?}")))?;
                Ok(Self(text.into()))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().into()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

fn printable(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) { Err("must not contain control characters") } else { Ok(()) }
}

fn dns_label(text: &str) -> Result<(), &'static str> {
    let alphabet = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !alphabet {
        return Err("must consist of lower-case letters, digits and '-'");
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("must not start or end with '-'");
    }
    Ok(())
}

fn owner_slash_name(text: &str) -> Result<(), &'static str> {
    printable(text)?;
    match text.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => Ok(()),
        Some(_) | None => Err("must have the form owner/name"),
    }
}

text_id!(
    /// The name of a worker: its row, its pod, its secret and its runner all carry it.
    /// Valid as a Kubernetes pod name (an RFC 1123 label of at most 63 characters).
    WorkerName, "worker name", 63, dns_label
);
text_id!(
    /// The name that a runner has on GitHub; not necessarily one of ours.
    RunnerName, "runner name", 256, printable
);
text_id!(
    /// A pool of boards, named in the configuration.
    PoolName, "pool name", 63, dns_label
);
text_id!(
    /// A Kubernetes node.
    NodeName, "node name", 253, printable
);
text_id!(
    /// The unique id of one Kubernetes object; a re-created object has a new one.
    PodUid, "pod uid", 128, printable
);
text_id!(
    /// The login name of an account; it may change.
    Login, "login", 256, printable
);
text_id!(
    without comparison:
    /// A repository as `owner/name`; it may change. GitHub compares such names without regard to case
    /// (<https://docs.github.com/en/rest/repos/repos>): so do we, and keep the spelling that we were given.
    RepoName, "repository name", 512, owner_slash_name
);
text_id!(
    /// A container image reference.
    ImageRef, "image", 1024, |text| if text.chars().any(char::is_whitespace) {
        Err("must not contain white space")
    } else {
        printable(text)
    }
);
text_id!(
    /// The GUID of a webhook delivery; a redelivery carries the same one.
    DeliveryGuid, "delivery GUID", 128, printable
);
text_id!(
    /// The process that holds or requests the lease of leadership.
    ReplicaName, "replica name", 253, printable
);

impl RepoName {
    /// The account part of `owner/name`.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The repository part of `owner/name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }

    /// One spelling for all names of this repository.
    #[must_use]
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    fn folded(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for RepoName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for RepoName {}
impl Ord for RepoName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}
impl PartialOrd for RepoName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Hash for RepoName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|byte| state.write_u8(byte));
        // No name contains it, so that what follows does not run into the name.
        state.write_u8(0xff);
    }
}

impl RunnerName {
    /// Whether GitHub's name for a runner is the name of this worker.
    #[must_use]
    pub fn is(&self, worker: &WorkerName) -> bool {
        self.as_str() == worker.as_str()
    }
}

impl From<&WorkerName> for RunnerName {
    fn from(name: &WorkerName) -> Self {
        Self(Arc::clone(&name.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_the_same_in_any_case() {
        use std::hash::BuildHasher;

        let name = |text: &str| RepoName::new(text).unwrap();
        let (one, other) = (name("Acme/Tools"), name("acme/tools"));
        assert_eq!(one, other);
        assert_eq!(one.cmp(&other), Ordering::Equal);
        let state = std::hash::RandomState::new();
        assert_eq!(state.hash_one(&one), state.hash_one(&other));
        assert!(name("acme/Tools") < name("ACME/toolt") && name("a/b") != name("a/c"));
        assert_eq!((one.as_str(), one.canonical()), ("Acme/Tools", "acme/tools".to_owned()));
    }

    #[test]
    fn numbers_survive_beyond_the_range_of_a_float() {
        let id: JobId = serde_json::from_str("9007199254740993").unwrap();
        assert_eq!(id.get(), 9_007_199_254_740_993);
        assert_eq!(serde_json::to_string(&id).unwrap(), "9007199254740993");
    }

    #[test]
    fn refused_values_say_what_and_why() {
        assert_eq!(JobId::new(0).unwrap_err().to_string(), "job id must be a positive integer, not 0");
        assert!(WorkerName::new("Upper").unwrap_err().to_string().contains("lower-case"));
        assert!(WorkerName::new("a".repeat(64)).is_err());
        assert!(RepoName::new("no-slash").is_err());
        assert!(RepoName::new("a/b/c").is_err());
        assert!(Login::new("a\u{7}b").is_err());
    }
}
