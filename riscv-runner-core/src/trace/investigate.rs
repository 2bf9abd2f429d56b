//! Reads the part of the log that a question needs, folds it, and applies the rules. What is read from the
//! store does not grow with the number of jobs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::{AccountState, Diagnosed, Question, RepoSaid, Says, TraceEvent, diagnose, state_at};
use crate::{
    entity::EntityKind,
    ids::{AppId, EntityId, EventId, InstallationId, JobId, RepoName},
    job::{Job, JobPhase},
    ports::{EventQuery, EventStore, EventsOf, LoggedDelivery, LoggedEvent, Page, PortResult, ReportStore},
};

/// A job has three deliveries, and now and then a late one.
const ROWS_OF_A_JOB: Page = Page { page: 0, per_page: 100 };

/// The stores that the answer is read from.
#[derive(Clone, Copy)]
pub struct TraceStores<'a> {
    /// The log.
    pub events: &'a dyn EventStore,
    /// The jobs.
    pub reports: &'a dyn ReportStore,
    /// What the payload of a row says, according to the adapter of its sender.
    pub says: fn(&LoggedDelivery) -> Says,
}

/// A question about the log.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The account, installation or job in question; not [`EventsOf::Everybody`].
    pub of: EventsOf,
    /// The time of the state: later rows are ignored.
    pub at: Timestamp,
    /// The repository that should be served, where it does not follow from the job.
    pub repo: Option<RepoName>,
    /// The rows to be listed: only those received at or after this time.
    pub start: Timestamp,
    /// The rows to be listed: only those received before this time.
    pub end: Timestamp,
    /// The page of these rows.
    pub page: Page,
    /// Our Apps and the kind of account that each serves.
    pub apps: BTreeMap<AppId, EntityKind>,
}

/// The answer: what happened, the resulting state, and the diagnosis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceReport {
    /// The time of the state.
    pub at: Timestamp,
    /// How many rows there are in the window.
    pub total_count: u64,
    /// The page's number, from 0.
    pub page: u32,
    /// The most rows on a page.
    pub per_page: u32,
    /// The rows of the page, the newest first.
    pub events: Vec<LoggedEvent>,
    /// The job's current row, where the question names one that is known.
    pub job: Option<Job>,
    /// The account and its installations at that time.
    pub state: AccountState,
    /// The diagnosis.
    pub diagnoses: Vec<Diagnosed>,
    /// The rows that the diagnoses name, the oldest first.
    pub evidence: Vec<LoggedEvent>,
}

/// Whom a question turns out to be about.
struct Subject {
    entity: Option<EntityId>,
    installation: Option<InstallationId>,
    /// The job's own rows, or the newest row of any job; the newest first.
    deliveries: Vec<LoggedEvent>,
    /// The repository of the newest of them.
    repo: Option<RepoSaid>,
    job: Option<Job>,
}

/// Answers a question.
///
/// # Errors
/// When the store cannot be read.
pub async fn investigate(stores: TraceStores<'_>, ask: &Ask) -> PortResult<TraceReport> {
    let upto = ask.at.saturating_add(1.microsecond()).unwrap_or(ask.at);
    let window = EventQuery { start: ask.start, end: ask.end.min(upto), ..EventQuery::all(ask.of) };
    let events = stores.events.events(&window, ask.page).await?;
    let total_count = stores.events.count_events(&window).await?;
    let subject = subject(stores, ask, upto).await?;
    let history = stores.events.installation_history(subject.entity, subject.installation, ask.at).await?;
    let mut rows: Vec<TraceEvent> =
        history.into_iter().map(|row| TraceEvent { says: (stores.says)(&row), row: row.event }).collect();
    rows.extend(subject.deliveries.iter().map(|row| TraceEvent { row: row.clone(), says: Says::Job(None) }));
    let state = state_at(&rows, ask.at);
    let diagnoses = diagnose(&state, &question(ask, &subject));
    let named: BTreeSet<EventId> =
        diagnoses.iter().flat_map(|diagnosed| diagnosed.evidence.iter().copied()).collect();
    let evidence: BTreeMap<EventId, LoggedEvent> = rows
        .into_iter()
        .filter(|event| named.contains(&event.row.id))
        .map(|event| (event.row.id, event.row))
        .collect();
    Ok(TraceReport {
        at: ask.at,
        total_count,
        page: ask.page.page,
        per_page: ask.page.per_page,
        events,
        job: subject.job,
        state,
        diagnoses,
        evidence: evidence.into_values().collect(),
    })
}

