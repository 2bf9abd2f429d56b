//! What operators hold back at run time: pauses, drains, limits and bans, each with its note.

pub mod known;
mod order;
mod written;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    order::{Control, Order, OrderError, Ordered, Verb},
    written::{Unlimited, WrittenCap, WrittenOrder},
};
use crate::{
    ids::{EntityId, IdError, NodeName, PoolName, RepoName, WorkerName},
    policy::Cap,
};

/// Who gave an order, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Why, in the operator's words.
    pub reason: String,
    /// The operator who gave the order.
    pub actor: String,
    /// When the order was given.
    pub since: Timestamp,
}

/// Everything that operators hold back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controls {
    /// Nothing is provisioned at all.
    pub everything_paused: Option<Note>,
    /// Accounts for which nothing is provisioned.
    pub paused_entities: BTreeMap<EntityId, Note>,
    /// Repositories for whose jobs nothing is provisioned.
    pub paused_repos: BTreeMap<RepoName, Note>,
    /// Pools that take no new workers.
    pub drained_pools: BTreeMap<PoolName, Note>,
    /// Nodes that take no new workers.
    pub drained_nodes: BTreeMap<NodeName, Note>,
    /// Caps that win over the configuration.
    pub entity_caps: BTreeMap<EntityId, (Cap, Note)>,
    /// Accounts refused at run time.
    pub banned_entities: BTreeMap<EntityId, Note>,
    /// Live workers that are to be ended now.
    #[serde(default)]
    pub revoked_workers: BTreeMap<WorkerName, Revocation>,
}

/// An order to end a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Who gave it, when, and why.
    pub note: Note,
    /// Whether to end it even if a job runs on it, and whatever GitHub says.
    pub force: bool,
}

/// What a control applies to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum ControlTarget {
    /// Everything.
    Everything,
    /// An account.
    Entity(EntityId),
    /// A repository.
    Repository(RepoName),
    /// A pool.
    Pool(PoolName),
    /// A node.
    Board(NodeName),
    /// A worker.
    Worker(WorkerName),
}

impl ControlTarget {
    /// The kinds, as tables and answers name them.
    pub const KINDS: [&'static str; 6] = ["everything", "entity", "repository", "pool", "board", "worker"];

    /// Its kind, one of [`Self::KINDS`].
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Entity(_) => "entity",
            Self::Repository(_) => "repository",
            Self::Pool(_) => "pool",
            Self::Board(_) => "board",
            Self::Worker(_) => "worker",
        }
    }

    /// Its name; empty for everything.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Everything => String::new(),
            Self::Entity(id) => id.to_string(),
            Self::Repository(name) => name.to_string(),
            Self::Pool(name) => name.to_string(),
            Self::Board(name) => name.to_string(),
            Self::Worker(name) => name.to_string(),
        }
    }

    /// The target of this kind and name.
    ///
    /// # Errors
    /// A kind that is not one of [`Self::KINDS`], or a name that such a thing cannot have.
    pub fn parse(kind: &str, name: &str) -> Result<Self, IdError> {
        Ok(match kind {
            "everything" if name.is_empty() => Self::Everything,
            "everything" => return Err(IdError::new("target everything", "must have no name")),
            "entity" => Self::Entity(name.parse()?),
            "repository" => Self::Repository(RepoName::new(name)?),
            "pool" => Self::Pool(PoolName::new(name)?),
            "board" => Self::Board(NodeName::new(name)?),
            "worker" => Self::Worker(WorkerName::new(name)?),
            other => {
                let kinds = Self::KINDS.join(", ");
                return Err(IdError::new("target", format!("must be one of {kinds}, not {other:?}")));
            }
        })
    }
}

impl fmt::Display for ControlTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Entity(_) | Self::Repository(_) | Self::Pool(_) | Self::Board(_) | Self::Worker(_) => {
                write!(f, "{} {}", self.kind(), self.name())
            }
        }
    }
}

/// One thing that is held back, as listings show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The order that put it in force.
    pub order: Order,
    /// Who gave it, when, and why.
    pub note: Note,
}

impl Controls {
    /// Everything that is held back, in one list: the widest first.
    #[must_use]
    pub fn in_force(&self) -> Vec<InForce> {
        let held = |control, note: &Note| InForce { order: Order::Hold(control), note: note.clone() };
        let mut all: Vec<InForce> = Vec::new();
        all.extend(self.everything_paused.iter().map(|note| held(Control::PauseEverything, note)));
        all.extend(self.paused_entities.iter().map(|(id, note)| held(Control::PauseEntity(*id), note)));
        all.extend(self.banned_entities.iter().map(|(id, note)| held(Control::BanEntity(*id), note)));
        all.extend(self.entity_caps.iter().map(|(id, (cap, note))| InForce {
            order: Order::Limit { entity: *id, cap: *cap },
            note: note.clone(),
        }));
        let repos = self.paused_repos.iter();
        all.extend(repos.map(|(name, note)| held(Control::PauseRepository(name.clone()), note)));
        all.extend(
            self.drained_pools.iter().map(|(name, note)| held(Control::DrainPool(name.clone()), note)),
        );
        let nodes = self.drained_nodes.iter();
        all.extend(nodes.map(|(name, note)| held(Control::DrainBoard(name.clone()), note)));
        all.extend(self.revoked_workers.iter().map(|(name, revocation)| InForce {
            order: Order::Revoke { worker: name.clone(), force: revocation.force },
            note: revocation.note.clone(),
        }));
        all
    }

    /// Carries out an order. The caller must know that a worker to be revoked is live.
    pub fn apply(&mut self, order: &Order, note: &Note) -> Ordered {
        let changed = match order {
            Order::Hold(control) => {
                self.hold(control, note);
                true
            }
            Order::Release(control) => self.release(control),
            Order::Limit { entity, cap } => {
                self.entity_caps.insert(*entity, (*cap, note.clone()));
                true
            }
            Order::ClearLimit { entity } => self.entity_caps.remove(entity).is_some(),
            Order::Revoke { worker, force } => {
                let revocation = Revocation { note: note.clone(), force: *force };
                self.revoked_workers.insert(worker.clone(), revocation);
                true
            }
        };
        if changed { Ordered::Done } else { Ordered::NothingToDo }
    }

    fn hold(&mut self, control: &Control, note: &Note) {
        let note = note.clone();
        match control {
            Control::PauseEverything => self.everything_paused = Some(note),
            Control::PauseEntity(id) => drop(self.paused_entities.insert(*id, note)),
            Control::PauseRepository(name) => drop(self.paused_repos.insert(name.clone(), note)),
            Control::DrainPool(name) => drop(self.drained_pools.insert(name.clone(), note)),
            Control::DrainBoard(name) => drop(self.drained_nodes.insert(name.clone(), note)),
            Control::BanEntity(id) => drop(self.banned_entities.insert(*id, note)),
        }
    }

    fn release(&mut self, control: &Control) -> bool {
        match control {
            Control::PauseEverything => self.everything_paused.take().is_some(),
            Control::PauseEntity(id) => self.paused_entities.remove(id).is_some(),
            Control::PauseRepository(name) => self.paused_repos.remove(name).is_some(),
            Control::DrainPool(name) => self.drained_pools.remove(name).is_some(),
            Control::DrainBoard(name) => self.drained_nodes.remove(name).is_some(),
            Control::BanEntity(id) => self.banned_entities.remove(id).is_some(),
        }
    }
}
