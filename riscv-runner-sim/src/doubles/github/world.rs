//! What the double remembers: accounts, installations, registrations, jobs, deliveries.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use riscv_runner_core::entity::EntityKind;

use super::{auth::PublicKey, deliveries::Attempt, limits::Budgets};

/// An App of the double.
#[derive(Debug, Clone)]
pub struct AppSpec {
    pub(super) id: i64,
    pub(super) kind: EntityKind,
    pub(super) private_key: String,
}

impl AppSpec {
    /// An App with the private key that its owner signs with (PEM, PKCS#1).
    #[must_use]
    pub fn new(id: i64, kind: EntityKind, private_key: impl Into<String>) -> Self {
        Self { id, kind, private_key: private_key.into() }
    }
}

/// A registration, as tests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleRunner {
    /// GitHub's id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Where it is registered: `orgs/LOGIN` or `repos/OWNER/NAME`.
    pub scope: String,
    /// Its group.
    pub group: i64,
    /// Its labels, as they were sent.
    pub labels: Vec<String>,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it runs a job.
    pub busy: bool,
}

/// A job, as tests see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubleJob {
    /// GitHub's id.
    pub id: i64,
    /// Its run.
    pub run: i64,
    /// Its repository, `owner/name`.
    pub repo: String,
    /// Its name.
    pub name: String,
    /// Its `runs-on` labels.
    pub labels: Vec<String>,
    /// `queued`, `waiting`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// The runner that took it.
    pub runner: Option<(i64, String)>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When a runner took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// What an App may do, and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Granted {
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) events: Vec<String>,
}

#[derive(Debug)]
pub(super) struct App {
    pub(super) kind: EntityKind,
    pub(super) key: PublicKey,
    /// Permissions and events, where they are not all that is needed.
    pub(super) granted: Option<Granted>,
}

#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) login: String,
    pub(super) kind: EntityKind,
    pub(super) custom_groups: bool,
    pub(super) runners_disabled: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Repo {
    pub(super) id: i64,
    pub(super) full_name: String,
    pub(super) owner: String,
    pub(super) private: bool,
    pub(super) archived: bool,
    pub(super) actions_off: bool,
    pub(super) runners_disabled: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) app: i64,
    pub(super) account: String,
    pub(super) account_type: Option<String>,
    pub(super) suspended_at: Option<Timestamp>,
    /// The repositories that were chosen, in lower case; `None` for all.
    pub(super) chosen: Option<BTreeSet<String>>,
    pub(super) permissions: BTreeMap<String, String>,
    pub(super) events: BTreeSet<String>,
    pub(super) changed_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) installation: i64,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) visibility: String,
    pub(super) public: bool,
    /// The repositories that may use it, in lower case; `None` for all.
    pub(super) repositories: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) repo: String,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    /// Who started it at first, and who its latest attempt; the owner unless said otherwise.
    pub(super) actors: Option<(String, String)>,
}

/// Everything. Names are keys in lower case, for GitHub compares them so.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) apps: BTreeMap<i64, App>,
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) repos: BTreeMap<String, Repo>,
    pub(super) installations: BTreeMap<i64, Installation>,
    pub(super) tokens: HashMap<String, Token>,
    pub(super) groups: BTreeMap<String, Vec<Group>>,
    pub(super) runners: BTreeMap<i64, DoubleRunner>,
    pub(super) names: HashSet<(String, String)>,
    pub(super) runs: BTreeMap<i64, Run>,
    pub(super) jobs: BTreeMap<i64, DoubleJob>,
    pub(super) jobs_by_run: BTreeMap<i64, Vec<i64>>,
    pub(super) deliveries: Vec<Attempt>,
    pub(super) budgets: Budgets,
    /// Confirmed manifests, by the codes that they can be had for.
    pub(super) manifests: HashMap<String, serde_json::Value>,
    last_id: i64,
}

impl World {
    pub(super) fn new(apps: &[AppSpec]) -> Result<Self, String> {
        let mut world = Self { last_id: 1000, ..Self::default() };
        for app in apps {
            let key = PublicKey::of_private_pem(&app.private_key)
                .map_err(|problem| format!("the private key of App {}: {problem}", app.id))?;
            world.apps.insert(app.id, App { kind: app.kind, key, granted: None });
        }
        Ok(world)
    }

    /// An id that nothing else has.
    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn account(&self, login: &str) -> Option<&Account> {
        self.accounts.get(&login.to_lowercase())
    }

    pub(super) fn repo(&self, full_name: &str) -> Option<&Repo> {
        self.repos.get(&full_name.to_lowercase())
    }
}
