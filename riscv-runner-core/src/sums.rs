//! Sums over rows, for stores without a query language to count with. Pure; the contract suite holds every
//! store to the same sums, however it counts them.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Weekday, tz::TimeZone};
use serde::Deserialize;

use crate::{
    backoff::age,
    delivery::LogEntry,
    entity::{Entity, EntityKind},
    ids::{EntityId, JobId, Login, PoolName, RepoName},
    job::Job,
    labels::LabelSet,
    ports::{Lately, ReportWindow, UnroutedRow, UsageRow, Waits, WeekRow},
    worker::Worker,
};

const HOUR: u64 = 3600;

/// Demand and supply by account, pool and labels: of `jobs` those that are demand, of `workers` those that live.
pub fn usage<'a>(
    jobs: impl IntoIterator<Item = &'a Job>,
    workers: impl IntoIterator<Item = &'a Worker>,
) -> Vec<UsageRow> {
    let mut rows: BTreeMap<(EntityId, PoolName, LabelSet), UsageRow> = BTreeMap::new();
    let mut row =
        |id: EntityId, login: &Login, kind: EntityKind, pool: &PoolName, labels: &LabelSet, count| {
            let row = rows.entry((id, pool.clone(), labels.clone())).or_insert_with(|| UsageRow {
                entity_id: id,
                entity_name: login.clone(),
                entity_type: kind,
                k8s_pool: pool.clone(),
                job_labels: labels.clone(),
                jobs: BTreeMap::new(),
                workers: BTreeMap::new(),
            });
            match count {
                Counted::Job(phase) => *row.jobs.entry(phase).or_default() += 1,
                Counted::Worker(status) => *row.workers.entry(status).or_default() += 1,
            }
        };
    for job in jobs.into_iter().filter(|job| job.state.phase.is_demand()) {
        let Entity { id, login, kind } = &job.facts.entity;
        row(*id, login, *kind, &job.placement.pool, &job.facts.labels, Counted::Job(job.state.phase));
    }
    for worker in workers.into_iter().filter(|worker| !worker.status.is_terminal()) {
        let scope = &worker.scope;
        let kind = scope.scope().kind();
        row(scope.entity, &scope.login, kind, &worker.pool, &worker.labels, Counted::Worker(worker.status));
    }
    rows.into_values().collect()
}

enum Counted {
    Job(crate::job::JobPhase),
    Worker(crate::worker::WorkerStatus),
}

/// How long workers lived in each week of the window; see [`crate::ports::ReportStore::weekly_usage`].
pub fn weekly_usage<'a>(
    workers: impl IntoIterator<Item = &'a Worker>,
    window: ReportWindow,
    now: Timestamp,
) -> Vec<WeekRow> {
    let mut weeks: BTreeMap<_, (WeekRow, Timestamp, Duration)> = BTreeMap::new();
    for worker in workers {
        let Some((mut from, until)) = lived(worker, window, now) else { continue };
        while from < until {
            let day = from.to_zoned(TimeZone::UTC).date();
            let monday = day.saturating_sub(day.weekday().since(Weekday::Monday).days());
            let next = monday.saturating_add(7.days()).to_zoned(TimeZone::UTC);
            let next = next.map_or(Timestamp::MAX, |next| next.timestamp());
            let scope = &worker.scope;
            let (row, latest, sum) = weeks.entry((monday, scope.entity)).or_insert_with(|| {
                let row = WeekRow {
                    week: monday,
                    entity_id: scope.entity,
                    entity_name: scope.login.clone(),
                    entity_type: scope.scope().kind(),
                    workers: 0,
                    seconds: 0,
                };
                (row, worker.created_at, Duration::ZERO)
            });
            if worker.created_at >= *latest {
                (row.entity_name, *latest) = (scope.login.clone(), worker.created_at);
            }
            row.workers += 1;
            *sum += age(until.min(next), from);
            from = next;
        }
    }
    weeks.into_values().map(|(row, _, sum)| WeekRow { seconds: sum.as_secs(), ..row }).collect()
}