async fn subject(stores: TraceStores<'_>, ask: &Ask, upto: Timestamp) -> PortResult<Subject> {
    let (entity, installation) = match ask.of {
        EventsOf::Everybody => (None, None),
        EventsOf::Entity(entity) => (Some(entity), None),
        EventsOf::Installation(installation) => {
            let entity = stores.events.entity_of_installation(installation).await?;
            (entity.map(|entity| entity.id), Some(installation))
        }
        EventsOf::Job(job) => return subject_of_job(stores, job, upto).await,
    };
    let deliveries = newest_of_a_job(stores, ask.of, upto).await?;
    let repo = repo_of(stores, deliveries.first()).await?;
    Ok(Subject { entity, installation, deliveries, repo, job: None })
}

async fn subject_of_job(stores: TraceStores<'_>, job: JobId, upto: Timestamp) -> PortResult<Subject> {
    let query = EventQuery { end: upto, ..EventQuery::all(EventsOf::Job(job)) };
    let deliveries = stores.events.events(&query, ROWS_OF_A_JOB).await?;
    let repo = repo_of(stores, deliveries.first()).await?;
    let job = stores.reports.job(job).await?.map(|row| row.job);
    let facts = job.as_ref().map(|job| &job.facts);
    Ok(Subject {
        entity: facts
            .map(|facts| facts.entity.id)
            .or_else(|| deliveries.iter().find_map(|row| row.entity_id)),
        installation: facts
            .map(|facts| facts.installation)
            .or_else(|| deliveries.iter().find_map(|row| row.installation_id)),
        deliveries,
        repo,
        job,
    })
}

async fn newest_of_a_job(
    stores: TraceStores<'_>,
    of: EventsOf,
    upto: Timestamp,
) -> PortResult<Vec<LoggedEvent>> {
    let query = EventQuery { end: upto, event: Some("workflow_job".to_owned()), ..EventQuery::all(of) };
    stores.events.events(&query, Page { page: 0, per_page: 1 }).await
}

/// Its id is in the payload alone.
async fn repo_of(stores: TraceStores<'_>, row: Option<&LoggedEvent>) -> PortResult<Option<RepoSaid>> {
    let Some(row) = row else { return Ok(None) };
    let delivery = stores.events.event(row.id).await?;
    Ok(delivery.and_then(|delivery| match (stores.says)(&delivery) {
        Says::Job(repo) => repo,
        Says::Created { .. }
        | Says::Deleted
        | Says::Suspended
        | Says::Unsuspended
        | Says::Repositories { .. }
        | Says::Renamed { .. }
        | Says::AuthFailed { .. }
        | Says::Stands
        | Says::Nothing => None,
    }))
}

/// What is in use follows from the job; without one, from the last job's delivery.
fn question(ask: &Ask, subject: &Subject) -> Question {
    let facts = subject.job.as_ref().map(|job| &job.facts);
    let newest = subject.deliveries.first();
    let of_job = match (facts, &subject.repo) {
        (Some(facts), _) => Some((facts.repo.clone(), Some(facts.repo_id))),
        (None, Some(repo)) => Some((repo.name.clone(), Some(repo.id))),
        (None, None) => newest.and_then(|row| row.repo_full_name.clone()).map(|name| (name, None)),
    };
    let job = match ask.of {
        EventsOf::Job(job) => Some(job),
        EventsOf::Everybody | EventsOf::Entity(_) | EventsOf::Installation(_) => None,
    };
    // What is over is addressed no more.
    let over = subject.job.as_ref().is_some_and(|job| job.state.phase == JobPhase::Completed);
    let name_of_job = facts.map(|facts| facts.entity.login.clone());
    let cached_name = name_of_job.or_else(|| newest.and_then(|row| row.entity_name.clone()));
    let asked = ask.repo.clone().map(|name| (name, None));
    Question {
        at: ask.at,
        installation: subject.installation,
        repo: asked.or_else(|| job.and(of_job.clone())),
        last_repo: of_job,
        job,
        cached_name: cached_name.filter(|_| !over),
        apps: ask.apps.clone(),
    }
}
