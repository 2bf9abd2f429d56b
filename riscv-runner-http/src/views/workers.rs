//! Workers, with the names that the table's columns have.

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    failure::{FailureInfo, FailureReason},
    ids::{
        EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PoolName, RepoName, RunnerId, WorkerName,
    },
    labels::LabelSet,
    ports::{Page, Total, WorkerRow},
    scope::Target,
    worker::WorkerStatus,
};
use serde::{Deserialize, Serialize};

use super::{Reader, concealment};

/// A page of workers, newest first, without logs and events: `/workers.json`, `rrctl workers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkersView {
    /// How many rows there are on all pages, as far as they were counted.
    pub total_count: u64,
    /// Whether there may be more: long lists are not counted to the end.
    #[serde(default)]
    pub more: bool,
    /// Which page this is, from 0.
    pub page: u32,
    /// Rows on a page.
    pub per_page: u32,
    /// The rows.
    pub workers: Vec<WorkerView>,
    /// As of when this is.
    pub as_of: Timestamp,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name, which is also the pod's and the runner's.
    pub pod_name: WorkerName,
    /// Always `github`.
    pub provider: String,
    /// The account that it serves.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The installation that its runner was registered with.
    pub installation_id: InstallationId,
    /// The repository; `null` for organizations, and where the reader may not know it.
    pub repo_full_name: Option<RepoName>,
    /// The labels that it is registered with.
    pub job_labels: LabelSet,
    /// Its pool.
    pub k8s_pool: PoolName,
    /// Its image.
    pub k8s_image: ImageRef,
    /// The board that it runs on, once it is bound.
    pub k8s_node: Option<NodeName>,
    /// Its status.
    pub status: WorkerStatus,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// The details of the failure; logs are on the worker's own page, for authenticated readers.
    pub failure_info: Option<FailureInfo>,
    /// GitHub's id of its registration.
    pub runner_id: Option<RunnerId>,
    /// The job that named it.
    pub job_id: Option<JobId>,
    /// When it was reserved.
    pub created_at: Timestamp,
    /// When its container started.
    pub running_at: Option<Timestamp>,
    /// When GitHub first listed it as online.
    pub online_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When its row last changed.
    pub updated_at: Timestamp,
}

impl WorkersView {
    /// A page, as this reader may see it.
    #[must_use]
    pub fn of(rows: &[WorkerRow], total: Total, page: Page, reader: Reader, as_of: Timestamp) -> Self {
        let workers = rows.iter().map(|row| WorkerView::of(row, reader)).collect();
        let (total_count, more) = (total.counted(), matches!(total, Total::AtLeast(_)));
        Self { total_count, more, page: page.page, per_page: page.per_page, workers, as_of }
    }
}

impl WorkerView {
    /// A worker, as this reader may see it.
    #[must_use]
    pub fn of(row: &WorkerRow, reader: Reader) -> Self {
        let worker = &row.worker;
        let repo = match &worker.scope.target {
            Target::Organization => None,
            Target::Repository { name, .. } => {
                concealment::knows_target(reader, worker).then(|| name.clone())
            }
        };
        let failure = worker.failure.as_ref();
        Self {
            pod_name: worker.name.clone(),
            provider: "github".to_owned(),
            entity_id: worker.scope.entity,
            entity_name: worker.scope.login.clone(),
            entity_type: worker.scope.scope().kind(),
            installation_id: worker.scope.installation,
            repo_full_name: repo,
            job_labels: worker.labels.clone(),
            k8s_pool: worker.pool.clone(),
            k8s_image: worker.image.clone(),
            k8s_node: worker.node.clone(),
            status: worker.status,
            failure_reason: failure.map(|(reason, _)| *reason),
            failure_info: failure.map(|(_, info)| concealment::failure(reader, worker, info)),
            runner_id: worker.runner,
            job_id: worker.job.map(|job| job.id),
            created_at: worker.created_at,
            running_at: worker.running_at,
            online_at: worker.online_at,
            completed_at: worker.completed_at,
            updated_at: row.updated_at,
        }
    }
}
