//! Active demand and supply, in sums.

use std::convert::Infallible;

use riscv_runner_core::{
    job::JobPhase,
    ports::{Page, RowFilter, UsageRow},
    worker::WorkerStatus,
};
use serde::{Deserialize, Serialize};

use super::{Part, part::is_same};

/// Demand and supply by account, pool and labels: `/usage.json`, `rrctl usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageView {
    /// Over all rows of all pages.
    pub totals: Totals,
    /// The part of the rows that this view holds.
    #[serde(flatten)]
    pub part: Part,
    /// The rows.
    pub usage: Vec<UsageRow>,
}

/// Demand and supply, summed over some rows of the usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Waiting jobs.
    pub jobs_pending: u64,
    /// Jobs that a runner has.
    pub jobs_running: u64,
    /// Workers whose pods are starting.
    pub workers_pending: u64,
    /// Workers whose pods are running.
    pub workers_running: u64,
}

impl UsageView {
    /// The requested rows, with their sum.
    #[must_use]
    pub fn shown(mut usage: Vec<UsageRow>, filter: &RowFilter<Infallible>, page: Option<Page>) -> Self {
        usage.retain(|row| {
            filter.pool.as_ref().is_none_or(|pool| row.k8s_pool == *pool)
                && filter.entity.as_ref().is_none_or(|wanted| is_same(&row.entity_name, wanted))
        });
        let totals = Totals::of(&usage);
        let (part, usage) = Part::cut(usage, page);
        Self { totals, part, usage }
    }
}

impl Totals {
    /// The sum of some rows.
    #[must_use]
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a UsageRow>) -> Self {
        rows.into_iter().fold(Self::default(), |sum, row| {
            let jobs = |phase| row.jobs.get(&phase).copied().unwrap_or(0);
            let workers = |status| row.workers.get(&status).copied().unwrap_or(0);
            Self {
                jobs_pending: sum.jobs_pending + jobs(JobPhase::Pending),
                jobs_running: sum.jobs_running + jobs(JobPhase::Running),
                workers_pending: sum.workers_pending + workers(WorkerStatus::Pending),
                workers_running: sum.workers_running + workers(WorkerStatus::Running),
            }
        })
    }
}
