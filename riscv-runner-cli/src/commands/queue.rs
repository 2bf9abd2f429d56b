//! `rrctl queue`: waiting jobs by account, labels and pool, each group with its reason, and jobs whose
//! labels no rule knows.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    entity::EntityKind,
    ids::PoolName,
    plan::Action,
    policy::Policy,
    ports::{Platform, ReportStore, UnroutedRow},
    scope::PoolKey,
    unrouted::{self, Cause, LOOK_BACK, MOST_ROWS},
    why::{self, Reason},
};
use serde::Serialize;

use crate::{
    args::Output,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{self, Moment, short},
    platform::TokioPlatform,
    printer::{Printer, Tone, Value},
    wire,
};

/// The verdict on labels that no rule knows.
const UNROUTED: &str = "no_rule";
/// More label sets than these are for other people's runners, most likely.
const MOST_SETS: usize = 100;

/// Waiting jobs with the same labels, pool and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    scope: String,
    account: Option<String>,
    labels: Vec<String>,
    pool: Option<PoolName>,
    /// Boards that the pool selects; `None` while the cluster cannot be observed.
    boards: Option<usize>,
    jobs: u32,
    oldest: Option<Timestamp>,
    #[serde(serialize_with = "seconds")]
    oldest_age_seconds: Duration,
    verdict: &'static str,
    reason: String,
    /// Since when the oldest of them waits for it.
    since: Option<Timestamp>,
    /// The same, for how long.
    #[serde(skip)]
    held: Option<Duration>,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// Runs `rrctl queue`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let now = TokioPlatform.now();
    let since = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
    let rows = store.unrouted(since, MOST_ROWS).await?;
    let engine = wire::observer(&config).await?;
    let moment = moment::at(engine.snapshot().await?, config.policy);
    let mut groups = groups(&moment);
    groups.extend(without_rule(&moment.policy, rows, now));
    printer.data(output.format, &groups, || print(&groups, printer))
}

/// Writes the groups.
pub(crate) fn print(groups: &[Group], printer: &Printer) {
    if groups.is_empty() {
        printer.line("no job waits");
        return;
    }
    let rows = groups.iter().map(|group| {
        let tone = match group.verdict {
            "provision" => Tone::Good,
            UNROUTED => Tone::Bad,
            _ => Tone::Waiting,
        };
        vec![
            Value::or_dash(group.account.as_ref()),
            group.labels.join(", ").into(),
            Value::or_dash(group.pool.as_ref()),
            Value::or_dash(group.boards.as_ref()),
            Value::number(&group.jobs),
            Value::number(&short(group.oldest_age_seconds)),
            Value::toned(&group.verdict, tone),
            group.held.map_or_else(|| "-".into(), |held| Value::number(&short(held))),
            group.reason.as_str().into(),
        ]
    });
    printer
        .table(&["account", "labels", "pool", "boards", "jobs", "oldest", "verdict", "for", "because"], rows);
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
            let since = || {
                let held = held.get(&job.id).map(|hold| Reason::Held((*hold).clone()));
                why::since(&moment.snapshot, &moment.policy, key, job, &held.unwrap_or(Reason::Provision))
            };
            let group = groups.entry((key, &job.placement.pool, verdict)).or_insert_with(|| Group {
                since: Some(since()),
                held: Some(age(now, since())),
                scope: key.scope.to_string(),
                account: Some(job.scope.login.to_string()),
                labels: key.labels.originals(),
                pool: Some(job.placement.pool.clone()),
                boards: boards(moment, &job.placement.pool),
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

/// How many boards a pool selects, whatever they do.
fn boards(moment: &Moment, pool: &PoolName) -> Option<usize> {
    let nodes = moment.snapshot.nodes.present()?;
    let selector = moment.policy.pools.get(pool).map(|pool| &pool.node_selector);
    Some(nodes.values().filter(|node| selector.is_some_and(|selector| node.matches(selector))).count())
}

/// Jobs whose labels no rule knows, the likely typos first; no board will serve them.
fn without_rule(policy: &Policy, rows: Vec<UnroutedRow>, now: Timestamp) -> Vec<Group> {
    let judged = unrouted::judge(policy, rows).into_iter().take(MOST_SETS);
    judged
        .map(|unrouted| Group {
            scope: match unrouted.row.entity_type {
                EntityKind::Organization => format!("org:{}", unrouted.row.entity_id),
                EntityKind::User => format!("user:{}", unrouted.row.entity_id),
            },
            account: Some(unrouted.row.entity_name.to_string()),
            labels: unrouted.row.job_labels.originals(),
            pool: None,
            boards: Some(0),
            jobs: u32::try_from(unrouted.row.jobs).unwrap_or(u32::MAX),
            oldest: Some(unrouted.row.first_queued_at),
            oldest_age_seconds: age(now, unrouted.row.first_queued_at),
            verdict: UNROUTED,
            reason: match unrouted.cause {
                Cause::NearlyKnown { written, known } => {
                    format!("no rule knows these labels; {written} is almost {known}: a typo?")
                }
                Cause::ForOthers => "a rule has these labels, for other accounts or repositories".to_owned(),
                Cause::Unknown => "no rule knows these labels; most likely another runner's".to_owned(),
            },
            since: Some(unrouted.row.first_queued_at),
            held: Some(age(now, unrouted.row.first_queued_at)),
        })
        .collect()
}
