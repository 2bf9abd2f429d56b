//! A store that is down, or that never answers.

use std::{future::pending, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Recorded},
    ids::{DeliveryGuid, Epoch, JobId, ReplicaName, WorkerName},
    job::{Job, JobPhase},
    ports::{
        Ahead, DeliveryStore, JobRow, Lately, LeaderProof, LeaseStore, Page, PagedJobs, PagedWorkers,
        PortError, PortErrorKind, PortResult, ReportStore, ReportWindow, RowFilter, UnroutedRow, UsageRow,
        WeekRow, WorkerRow,
    },
    worker::WorkerStatus,
};

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// At once, for a reason that passes.
    Down,
    /// At once, by a defect of ours.
    Defective,
    /// By silence.
    Silent,
}

impl Broken {
    async fn fail<T>(self) -> PortResult<T> {
        let kind = match self {
            Self::Down => PortErrorKind::Transient,
            Self::Defective => PortErrorKind::Bug,
            Self::Silent => pending().await,
        };
        Err(PortError::new(kind, "ask the store", "postgres://user:hush@db is down"))
    }
}

#[async_trait]
impl DeliveryStore for Broken {
    async fn record_deliveries(&self, _: &[DeliveryRecord]) -> PortResult<Vec<PortResult<Recorded>>> {
        self.fail().await
    }

    async fn known_deliveries(&self, _: &[DeliveryGuid]) -> PortResult<Vec<DeliveryGuid>> {
        self.fail().await
    }

    async fn last_delivery_at(&self) -> PortResult<Option<Timestamp>> {
        self.fail().await
    }
}

#[async_trait]
impl LeaseStore for Broken {
    async fn acquire_lease(
        &self,
        _: &ReplicaName,
        _: Duration,
        _: Timestamp,
    ) -> PortResult<Option<LeaderProof>> {
        self.fail().await
    }

    async fn release_lease(&self, _: &LeaderProof) -> PortResult<()> {
        self.fail().await
    }

    async fn leader(&self) -> PortResult<Option<(ReplicaName, Epoch, Timestamp)>> {
        self.fail().await
    }
}

#[async_trait]
impl ReportStore for Broken {
    async fn jobs(&self, _: ReportWindow, _: &RowFilter<JobPhase>, _: Page) -> PortResult<PagedJobs> {
        self.fail().await
    }

    async fn workers(
        &self,
        _: ReportWindow,
        _: &RowFilter<WorkerStatus>,
        _: Page,
    ) -> PortResult<PagedWorkers> {
        self.fail().await
    }

    async fn usage(&self) -> PortResult<Vec<UsageRow>> {
        self.fail().await
    }

    async fn job(&self, _: JobId) -> PortResult<Option<JobRow>> {
        self.fail().await
    }

    async fn ahead(&self, _: &Job) -> PortResult<Ahead> {
        self.fail().await
    }

    async fn worker(&self, _: &WorkerName) -> PortResult<Option<WorkerRow>> {
        self.fail().await
    }

    async fn weekly_usage(&self, _: ReportWindow, _: Timestamp) -> PortResult<Vec<WeekRow>> {
        self.fail().await
    }

    async fn lately(&self, _: ReportWindow) -> PortResult<Lately> {
        self.fail().await
    }

    async fn unrouted(&self, _: Timestamp, _: u32) -> PortResult<Vec<UnroutedRow>> {
        self.fail().await
    }
}
