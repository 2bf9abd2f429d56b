//! `rrctl jobs`: jobs, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    job::{Job, JobPhase},
    ports::{JobRow, ReportStore},
};
use serde::Serialize;

use super::listing::{self, Row};
use crate::{
    args::Listing,
    config::Sources,
    failure::Failure,
    moment::short,
    printer::{Printer, Tone, Value},
};

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    job: Job,
    stored_at: Timestamp,
    updated_at: Timestamp,
}

impl Row for Listed {
    const NAME: &'static str = "jobs";
    const COLUMNS: &'static [&'static str] =
        &["job", "status", "repository", "labels", "pool", "runner", "created", "waited"];

    fn cells(&self, now: Timestamp) -> Vec<Value> {
        cells(&self.job, now)
    }
}

/// Runs `rrctl jobs`.
pub(crate) async fn run(listing: Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let listed = |JobRow { job, stored_at, updated_at }| Listed { job, stored_at, updated_at };
    listing::run(listing, sources, printer, async |store, window, page| {
        let (rows, total) = store.jobs(window, page).await?;
        Ok((rows.into_iter().map(listed).collect(), total))
    })
    .await
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

fn cells(job: &Job, now: Timestamp) -> Vec<Value> {
    let (facts, state) = (&job.facts, &job.state);
    let ended = state.end.as_ref().map(|end| end.at);
    let waited_until = state.start.as_ref().map(|start| start.at).or(ended).unwrap_or(now);
    let status = match (&state.end, &state.loss) {
        (Some(end), _) => end.conclusion.clone().unwrap_or_else(|| state.phase.to_string()),
        (None, Some(loss)) => loss.to_string(),
        (None, None) => state.phase.to_string(),
    };
    vec![
        Value::number(&facts.id),
        Value::toned(&status, tone(state.phase)),
        facts.repo.as_str().into(),
        facts.labels.originals().join(", ").into(),
        job.placement.pool.as_str().into(),
        Value::or_dash(state.start.as_ref().and_then(|start| start.runner.as_ref())),
        format!("{} ago", short(age(now, facts.created_at))).into(),
        Value::number(&short(age(waited_until, facts.created_at))),
    ]
}
