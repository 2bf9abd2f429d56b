//! `rrctl why JOB`: the one reason for which a job waits, or its outcome.

use riscv_runner_core::{
    backoff::age,
    failure::FailureInfo,
    ids::JobId,
    job::JobPhase,
    ports::{Platform, ReportStore},
};
use riscv_runner_http::views::{Reader, WhyView};

use crate::{
    args::Why,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{self, short},
    platform::TokioPlatform,
    printer::Printer,
    wire,
};

/// Runs `rrctl why`.
pub(crate) async fn run(why: &Why, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let told = match why.reading.remote.connect_as_anybody(sources)? {
        Some(server) => server.get(&["why", &format!("{}.json", why.job)], &[]).await?,
        None => of_store(why.job, sources).await?,
    };
    printer.data(why.reading.output.format, &told, || {
        printer.line(&format!("{} {}: {}", told.job.job_id, told.job.status, words(&told)))
    })
}

async fn of_store(job: JobId, sources: &Sources) -> Result<WhyView, Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let Some(row) = store.job(job).await? else {
        let hint = format!(
            "its labels may match no rule, or its webhook never arrived: `rrctl trace --job-id {job}` shows which"
        );
        return Err(Failure::failed(format!("job {job} is not known here")).hint(hint));
    };
    let (ours, now) = (&config.policy.name_prefix, TokioPlatform.now());
    // This process does not lead: what only the leader knows of GitHub's limits is missing.
    let why = WhyView::of(&row, Reader::Authenticated, ours, false, now);
    if !row.job.state.phase.is_demand() {
        return Ok(why);
    }
    Ok(why.explained(&moment::look(&config).await?, &row.job))
}

fn words(why: &WhyView) -> String {
    let job = &why.job;
    let on = job.runner_name.as_ref().map_or_else(String::new, |runner| format!(" on {runner}"));
    match job.status {
        JobPhase::Pending => {
            let waited = short(age(why.as_of, job.job_created_at));
            match &why.reason {
                Some(reason) => {
                    let held = short(age(why.as_of, reason.since));
                    format!("{} for {held}, waits for {waited}: {}", reason.name, reason.sentence)
                }
                None => format!("for {waited}; its state has just changed, ask again"),
            }
        }
        JobPhase::Running => format!("it is not waiting: it is running{on}"),
        JobPhase::Completed => {
            let conclusion = job.job_conclusion.as_deref().unwrap_or("without a conclusion");
            format!("ended as {conclusion}{on}")
        }
        JobPhase::Failed => match &job.failure_info {
            Some(FailureInfo::V1(loss)) => format!("given up: {}", loss.message),
            Some(FailureInfo::V2(_) | FailureInfo::Other(_)) | None => "given up".to_owned(),
        },
    }
}
