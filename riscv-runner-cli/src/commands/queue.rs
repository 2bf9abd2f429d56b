//! `rrctl queue`: waiting jobs by account and labels, each group with its reasons, and jobs whose labels
//! match no rule.

use std::collections::BTreeSet;

use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    ids::{EntityId, Login, RepoName},
    ports::{Platform, ReportStore, RowFilter},
    unrouted::{Cause, LOOK_BACK, MOST_ROWS},
};
use riscv_runner_http::views::{GroupView, QueueView, Reader, Shown, UnroutedView, VerdictView};

use super::narrowing::{Narrowing, Place};
use crate::{
    args::Filtered,
    config::{self, Need, Sources},
    failure::Failure,
    moment::{self, short},
    platform::TokioPlatform,
    printer::{Column, Printer, Tone, Value},
    whole, wire,
};

/// The verdict on labels that match no rule.
const UNROUTED: &str = "no_rule";

/// Runs `rrctl queue`.
pub(crate) async fn run(asked: &Filtered, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let queue: QueueView = match asked.reading.remote.connect_as_anybody(sources)? {
        Some(server) => {
            let (pool, entity) = (asked.pool.as_ref(), asked.entity.as_ref());
            let narrowing = Narrowing::of_server(pool, entity, &server).await?;
            let queue: QueueView = whole::read(&server, &narrowing.query()).await?;
            if queue.queue.is_empty() {
                narrowing.explain_empty(Place::Server(&server), printer).await?;
            }
            queue
        }
        None => of_store(asked, sources, printer).await?,
    };
    printer.data(asked.reading.output.format, &queue, || print(&queue, printer))
}

async fn of_store(asked: &Filtered, sources: &Sources, printer: &Printer) -> Result<QueueView, Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let since = TokioPlatform.now().checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
    let unrouted = store.unrouted(since, MOST_ROWS).await?;
    let narrowing = Narrowing::of_store(asked.pool.as_ref(), asked.entity.as_ref(), &store).await?;
    let picture = moment::look(&config).await?;
    let filter = RowFilter { pool: narrowing.pool.clone(), entity: narrowing.entity.clone(), status: None };
    let shown = Shown { filter: &filter, page: None, reader: Reader::Authenticated };
    // This process does not lead: what only the leader knows of GitHub's limits is missing.
    let queue = QueueView::shown(&picture, &unrouted, &config.policy, false, &shown);
    if queue.queue.is_empty() {
        narrowing.explain_empty(Place::Store(&store, &config), printer).await?;
    }
    Ok(queue)
}

fn print(queue: &QueueView, printer: &Printer) -> Result<(), Failure> {
    if queue.queue.is_empty() && queue.unrouted.is_empty() {
        return printer.line("no job waits");
    }
    let groups = queue
        .queue
        .iter()
        .flat_map(|group| group.verdicts.iter().map(move |verdict| cells(group, verdict, queue.as_of)));
    let without_rule = queue.unrouted.iter().map(|unrouted| cells_without_rule(unrouted, queue.as_of));
    let header = [
        Column::always("account"),
        Column::always("labels"),
        Column::rank(4, "pool"),
        Column::rank(1, "boards"),
        Column::always("jobs"),
        Column::rank(2, "oldest"),
        Column::always("verdict"),
        Column::rank(3, "for"),
        Column::detail("because"),
    ];
    printer.table(&header, groups.chain(without_rule))
}

fn cells(group: &GroupView, verdict: &VerdictView, now: Timestamp) -> Vec<Value> {
    let reason = &verdict.reason;
    let tone = match reason.name.as_str() {
        "provision" | "provisioning" | "pod_pending" | "runner_booting" => Tone::Good,
        _ => Tone::Waiting,
    };
    let pools: Vec<_> = group.pools.iter().map(|share| share.k8s_pool.as_str()).collect();
    let boards: BTreeSet<_> = group.pools.iter().filter_map(|share| share.boards).collect();
    let boards: Vec<_> = boards.iter().map(ToString::to_string).collect();
    let oldest = group.oldest_created_at.map(|oldest| short(age(now, oldest)));
    vec![
        whose(group.entity_id, group.entity_name.as_ref(), group.repo_full_name.as_ref()),
        group.job_labels.originals().join(", ").into(),
        pools.join(", ").into(),
        Value::or_dash((!boards.is_empty()).then(|| boards.join(", "))),
        Value::number(&verdict.jobs),
        oldest.map_or_else(|| "-".into(), |oldest| Value::number(&oldest)),
        Value::toned(&reason.name, tone),
        Value::number(&short(age(now, reason.since))),
        reason.sentence.as_str().into(),
    ]
}

fn cells_without_rule(unrouted: &UnroutedView, now: Timestamp) -> Vec<Value> {
    let waits = short(age(now, unrouted.first_queued_at));
    let because = match &unrouted.cause {
        Cause::NearlyKnown { written, known } => {
            format!("no rule matches these labels; {written} is almost {known}: a typo?")
        }
        Cause::ForOthers => "a rule has these labels, for other accounts or repositories".to_owned(),
        Cause::Unknown => "no rule matches these labels; most likely meant for another runner".to_owned(),
    };
    vec![
        whose(unrouted.entity_id, Some(&unrouted.entity_name), None),
        unrouted.job_labels.originals().join(", ").into(),
        "-".into(),
        Value::number(&unrouted.boards),
        Value::number(&unrouted.jobs),
        Value::number(&waits),
        Value::toned(UNROUTED, Tone::Bad),
        Value::number(&waits),
        because.into(),
    ]
}

/// The repository where each has its own runners, else the account.
fn whose(id: EntityId, login: Option<&Login>, repo: Option<&RepoName>) -> Value {
    match (repo, login) {
        (Some(repo), _) => repo.as_str().into(),
        (None, Some(login)) => login.as_str().into(),
        (None, None) => Value::or_dash(Some(id)),
    }
}
