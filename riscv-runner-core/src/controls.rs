//! What operators hold back at run time: pauses, drains, limits and bans, each with its note.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{EntityId, NodeName, PoolName, RepoName},
    policy::Cap,
};

/// Who decided, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Why, in the operator's words.
    pub reason: String,
    /// Who.
    pub actor: String,
    /// Since when.
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
}

/// What a control speaks of.
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
}
