//! Sums for pages: weeks of boards by account, and what happened in the last day.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, civil::Date};
use jiff_sqlx::{Date as SqlDate, ToSqlx};
use riscv_runner_core::{
    entity::EntityKind,
    failure::FailureReason,
    ids::{EntityId, Login},
    ports::{Lately, PortResult, ReportWindow, Waits, WeekRow},
};
use sqlx::{FromRow, Row};

use crate::{
    db::Db,
    error::port_error,
    rows::{BadRow, readable},
};

/// Workers that ended in the window (or later) and those that live, each cut into weeks.
pub(crate) const WEEKLY: &str = "WITH lived AS ( \
         SELECT entity_id, entity_name, entity_type::text AS entity_type, created_at, \
                greatest(created_at, $1) AT TIME ZONE 'UTC' AS began, \
                least(completed_at, $2) AT TIME ZONE 'UTC' AS ended \
         FROM workers WHERE completed_at > $1 AND created_at < $2 \
         UNION ALL \
         SELECT entity_id, entity_name, entity_type::text, created_at, \
                greatest(created_at, $1) AT TIME ZONE 'UTC', least($3, $2) AT TIME ZONE 'UTC' \
         FROM workers \
         WHERE status IN ('pending', 'running') AND completed_at IS NULL AND created_at < $2 \
     ) \
     SELECT monday::date AS week, entity_id, entity_type, \
            (array_agg(entity_name ORDER BY created_at DESC, entity_name DESC))[1] AS entity_name, \
            count(*) AS workers, \
            floor(extract(epoch FROM sum(least(ended, monday + interval '7 days') - greatest(began, monday)))) \
                ::bigint AS seconds \
     FROM lived CROSS JOIN LATERAL \
          generate_series(date_trunc('week', began), ended - interval '1 microsecond', interval '7 days') monday \
     WHERE ended > began \
     GROUP BY monday, entity_id, entity_type \
     ORDER BY monday, entity_id";

#[derive(FromRow)]
struct WeekRecord {
    week: SqlDate,
    entity_id: i64,
    entity_name: String,
    entity_type: String,
    workers: i64,
    seconds: i64,
}

impl WeekRecord {
    fn row(self) -> Result<WeekRow, Box<dyn std::error::Error>> {
        let week: Date = self.week.to_jiff();
        Ok(WeekRow {
            week,
            entity_id: EntityId::new(self.entity_id)?,
            entity_name: Login::new(self.entity_name)?,
            entity_type: EntityKind::parse(&self.entity_type).ok_or("an unknown entity_type")?,
            workers: self.workers.unsigned_abs(),
            seconds: self.seconds.unsigned_abs(),
        })
    }
}

/// How long workers lived in each week of the window; those that still live, until `now`.
pub(crate) async fn weekly_usage(db: &Db, window: ReportWindow, now: Timestamp) -> PortResult<Vec<WeekRow>> {
    const OPERATION: &str = "read the weekly usage";
    let rows = db
        .query(WEEKLY)
        .bind(window.start.to_sqlx())
        .bind(window.end.to_sqlx())
        .bind(now.to_sqlx())
        .fetch_all(&db.pool)
        .await
        .map_err(|error| port_error(OPERATION, error))?;
    let records = rows.iter().map(WeekRecord::from_row).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| port_error(OPERATION, error))?;
    Ok(readable(
        records.into_iter().map(|record| record.row().map_err(|error| BadRow::new("weekly usage", error))),
    ))
}

/// How long jobs that were created in the window waited; nearest ranks, as the port has it.
pub(crate) const WAITS: &str = "SELECT count(*), \
            percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY \
                greatest(extract(epoch FROM job_started_at - job_created_at), 0)::double precision) \
     FROM jobs WHERE job_created_at >= $1 AND job_created_at < $2 AND job_started_at IS NOT NULL";

/// Jobs that ended in the window, by its hours.
pub(crate) const ENDED: &str = "SELECT floor(extract(epoch FROM job_completed_at - $1) / 3600)::bigint AS name, count(*) \
     FROM jobs WHERE job_completed_at >= $1 AND job_completed_at < $2 GROUP BY 1";

/// Workers that were reserved in the window.
pub(crate) const RESERVED: &str = "SELECT count(*) FROM workers WHERE created_at >= $1 AND created_at < $2";

/// Workers that failed in the window, by reason.
pub(crate) const FAILED: &str = "SELECT coalesce(failure_reason, failure_info ->> 'reason', 'pod_failed'), count(*) \
     FROM workers WHERE completed_at >= $1 AND completed_at < $2 AND status = 'failed' GROUP BY 1";

/// What happened in the window.
pub(crate) async fn lately(db: &Db, window: ReportWindow) -> PortResult<Lately> {
    const OPERATION: &str = "read the last day";
    let failed = |error| port_error(OPERATION, error);
    let bound = |sql: &'static str| db.query(sql).bind(window.start.to_sqlx()).bind(window.end.to_sqlx());
    let waits = bound(WAITS).fetch_one(&db.pool).await.map_err(failed)?;
    let jobs: i64 = waits.try_get(0).map_err(failed)?;
    let ranks: Option<Vec<f64>> = waits.try_get(1).map_err(failed)?;
    let ended = bound(ENDED).fetch_all(&db.pool).await.map_err(failed)?;
    let workers: i64 =
        bound(RESERVED).fetch_one(&db.pool).await.and_then(|row| row.try_get(0)).map_err(failed)?;
    let failures = bound(FAILED).fetch_all(&db.pool).await.map_err(failed)?;
    let mut lately = Lately {
        waits: ranks.as_deref().and_then(|ranks| waited(jobs.unsigned_abs(), ranks)),
        workers: workers.unsigned_abs(),
        ..Lately::default()
    };
    for row in ended {
        let (hour, count): (i64, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        lately.ended_by_hour.insert(u32::try_from(hour).unwrap_or(0), count.unsigned_abs());
    }
    let mut by_reason: BTreeMap<FailureReason, u64> = BTreeMap::new();
    for row in failures {
        let (name, count): (String, i64) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let known = FailureReason::ALL.into_iter().find(|reason| reason.as_str() == name);
        // As a single row of the reference service is read.
        *by_reason.entry(known.unwrap_or(FailureReason::PodFailed)).or_default() += count.unsigned_abs();
    }
    lately.failures = by_reason;
    Ok(lately)
}

fn waited(jobs: u64, ranks: &[f64]) -> Option<Waits> {
    let [p50, p95] = ranks else { return None };
    let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    Some(Waits { jobs, p50: duration(*p50)?, p95: duration(*p95)? })
}
