//! The waiting jobs, grouped by what the same runners could serve, and why they wait.

use std::{collections::BTreeMap, convert::Infallible};

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    ids::{EntityId, Login, PoolName, RepoName},
    labels::LabelSet,
    policy::Policy,
    ports::{Page, RowFilter, UnroutedRow},
    scope::Target,
};
use serde::{Deserialize, Serialize};

use super::{Part, Reader, ReasonView, UnroutedView, part::is_same};
use crate::picture::{BoardState, KeyQueue, Picture, Verdict};

/// The waiting jobs: `/queue.json`, `rrctl queue`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueView {
    /// Waiting jobs, over all groups of all pages.
    pub jobs_pending: u64,
    /// The part of the groups that this view holds.
    #[serde(flatten)]
    pub part: Part,
    /// The group with the oldest job first.
    pub queue: Vec<GroupView>,
    /// Jobs whose labels match no rule, the likely typos first.
    pub unrouted: Vec<UnroutedView>,
    /// Whether the reporting process leads: only the leader knows all of GitHub's limits.
    pub leading: bool,
    /// The time of these facts.
    pub as_of: Timestamp,
}

/// Jobs that the same runners could serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupView {
    /// The account.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Option<Login>,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The repository; `null` for organizations, and where the reader may not know it.
    pub repo_full_name: Option<RepoName>,
    /// Their labels.
    pub job_labels: LabelSet,
    /// Their waiting jobs.
    pub jobs_pending: u32,
    /// Their jobs that a runner has.
    pub jobs_running: u32,
    /// When the oldest waiting job was created.
    pub oldest_created_at: Option<Timestamp>,
    /// The pools that they wait for.
    pub pools: Vec<ShareView>,
    /// Why they wait, the most frequent reason first.
    pub verdicts: Vec<VerdictView>,
}

/// The jobs that wait for one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareView {
    /// The pool.
    pub k8s_pool: PoolName,
    /// How many wait for it.
    pub jobs_pending: u32,
    /// Boards that the pool selects; `null` while the cluster cannot be observed.
    pub boards: Option<usize>,
    /// How many of these accept workers of the pool.
    pub boards_usable: Option<usize>,
}

/// Jobs that wait for the same kind of reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictView {
    /// How many jobs wait for it.
    pub jobs: u32,
    /// The reason of the oldest of them.
    #[serde(flatten)]
    pub reason: ReasonView,
}

impl QueueView {
    /// Of those who wait, the ones that are asked for.
    #[must_use]
    pub fn shown(
        picture: &Picture,
        unrouted: &[UnroutedRow],
        policy: &Policy,
        leading: bool,
        Shown { filter, page, reader }: &Shown<'_>,
    ) -> Self {
        let keys: Vec<_> = picture.keys.iter().filter(|key| is_of(key, filter)).collect();
        let jobs_pending = keys.iter().map(|key| u64::from(key.pending)).sum();
        let (part, keys) = Part::cut(keys, *page);
        // Labels without a rule are of no pool.
        let mut unrouted =
            if filter.pool.is_none() { UnroutedView::judged(policy, unrouted, *reader) } else { Vec::new() };
        unrouted.retain(|row| filter.entity.as_ref().is_none_or(|wanted| is_same(&row.entity_name, wanted)));
        Self {
            jobs_pending,
            part,
            queue: keys.into_iter().map(|key| GroupView::of(picture, key, *reader)).collect(),
            unrouted,
            leading,
            as_of: picture.snapshot.now,
        }
    }
}

/// What is shown of the queue, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Groups that wait for this pool, of this account; there is no status.
    pub filter: &'a RowFilter<Infallible>,
    /// Which of them; all of them without one.
    pub page: Option<Page>,
    /// The reader to whom it is shown.
    pub reader: Reader,
}

fn is_of(key: &KeyQueue, filter: &RowFilter<Infallible>) -> bool {
    let login = key.scope.as_ref().map(|scope| &scope.login);
    filter.pool.as_ref().is_none_or(|pool| key.pools.contains_key(pool))
        && filter.entity.as_ref().is_none_or(|wanted| login.is_some_and(|login| is_same(login, wanted)))
}

impl GroupView {
    fn of(picture: &Picture, queue: &KeyQueue, reader: Reader) -> Self {
        let repo = queue.scope.as_ref().and_then(|scope| match &scope.target {
            Target::Repository { name, .. } => Some(name.clone()),
            Target::Organization => None,
        });
        let verdict = |verdict: &Verdict| VerdictView {
            jobs: verdict.jobs,
            reason: ReasonView::shown(&verdict.reason, verdict.since, reader),
        };
        Self {
            entity_id: queue.key.scope.entity(),
            entity_name: queue.scope.as_ref().map(|scope| scope.login.clone()),
            entity_type: queue.key.scope.kind(),
            repo_full_name: repo.filter(|_| reader == Reader::Authenticated),
            job_labels: queue.key.labels.clone(),
            jobs_pending: queue.pending,
            jobs_running: queue.running,
            oldest_created_at: queue.oldest,
            pools: shares(picture, &queue.pools),
            verdicts: queue.verdicts.iter().map(verdict).collect(),
        }
    }
}

fn shares(picture: &Picture, pools: &BTreeMap<PoolName, u32>) -> Vec<ShareView> {
    let share = |(pool, pending): (&PoolName, &u32)| {
        let of_pool = || {
            let boards = picture.boards.as_ref()?.iter();
            Some(boards.filter(|board| board.pools.contains(pool)))
        };
        let drained = picture.snapshot.controls.drained_pools.contains_key(pool);
        let usable = |state| !drained && matches!(state, BoardState::Free | BoardState::Busy);
        ShareView {
            k8s_pool: pool.clone(),
            jobs_pending: *pending,
            boards: of_pool().map(Iterator::count),
            boards_usable: of_pool().map(|boards| boards.filter(|board| usable(board.state)).count()),
        }
    };
    pools.iter().map(share).collect()
}
