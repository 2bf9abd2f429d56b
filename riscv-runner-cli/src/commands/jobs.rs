//! `rrctl jobs`: jobs, newest first.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    job::{Job, JobPhase},
    ports::{JobRow, Platform, ReportStore},
};
use serde::Serialize;

use crate::{
    args::Listing,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{short, window},
    platform::TokioPlatform,
    printer::{Printer, Tone, Value},
    wire,
};

#[derive(Serialize)]
struct Jobs {
    total: u64,
    jobs: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    job: Job,
    stored_at: Timestamp,
    updated_at: Timestamp,
}

/// Runs `rrctl jobs`.
pub(crate) async fn run(listing: Listing, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let (window, page) = window(listing);
    let (rows, total) = store.jobs(window, page).await?;
    let now = TokioPlatform.now();
    let row = |JobRow { job, stored_at, updated_at }| Row { job, stored_at, updated_at };
    let answer = Jobs { total, jobs: rows.into_iter().map(row).collect() };
    printer.data(listing.output.format, &answer, || {
        let header = ["job", "status", "repository", "labels", "pool", "runner", "created", "waited"];
        printer.table(&header, answer.jobs.iter().map(|row| cells(&row.job, now)));
        printer.note(&format!("{} of {total}", answer.jobs.len()));
    })
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
