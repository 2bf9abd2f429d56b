//! `rrctl queue`: waiting jobs by account, labels and pool, each group with its reason.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{backoff::age, ids::PoolName, plan::Action, scope::PoolKey};
use serde::Serialize;

use crate::{
    args::Output,
    config::Sources,
    failure::Failure,
    moment::{self, Moment, short},
    printer::{Printer, Tone, Value},
};

/// Waiting jobs with the same labels, pool and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    scope: String,
    account: Option<String>,
    labels: Vec<String>,
    pool: Option<PoolName>,
    jobs: u32,
    oldest: Option<Timestamp>,
    #[serde(serialize_with = "seconds")]
    oldest_age_seconds: Duration,
    verdict: &'static str,
    reason: String,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// Runs `rrctl queue`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let moment = moment::look(sources).await?;
    let groups = groups(&moment);
    printer.data(output.format, &groups, || print(&groups, printer))
}

/// Writes the groups.
pub(crate) fn print(groups: &[Group], printer: &Printer) {
    if groups.is_empty() {
        printer.line("no job waits");
        return;
    }
    let rows = groups.iter().map(|group| {
        let tone = if group.verdict == "provision" { Tone::Good } else { Tone::Waiting };
        vec![
            Value::or_dash(group.account.as_ref()),
            group.labels.join(", ").into(),
            Value::or_dash(group.pool.as_ref()),
            Value::number(&group.jobs),
            Value::number(&short(group.oldest_age_seconds)),
            Value::toned(&group.verdict, tone),
            group.reason.as_str().into(),
        ]
    });
    printer.table(&["account", "labels", "pool", "jobs", "oldest", "verdict", "because"], rows);
}

/// The waiting jobs by key, pool and verdict, the longest waiting first.
pub(crate) fn groups(moment: &Moment) -> Vec<Group> {
    let served = moment.plan.steps.iter().filter_map(|step| match &step.action {
        Action::Provision(provision) => Some((provision.job?, step.because.to_string())),
        Action::NoteBound { .. }
        | Action::MarkRunning { .. }
        | Action::MarkCompleted { .. }
        | Action::MarkGone { .. }
        | Action::End(_)
        | Action::Adopt { .. }
        | Action::KillPod { .. }
        | Action::DeletePod { .. }
        | Action::DeleteSecret { .. }
        | Action::Deregister { .. } => None,
    });
    let served: BTreeMap<_, _> = served.collect();
    let held: BTreeMap<_, _> = moment.plan.held.iter().collect();
    let now = moment.snapshot.now;
    let mut groups: BTreeMap<(&PoolKey, &PoolName, &'static str), Group> = BTreeMap::new();
    for (key, demand) in &moment.snapshot.demand {
        for job in &demand.waiting {
            let (verdict, reason) = match (served.get(&job.id), held.get(&job.id)) {
                (Some(because), _) => ("provision", because.clone()),
                (None, Some(hold)) => (hold.name(), hold.to_string()),
                (None, None) => ("unaccounted", String::new()),
            };
            let group = groups.entry((key, &job.placement.pool, verdict)).or_insert_with(|| Group {
                scope: key.scope.to_string(),
                account: Some(job.scope.login.to_string()),
                labels: key.labels.originals(),
                pool: Some(job.placement.pool.clone()),
                jobs: 0,
                oldest: Some(job.created_at),
                oldest_age_seconds: age(now, job.created_at),
                verdict,
                reason,
            });
            group.jobs += 1;
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| group.oldest);
    groups
}
