//! Jobs whose labels match no rule.

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login, RepoName},
    labels::LabelSet,
    policy::Policy,
    ports::UnroutedRow,
    unrouted::{self, Cause, Unrouted},
};
use serde::{Deserialize, Serialize};

use super::Reader;

/// More label sets than these are most likely for other runners.
const MOST_SETS: usize = 100;

/// Jobs of one account with the same labels that match no rule; no board will serve them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnroutedView {
    /// The account.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The repository of the latest job; `null` where the reader may not know it.
    pub repo_full_name: Option<RepoName>,
    /// The labels.
    pub job_labels: LabelSet,
    /// How many jobs.
    pub jobs: u64,
    /// How many boards serve them: none.
    pub boards: u32,
    /// The likely cause.
    #[serde(flatten)]
    pub cause: Cause,
    /// When the first of them was queued.
    pub first_queued_at: Timestamp,
    /// When the latest of them was queued.
    pub last_queued_at: Timestamp,
}

impl UnroutedView {
    /// Those that deserve attention first, and no more than fit a page.
    pub(super) fn judged(policy: &Policy, rows: &[UnroutedRow], reader: Reader) -> Vec<Self> {
        let judged = unrouted::judge(policy, rows.to_vec()).into_iter().take(MOST_SETS);
        judged.map(|unrouted| Self::of(unrouted, reader)).collect()
    }

    fn of(Unrouted { row, cause }: Unrouted, reader: Reader) -> Self {
        Self {
            entity_id: row.entity_id,
            entity_name: row.entity_name,
            entity_type: row.entity_type,
            // The log does not say which repositories are private.
            repo_full_name: (reader == Reader::Authenticated).then_some(row.repo_full_name),
            job_labels: row.job_labels,
            jobs: row.jobs,
            boards: 0,
            cause,
            first_queued_at: row.first_queued_at,
            last_queued_at: row.last_queued_at,
        }
    }
}
