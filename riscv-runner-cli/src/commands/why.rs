//! `rrctl why JOB`: the one reason for which a job waits, or what became of it.

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    ids::JobId,
    job::{Job, JobPhase},
    ports::ReportStore,
    why::{self, Reason},
};
use serde::Serialize;

use crate::{
    args::Why,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{self, Moment, short},
    printer::Printer,
    wire,
};

#[derive(Serialize)]
struct Answer {
    job: JobId,
    status: JobPhase,
    reason: Option<&'static str>,
    text: String,
    since: Option<Timestamp>,
    evidence: Option<Reason>,
}

/// Runs `rrctl why`.
pub(crate) async fn run(why: Why, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let Some(row) = store.job(why.job).await? else {
        return Err(Failure::failed(format!("job {} is not known here", why.job))
            .hint("its labels may match no rule (`rrctl route --labels ..`), or its webhook never arrived"));
    };
    let answer = if row.job.state.phase == JobPhase::Pending {
        let engine = wire::observer(&config).await?;
        let moment = moment::at(engine.snapshot().await?, config.policy);
        waiting(&row.job, &moment)
    } else {
        told(&row.job)
    };
    printer.data(why.output.format, &answer, || {
        printer.line(&format!("{} {}: {}", answer.job, answer.status, answer.text));
    })
}

fn waiting(job: &Job, moment: &Moment) -> Answer {
    let now = moment.snapshot.now;
    let waited = short(age(now, job.facts.created_at));
    let reason = why::explain(&moment.snapshot, &moment.plan, job.facts.id);
    let since = reason.as_ref().and_then(|reason| moment.since(&job.facts.key(), job.facts.id, reason));
    let text = match (&reason, since) {
        (Some(reason), Some(since)) => {
            format!("{} for {}, waits for {waited}: {reason}", reason.name(), short(age(now, since)))
        }
        _ => format!("for {waited}; its state has just changed, ask again"),
    };
    Answer {
        job: job.facts.id,
        status: job.state.phase,
        reason: reason.as_ref().map(Reason::name),
        text,
        since,
        evidence: reason,
    }
}

fn told(job: &Job) -> Answer {
    let state = &job.state;
    let runner = state.start.as_ref().and_then(|start| start.runner.as_ref());
    let on = runner.map_or_else(String::new, |runner| format!(" on {runner}"));
    let (text, since) = match (&state.loss, &state.end) {
        (Some(loss), _) => (format!("given up: {loss}"), None),
        (None, Some(end)) => {
            let conclusion = end.conclusion.as_deref().unwrap_or("without a conclusion");
            (format!("ended as {conclusion}{on}"), Some(end.at))
        }
        (None, None) => {
            (format!("it does not wait: it runs{on}"), state.start.as_ref().map(|start| start.at))
        }
    };
    Answer { job: job.facts.id, status: state.phase, reason: None, text, since, evidence: None }
}
