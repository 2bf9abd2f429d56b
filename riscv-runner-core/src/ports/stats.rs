//! Sums that pages read from a store: weeks, the last day, and labels that match no rule.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use crate::{
    entity::EntityKind,
    failure::FailureReason,
    ids::{EntityId, Login, RepoName},
    labels::LabelSet,
};

/// How long the workers of one account lived in one week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeekRow {
    /// The Monday with which the week begins, in UTC.
    pub week: Date,
    /// The account.
    pub entity_id: EntityId,
    /// Its login, as its latest worker has it.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// Workers that lived in the week; one that lived into the next counts in both.
    pub workers: u64,
    /// How many seconds of the week they lived in all, from reservation to end.
    pub seconds: u64,
}

/// What happened in a span of time, counted by the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lately {
    /// The waits of jobs that were created in it and found a runner.
    pub waits: Option<Waits>,
    /// Jobs that ended in it, by the hour, counted from its start; hours without any are left out.
    pub ended_by_hour: BTreeMap<u32, u64>,
    /// Workers that were reserved in it.
    pub workers: u64,
    /// Workers that failed in it, by reason.
    pub failures: BTreeMap<FailureReason, u64>,
}

/// How long jobs waited for their runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// How many jobs found a runner.
    pub jobs: u64,
    /// The median wait.
    #[serde(rename = "p50_seconds", serialize_with = "seconds")]
    pub p50: Duration,
    /// The wait that 95 % of them did not exceed.
    #[serde(rename = "p95_seconds", serialize_with = "seconds")]
    pub p95: Duration,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl Waits {
    /// The waits of these jobs; `None` if there are none. A percentile is one of the waits: the smallest that
    /// this share of them does not exceed.
    #[must_use]
    pub fn of(mut waited: Vec<Duration>) -> Option<Self> {
        waited.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (waited.len() * percent).div_ceil(100).max(1);
            waited.get(rank - 1).copied()
        };
        Some(Self { jobs: waited.len() as u64, p50: percentile(50)?, p95: percentile(95)? })
    }
}

/// Jobs of one account that asked for labels that match no rule, and that no other runner took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnroutedRow {
    /// The account.
    pub entity_id: EntityId,
    /// Its login.
    pub entity_name: Login,
    /// Its kind.
    pub entity_type: EntityKind,
    /// The labels.
    pub job_labels: LabelSet,
    /// The repository of the latest of them.
    pub repo_full_name: RepoName,
    /// How many jobs.
    pub jobs: u64,
    /// When the first of them was queued.
    pub first_queued_at: Timestamp,
    /// When the latest of them was queued.
    pub last_queued_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_waits_that_were() {
        let seconds = |range: std::ops::RangeInclusive<u64>| range.map(Duration::from_secs).collect();
        assert_eq!(Waits::of(Vec::new()), None);
        let one = Waits::of(seconds(7..=7)).unwrap();
        assert_eq!((one.p50.as_secs(), one.p95.as_secs()), (7, 7));
        let many = Waits::of(seconds(1..=100)).unwrap();
        assert_eq!((many.jobs, many.p50.as_secs(), many.p95.as_secs()), (100, 50, 95));
    }
}
