//! `rrctl jobs`: jobs, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    failure::FailureInfo,
    job::JobPhase,
    policy::NamePrefix,
    ports::{PortResult, ReportStore, Total},
};
use riscv_runner_http::views::{JobView, JobsView, Reader};
use riscv_runner_pg::PgStore;

use super::listing::{self, Asked, Listed};
use crate::{
    args::Listing,
    config::Sources,
    failure::Failure,
    moment::short,
    printer::{Column, Printer, Tone, Value},
};

/// Runs `rrctl jobs`.
pub(crate) async fn run(listing: &Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    listing::run::<JobsView>(listing, sources, printer).await
}

impl Listed for JobsView {
    const PATH: &'static str = "jobs.json";
    const COLUMNS: &'static [Column] = &[
        Column::always("job"),
        Column::always("status"),
        Column::always("repository"),
        Column::rank(2, "labels"),
        Column::rank(3, "pool"),
        Column::always("runner"),
        Column::rank(4, "created"),
        Column::rank(1, "waited"),
        Column::detail("because"),
    ];

    async fn read(store: &PgStore, asked: &Asked, ours: &NamePrefix) -> PortResult<Self> {
        let filter = asked.filter(JobPhase::parse);
        let (rows, total) = store.jobs(asked.window, &filter, asked.page).await?;
        Ok(Self::of(&rows, total, asked.page, Reader::Authenticated, ours, asked.now))
    }

    fn total(&self) -> Total {
        if self.more { Total::AtLeast(self.total_count) } else { Total::Exactly(self.total_count) }
    }

    fn cells(&self) -> Vec<Vec<Value>> {
        self.jobs.iter().map(|job| cells(job, self.as_of)).collect()
    }
}

/// What a phase looks like.
pub(crate) const fn tone(phase: JobPhase) -> Tone {
    match phase {
        JobPhase::Pending => Tone::Waiting,
        JobPhase::Running => Tone::Good,
        JobPhase::Failed => Tone::Bad,
        JobPhase::Completed => Tone::Plain,
    }
}

fn cells(job: &JobView, now: Timestamp) -> Vec<Value> {
    let waited_until = job.job_started_at.or(job.job_completed_at).unwrap_or(now);
    let concluded = job.job_completed_at.and(job.job_conclusion.clone());
    let status = concluded.unwrap_or_else(|| job.status.to_string());
    let because = match (job.job_completed_at, &job.failure_info) {
        (None, Some(FailureInfo::V1(loss))) => Some(&loss.message),
        (Some(_), _) | (None, Some(FailureInfo::V2(_) | FailureInfo::Other(_)) | None) => None,
    };
    let repository = match &job.repo_full_name {
        Some(repo) => repo.to_string(),
        None => format!("{}/(private)", job.entity_name),
    };
    vec![
        Value::number(&job.job_id),
        Value::toned(&status, tone(job.status)),
        repository.into(),
        job.job_labels.originals().join(", ").into(),
        job.k8s_pool.as_str().into(),
        Value::or_dash(job.runner_name.as_ref()),
        format!("{} ago", short(age(now, job.job_created_at))).into(),
        Value::number(&short(age(waited_until, job.job_created_at))),
        Value::or_dash(because),
    ]
}
