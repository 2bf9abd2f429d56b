//! `rrctl trace`: what the event log holds about an account, an installation or a job, and what is wrong.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    backoff,
    entity::Entity,
    ids::{EntityId, EventId, Login},
    job::JobPhase,
    ports::{EventStore, EventsOf, LoggedEvent, Page, Platform},
    trace::{Ask, Diagnosed, Diagnosis, TraceReport, TraceStores, investigate},
};
use riscv_runner_github::{Unobserved, webhook::says};
use riscv_runner_pg::PgStore;

use crate::{
    args::trace::{Subject, Trace},
    config::{self, Config, Need, Sources},
    failure::Failure,
    platform::TokioPlatform,
    printer::{Column, Printer, Tone, Value},
    remote::Server,
    wire,
};

/// Runs `rrctl trace`.
pub(crate) async fn run(trace: Trace, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let now = TokioPlatform.now();
    let report = match trace.remote.connect(sources)? {
        Some(server) => of_server(&server, &trace, now).await?,
        None => of_store(&trace, sources, printer, now).await?,
    };
    printer.data(trace.output.format, &report, || show(&report, &trace.subject, printer))
}

async fn of_server(server: &Server, trace: &Trace, now: Timestamp) -> Result<TraceReport, Failure> {
    let (kind, whom) = match &trace.subject {
        Subject { entity_id: Some(id), .. } => ("entity", id.to_string()),
        Subject { entity_name: Some(name), .. } => ("entity", name.to_string()),
        Subject { installation_id: Some(id), .. } => ("installation", id.to_string()),
        Subject { job_id: Some(id), .. } => ("job", id.to_string()),
        Subject { .. } => return Err(nobody()),
    };
    let mut query = vec![
        ("start", format!("-{}d", trace.days)),
        ("page", trace.page.to_string()),
        ("per_page", trace.per_page.to_string()),
    ];
    query.extend(trace.at.map(|at| ("at", at.at(now).to_string())));
    query.extend(trace.repo.iter().map(|repo| ("repo", repo.to_string())));
    server.get(&["trace", kind, &whom], &query).await
}

async fn of_store(
    trace: &Trace,
    sources: &Sources,
    printer: &Printer,
    now: Timestamp,
) -> Result<TraceReport, Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let of = match &trace.subject {
        Subject { entity_id: Some(id), .. } => EventsOf::Entity(*id),
        Subject { entity_name: Some(name), .. } => {
            EventsOf::Entity(Box::pin(account(name, &config, &store, printer)).await?)
        }
        Subject { installation_id: Some(id), .. } => EventsOf::Installation(*id),
        Subject { job_id: Some(id), .. } => EventsOf::Job(*id),
        Subject { .. } => return Err(nobody()),
    };
    let at = trace.at.map_or(now, |at| at.at(now));
    let days = Duration::from_secs(u64::from(trace.days) * 24 * 3600);
    let ask = Ask {
        of,
        at,
        repo: trace.repo.clone(),
        start: at.checked_sub(days).unwrap_or(Timestamp::UNIX_EPOCH),
        end: backoff::add(at, Duration::from_secs(1)),
        page: Page { page: trace.page, per_page: trace.per_page },
        apps: config.github.apps.iter().map(|app| (app.app_id, app.kind)).collect(),
    };
    let stores = TraceStores { events: store.as_ref(), reports: store.as_ref(), says };
    Ok(investigate(stores, &ask).await?)
}

/// The command line requires exactly one of them.
fn nobody() -> Failure {
    Failure::Usage { what: "no account, installation or job was given".to_owned(), hint: None }
}

/// The account that has this login, according to GitHub; where it does not say, according to our own rows,
/// which also know former names.
async fn account(
    name: &Login,
    config: &Config,
    store: &PgStore,
    printer: &Printer,
) -> Result<EntityId, Failure> {
    match by_github(name, config).await {
        Ok(Some(entity)) => return Ok(entity.id),
        Ok(None) => {}
        Err(problem) => printer.warning(&format!("{problem}; {name} is looked for in the log")),
    }
    let found = store.entities_named(name).await?;
    let Some((first, others)) = found.split_first() else {
        return Err(Failure::failed(format!("no account named {name} is known here"))
            .hint("no App of ours is installed there, and the log holds no delivery of such an account; check the spelling"));
    };
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(ToString::to_string).collect();
        printer.note(&format!("{name} is account {first}; once so called: {}", others.join(", ")));
    }
    Ok(*first)
}

