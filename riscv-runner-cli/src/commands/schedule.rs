//! `rrctl schedule`: one cycle of the scheduler, or what it would do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{JobId, WorkerName},
    plan::{self, Action, Plan, audit::audit},
    policy::Policy,
    ports::{DeliveryStore, PortErrorKind},
    snapshot::Snapshot,
};
use serde::Serialize;

use crate::{
    args::{Format, Schedule},
    commands::snapshot,
    config::{self, Need, Sources},
    failure::{Failure, count},
    printer::{Column, Printer, Tone, Value},
    wire,
    witness::{Witness, authentication_failed},
};

/// What the planner thinks of one waiting job.
#[derive(Debug, Serialize)]
struct Verdict {
    job: JobId,
    labels: Vec<String>,
    repo: Option<String>,
    verdict: &'static str,
    reason: String,
    worker: Option<WorkerName>,
}

/// The result of one cycle.
#[derive(Serialize)]
struct Cycle {
    done: bool,
}

#[derive(Serialize)]
struct DryRun<'a> {
    now: Timestamp,
    verdicts: Vec<Verdict>,
    plan: &'a Plan,
}

/// Runs `rrctl schedule`.
pub(crate) async fn run(schedule: &Schedule, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    if schedule.once {
        return once(schedule.output.format, sources, printer).await;
    }
    let (snapshot, policy) = match &schedule.snapshot {
        Some(path) => {
            let (snapshot, written) = snapshot::read(path)?;
            // A configuration that is named is to be tried on the snapshot.
            let policy = match written.filter(|_| sources.flag.is_none()) {
                Some(policy) => policy,
                None => config::load(sources, Need::Policy).map_err(Failure::Configuration)?.policy,
            };
            (snapshot, policy)
        }
        None => {
            let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
            let engine = wire::observer(&config).await?;
            (engine.snapshot().await?, config.policy)
        }
    };
    dry_run(schedule, &snapshot, &policy, printer)
}

async fn once(format: Format, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    crate::logging::start(&config.server, printer);
    let (witness, mut heard) = Witness::new(None);
    let engine = wire::observer_telling(&config, witness).await?;
    let done = engine.schedule_once().await;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    while let Ok(failure) = heard.failures.try_recv() {
        let record = authentication_failed(&failure, store.as_ref()).await;
        for written in store.record_deliveries(&[record]).await? {
            written?;
        }
    }
    done.map_err(|error| match error.kind() {
        PortErrorKind::Conflict | PortErrorKind::NotLeader => {
            Failure::from(error).hint("a running scheduler holds the lease; `rrctl status` names it")
        }
        PortErrorKind::Transient
        | PortErrorKind::Denied
        | PortErrorKind::NotFound
        | PortErrorKind::RateLimited { .. }
        | PortErrorKind::Bug => error.into(),
    })?;
    printer.data(format, &Cycle { done: true }, || {
        printer.note("one cycle is done");
        Ok(())
    })
}

fn dry_run(
    schedule: &Schedule,
    snapshot: &Snapshot,
    policy: &Policy,
    printer: &Printer,
) -> Result<(), Failure> {
    let plan = plan::schedule(snapshot, policy);
    let broken = audit(snapshot, policy, &plan);
    let verdicts = verdicts(snapshot, &plan);
    let answer = DryRun { now: snapshot.now, verdicts, plan: &plan };
    printer.data(schedule.output.format, &answer, || print(&answer, printer))?;
    match broken.is_empty() {
        true => Ok(()),
        false => {
            let laws = broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Err(Failure::failed(format!("the plan breaks a law and would not be executed: {laws}"))
                .hint("this is a bug; please report it with the output of `rrctl snapshot`"))
        }
    }
}

const VERDICTS: [Column; 5] = [
    Column::always("job"),
    Column::rank(1, "repository"),
    Column::rank(2, "labels"),
    Column::always("verdict"),
    Column::detail("because"),
];
const STEPS: [Column; 4] =
    [Column::always("step"), Column::always("worker"), Column::rank(1, "pool"), Column::detail("because")];

fn print(answer: &DryRun<'_>, printer: &Printer) -> Result<(), Failure> {
    if answer.verdicts.is_empty() {
        printer.line("no job waits")?;
    } else {
        let rows = answer.verdicts.iter().map(|verdict| {
            let tone = if verdict.verdict == "provision" { Tone::Good } else { Tone::Waiting };
            vec![
                Value::number(&verdict.job),
                Value::or_dash(verdict.repo.as_ref()),
                verdict.labels.join(", ").into(),
                Value::toned(&verdict.verdict, tone),
                verdict.reason.as_str().into(),
            ]
        });
        printer.table(&VERDICTS, rows)?;
    }
    let steps = &answer.plan.steps;
    if !steps.is_empty() {
        printer.line("")?;
        let rows = steps.iter().map(|step| {
            vec![
                step.action.name().into(),
                step.action.worker().as_str().into(),
                pool(&step.action).into(),
                step.because.to_string().into(),
            ]
        });
        printer.table(&STEPS, rows)?;
    }
    for finding in &answer.plan.findings {
        printer.warning(&describe(finding));
    }
    let held = answer.plan.held.len();
    printer.note(&format!("{}, {} held", count(steps.len(), "step"), count(held, "job")));
    Ok(())
}

fn pool(action: &Action) -> &str {
    if let Action::Provision(provision) = action { provision.pool.as_str() } else { "-" }
}

fn describe(finding: &plan::Finding) -> String {
    match finding {
        plan::Finding::UnknownPool { pool } => {
            format!("jobs wait for pool {pool}, which the configuration does not have")
        }
        plan::Finding::ImageRefused { image } => {
            format!("GitHub refuses the runner in {image} as outdated: only one worker at a time tries it")
        }
    }
}

/// One verdict for every waiting job that was read, oldest first.
fn verdicts(snapshot: &Snapshot, plan: &Plan) -> Vec<Verdict> {
    let mut served = BTreeMap::new();
    for step in &plan.steps {
        if let Action::Provision(provision) = &step.action
            && let Some(job) = provision.job
        {
            served.insert(job, (provision.name.clone(), step.because.to_string()));
        }
    }
    let held: BTreeMap<JobId, _> = plan.held.iter().collect();
    let mut waiting: Vec<_> = snapshot
        .demand
        .iter()
        .flat_map(|(key, demand)| demand.waiting.iter().map(move |job| (key, job)))
        .collect();
    waiting.sort_by_key(|(_, job)| (job.created_at, job.id));
    let verdict =
        |(key, job): (&riscv_runner_core::scope::PoolKey, &riscv_runner_core::snapshot::PendingJob)| {
            let (verdict, reason, worker) = match (served.remove(&job.id), held.get(&job.id)) {
                (Some((worker, reason)), _) => ("provision", reason, Some(worker)),
                (None, Some(hold)) => (hold.name(), hold.to_string(), None),
                (None, None) => ("unaccounted", "the plan does not mention it".to_owned(), None),
            };
            let (labels, repo) = (key.labels.originals(), Some(job.repo.to_string()));
            Verdict { job: job.id, labels, repo, verdict, reason, worker }
        };
    waiting.into_iter().map(verdict).collect()
}
