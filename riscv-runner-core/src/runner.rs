//! Runners: GitHub's registrations, and what repeated polls of them show.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{RunnerId, RunnerName};

/// One registration in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    /// GitHub's id.
    pub id: RunnerId,
    /// Its name; on our runners, the name of a worker.
    pub name: RunnerName,
    /// Whether GitHub calls it online. Known to be wrong at times.
    pub online: bool,
    /// Whether GitHub calls it busy. Known to be wrong at times.
    pub busy: bool,
    /// The runner group that it is in.
    #[serde(default)]
    pub group: Group,
}

/// The runner group of a registration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The one in which we register, or the only one there is.
    #[default]
    Ours,
    /// Another one: another service may use our prefix there, or a runner of ours was moved to it.
    Other,
}

/// The registrations of one scope, by name.
pub type RunnerListing = BTreeMap<RunnerName, Runner>;

/// What consecutive polls showed of one runner. A failed poll changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sightings {
    /// When it was first listed.
    pub first_seen: Option<Timestamp>,
    /// When it was first listed as online.
    pub first_online: Option<Timestamp>,
    /// Since when every poll has found it online and idle.
    pub idle_since: Option<Timestamp>,
    /// How many consecutive polls found it online and idle.
    pub idle_looks: u32,
    /// Since when every poll has found it busy though offline.
    pub lost_since: Option<Timestamp>,
    /// Since when every poll has found it offline and idle.
    #[serde(default)]
    pub offline_since: Option<Timestamp>,
    /// How many consecutive polls found it offline and idle.
    #[serde(default)]
    pub offline_looks: u32,
    /// Whether any poll found it busy.
    pub was_busy: bool,
    /// Since when every poll has found it missing.
    pub absent_since: Option<Timestamp>,
    /// How many consecutive polls found it missing.
    pub absent_looks: u32,
}

impl Sightings {
    /// Adds one successful poll: `Some` if the runner was listed, `None` if it was missing.
    #[must_use]
    pub fn look(&self, listed: Option<&Runner>, now: Timestamp) -> Self {
        let Some(runner) = listed else {
            return Self {
                idle_since: None,
                idle_looks: 0,
                lost_since: None,
                offline_since: None,
                offline_looks: 0,
                absent_since: self.absent_since.or(Some(now)),
                absent_looks: self.absent_looks.saturating_add(1),
                ..self.clone()
            };
        };
        let idle = runner.online && !runner.busy;
        let offline = !runner.online && !runner.busy;
        let was_busy = self.was_busy || runner.busy;
        let lost = !runner.online && was_busy;
        Self {
            first_seen: self.first_seen.or(Some(now)),
            first_online: self.first_online.or(runner.online.then_some(now)),
            idle_since: idle.then_some(self.idle_since.unwrap_or(now)),
            idle_looks: if idle { self.idle_looks.saturating_add(1) } else { 0 },
            lost_since: lost.then_some(self.lost_since.unwrap_or(now)),
            offline_since: offline.then_some(self.offline_since.unwrap_or(now)),
            offline_looks: if offline { self.offline_looks.saturating_add(1) } else { 0 },
            was_busy,
            absent_since: None,
            absent_looks: 0,
        }
    }
}