/// Nothing is asked where no key of an App is at hand.
async fn by_github(name: &Login, config: &Config) -> Result<Option<Entity>, String> {
    if config.github.apps.iter().all(|app| app.private_key.is_none()) {
        return Ok(None);
    }
    let forge = wire::forge(config, Arc::new(Unobserved)).map_err(|failure| failure.what())?;
    forge.account(name).await.map_err(|error| error.chain())
}

fn show(report: &TraceReport, subject: &Subject, printer: &Printer) -> Result<(), Failure> {
    if !report.events.is_empty() {
        printer.table(&COLUMNS, report.events.iter().rev().map(row))?;
    }
    let what = if subject.job_id.is_some() { "of the job" } else { "of the window" };
    printer.note(&format!("{} of {} rows {what}", report.events.len(), report.total_count));
    if let Some(job) = &report.job {
        let lost = job.state.loss.as_ref().map(|loss| format!(": {loss}"));
        printer.line(&format!(
            "\njob {} of {}: {}{}",
            job.facts.id,
            job.facts.repo,
            job.state.phase,
            lost.unwrap_or_default()
        ))?;
        if job.state.phase == JobPhase::Pending {
            printer.line(&format!("  `rrctl why {}` says what it is waiting for", job.facts.id))?;
        }
    }
    for diagnosed in &report.diagnoses {
        printer.line("")?;
        show_diagnosis(diagnosed, report, printer)?;
    }
    Ok(())
}

fn show_diagnosis(diagnosed: &Diagnosed, report: &TraceReport, printer: &Printer) -> Result<(), Failure> {
    let of = diagnosed.installation_id.map_or_else(String::new, |id| format!(" (installation {id})"));
    let rest = format!("{of}: {}", diagnosed.text);
    printer.toned_line(diagnosed.diagnosis.as_str(), tone(diagnosed.diagnosis), &rest)?;
    for row in diagnosed.evidence.iter().filter_map(|id| evidence(report, *id)) {
        printer.line(&format!(
            "  row {}  {}  {}  {}",
            row.id,
            seconds(row.received_at),
            row.event,
            row.outcome
        ))?;
    }
    if let Some(hint) = &diagnosed.hint {
        printer.line(&format!("  hint: {hint}"))?;
    }
    Ok(())
}

fn evidence(report: &TraceReport, id: EventId) -> Option<&LoggedEvent> {
    report.evidence.iter().find(|row| row.id == id)
}

const fn tone(diagnosis: Diagnosis) -> Tone {
    match diagnosis {
        Diagnosis::Healthy => Tone::Good,
        Diagnosis::NothingKnown => Tone::Waiting,
        Diagnosis::Uninstalled
        | Diagnosis::Suspended
        | Diagnosis::WrongApp
        | Diagnosis::RepositoryAccessRemoved
        | Diagnosis::RepositoryNotSelected
        | Diagnosis::AccountRenamed
        | Diagnosis::JobNotAccepted
        | Diagnosis::AuthenticationFailing => Tone::Bad,
    }
}

/// The columns of [`row`].
pub(crate) const COLUMNS: [Column; 8] = [
    Column::always("row"),
    Column::always("received (utc)"),
    Column::always("event"),
    Column::always("outcome"),
    Column::rank(2, "installation"),
    Column::rank(1, "app"),
    Column::rank(4, "job"),
    Column::rank(3, "repository"),
];

/// A row of the log, for a table.
pub(crate) fn row(event: &LoggedEvent) -> Vec<Value> {
    vec![
        Value::number(&event.id),
        seconds(event.received_at).into(),
        event.event.as_str().into(),
        Value::toned(&event.outcome, outcome_tone(&event.outcome)),
        Value::or_dash(event.installation_id),
        Value::or_dash(event.app_id),
        Value::or_dash(event.job_id),
        Value::or_dash(event.repo_full_name.as_ref()),
    ]
}

/// What an outcome looks like.
fn outcome_tone(outcome: &str) -> Tone {
    match outcome {
        "auth_404" | "auth_other_error" => Tone::Bad,
        "ignored_no_label" | "ignored_event" | "banned_entity" => Tone::Waiting,
        _ => Tone::Plain,
    }
}

/// A time to the second, in UTC.
pub(crate) fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}
