//! Sums for pages, counted over the rows as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::{Timestamp, ToSpan, civil::Weekday, tz::TimeZone};
use riscv_runner_core::{
    backoff::age,
    delivery::Outcome,
    entity::Entity,
    ids::{EntityId, JobId, RepoName},
    labels::LabelSet,
    ports::{Lately, ReportWindow, UnroutedRow, Waits, WeekRow},
    worker::Worker,
};
use serde::Deserialize;

use super::{LogRow, reports::contains, rows::Rows};

const HOUR: u64 = 3600;

/// How long workers lived in each week of the window.
pub(super) fn weekly_usage(rows: &Rows, window: ReportWindow, now: Timestamp) -> Vec<WeekRow> {
    let mut weeks: BTreeMap<_, (WeekRow, Timestamp, Duration)> = BTreeMap::new();
    for worker in rows.workers.values().map(|row| &row.worker) {
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

/// What the window showed.
pub(super) fn lately(rows: &Rows, window: ReportWindow) -> Lately {
    let jobs = || rows.jobs.values().map(|row| &row.job);
    let started = jobs().filter(|job| contains(window, job.facts.created_at));
    let waited = started.filter_map(|job| Some(age(job.state.start.as_ref()?.at, job.facts.created_at)));
    let mut lately = Lately { waits: Waits::of(waited.collect()), ..Lately::default() };
    for at in jobs().filter_map(|job| Some(job.state.end.as_ref()?.at)).filter(|at| contains(window, *at)) {
        let hour = age(at, window.start).as_secs() / HOUR;
        *lately.ended_by_hour.entry(u32::try_from(hour).unwrap_or(u32::MAX)).or_default() += 1;
    }
    for worker in rows.workers.values().map(|row| &row.worker) {
        lately.workers += u64::from(contains(window, worker.created_at));
        if let (Some((reason, _)), Some(at)) = (&worker.failure, worker.completed_at)
            && contains(window, at)
        {
            *lately.failures.entry(*reason).or_default() += 1;
        }
    }
    lately
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

/// Queued jobs that no rule knew and nobody else took.
pub(super) fn unrouted(rows: &Rows, since: Timestamp, limit: u32) -> Vec<UnroutedRow> {
    let ignored = |row: &&LogRow| row.outcome == Outcome::IgnoredNoLabel && row.entry.received_at >= since;
    let mut newest: Vec<_> = rows.log.iter().filter(ignored).collect();
    newest.sort_by_key(|row| std::cmp::Reverse((row.entry.received_at, row.id)));
    newest.truncate(limit as usize);
    let mut taken = BTreeSet::new();
    let mut queued: BTreeMap<JobId, (&Entity, Kept, Timestamp)> = BTreeMap::new();
    for row in newest {
        let Ok(kept) = serde_json::from_str::<Kept>(row.entry.payload.get()) else { continue };
        let Some(entity) = &row.entry.entity else { continue };
        match row.entry.event.as_str() {
            "workflow_job.in_progress" => {
                taken.insert(kept.workflow_job.id);
            }
            "workflow_job.queued" => {
                queued.insert(kept.workflow_job.id, (entity, kept, row.entry.received_at));
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