/// The part of a worker's life within the window.
fn lived(worker: &Worker, window: ReportWindow, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let end = worker.completed_at.or_else(|| (!worker.status.is_terminal()).then_some(now))?;
    Some((worker.created_at.max(window.start), end.min(window.end)))
}

/// What happened in the window; see [`crate::ports::ReportStore::lately`].
pub fn lately<'a>(
    jobs: impl IntoIterator<Item = &'a Job>,
    workers: impl IntoIterator<Item = &'a Worker>,
    window: ReportWindow,
) -> Lately {
    let (mut lately, mut waited) = (Lately::default(), Vec::new());
    for job in jobs {
        if let Some(start) = job.state.start.as_ref().filter(|_| window.contains(job.facts.created_at)) {
            waited.push(age(start.at, job.facts.created_at));
        }
        if let Some(end) = job.state.end.as_ref().filter(|end| window.contains(end.at)) {
            let hour = age(end.at, window.start).as_secs() / HOUR;
            *lately.ended_by_hour.entry(u32::try_from(hour).unwrap_or(u32::MAX)).or_default() += 1;
        }
    }
    for worker in workers {
        lately.workers += u64::from(window.contains(worker.created_at));
        if let (Some((reason, _)), Some(at)) = (&worker.failure, worker.completed_at)
            && window.contains(at)
        {
            *lately.failures.entry(*reason).or_default() += 1;
        }
    }
    Lately { waits: Waits::of(waited), ..lately }
}

/// What the log keeps of a job that no rule knew.
#[derive(Deserialize)]
struct Kept {
    workflow_job: KeptJob,
    repository: KeptRepository,
}

#[derive(Deserialize)]
struct KeptJob {
    id: JobId,
    labels: LabelSet,
}

#[derive(Deserialize)]
struct KeptRepository {
    full_name: RepoName,
}

/// Queued jobs that matched no rule and that no other runner took, among the newest `limit` of `log`: rows
/// whose outcome is [`crate::delivery::Outcome::IgnoredNoLabel`], in the order in which they were written.
pub fn unrouted<'a>(log: impl IntoIterator<Item = &'a LogEntry>, limit: u32) -> Vec<UnroutedRow> {
    let mut newest: Vec<_> = log.into_iter().collect();
    newest.reverse();
    newest.sort_by_key(|entry| Reverse(entry.received_at));
    newest.truncate(limit as usize);
    let mut taken = BTreeSet::new();
    let mut queued: BTreeMap<JobId, (&Entity, Kept, Timestamp)> = BTreeMap::new();
    for entry in newest {
        let Ok(kept) = serde_json::from_str::<Kept>(entry.payload.get()) else { continue };
        let Some(entity) = &entry.entity else { continue };
        match entry.event.as_str() {
            "workflow_job.in_progress" => {
                taken.insert(kept.workflow_job.id);
            }
            "workflow_job.queued" => {
                queued.insert(kept.workflow_job.id, (entity, kept, entry.received_at));
            }
            _ => {}
        }
    }
    let mut groups: BTreeMap<(EntityId, LabelSet), UnroutedRow> = BTreeMap::new();
    for (_, (entity, kept, at)) in queued.into_iter().filter(|(job, _)| !taken.contains(job)) {
        let labels = kept.workflow_job.labels;
        let row = groups.entry((entity.id, labels.clone())).or_insert_with(|| UnroutedRow {
            entity_id: entity.id,
            entity_name: entity.login.clone(),
            entity_type: entity.kind,
            job_labels: labels,
            repo_full_name: kept.repository.full_name.clone(),
            jobs: 0,
            first_queued_at: at,
            last_queued_at: at,
        });
        row.jobs += 1;
        row.first_queued_at = row.first_queued_at.min(at);
        if at >= row.last_queued_at {
            row.last_queued_at = at;
            row.repo_full_name = kept.repository.full_name;
        }
    }
    let mut found: Vec<_> = groups.into_values().collect();
    found.sort_by(|a, b| b.last_queued_at.cmp(&a.last_queued_at).then_with(|| key(a).cmp(&key(b))));
    found
}

const fn key(row: &UnroutedRow) -> (EntityId, &LabelSet) {
    (row.entity_id, &row.job_labels)
}
