//! `rrctl drain|undrain|pause|resume|entity|revoke`: orders, checked, written, and their effect shown.

use std::collections::{BTreeMap, BTreeSet};

use riscv_runner_core::{
    controls::{
        Control, ControlTarget, Note, Order, Ordered, Verb, WrittenOrder,
        known::{self, Known, NameProblem},
    },
    ids::{EntityId, IdError, RepoName, WorkerName},
    observed::{Observed, Why},
    ports::{Cluster, ControlStore, Platform, SchedulingStore},
    worker::Worker,
};
use riscv_runner_pg::PgStore;
use serde::Serialize;

use crate::{
    args::{self, CapArgument, Drain, DrainKind, EntityCommand, Pause, PauseKind, Revoke},
    config::{self, Config, Need, Sources},
    failure::{Failure, count},
    platform::TokioPlatform,
    printer::Printer,
    wire,
};

/// How many workers are named; more are counted.
const MOST_NAMED: usize = 5;

/// The result of an order.
#[derive(Serialize)]
struct Answer {
    changed: bool,
    order: WrittenOrder,
    #[serde(flatten)]
    concerned: Concerned,
}

/// Live workers that an order concerns.
#[derive(Default, Serialize)]
struct Concerned {
    /// They keep running; after a revocation, the one that is ended.
    workers: Vec<WorkerName>,
    /// They have no job, and a drain ends them before they take one.
    ending: Vec<WorkerName>,
}

/// An order as it was typed.
struct Asked {
    verb: Verb,
    target: Target,
    cap: Option<CapArgument>,
    /// Names are accepted as they are; a worker is ended even if a job runs on it.
    force: bool,
    note: args::Order,
}

/// The target of an order, before logins are looked up.
enum Target {
    Known(ControlTarget),
    Account(String),
}

/// Runs `rrctl drain` and `rrctl undrain`.
pub(crate) async fn drain(
    verb: Verb,
    drain: Drain,
    sources: &Sources,
    printer: &Printer,
) -> Result<(), Failure> {
    let kind = match drain.kind {
        DrainKind::Board => "board",
        DrainKind::Pool => "pool",
    };
    let target = Target::Known(ControlTarget::parse(kind, &drain.name).map_err(|error| unusable(&error))?);
    let asked = Asked { verb, target, cap: None, force: drain.force, note: drain.order };
    give(asked, sources, printer).await
}

/// Runs `rrctl pause` and `rrctl resume`.
pub(crate) async fn pause(
    verb: Verb,
    pause: Pause,
    sources: &Sources,
    printer: &Printer,
) -> Result<(), Failure> {
    let target = match (pause.kind, pause.name) {
        (PauseKind::All, None) => Target::Known(ControlTarget::Everything),
        (PauseKind::All, Some(name)) => {
            return Err(Failure::usage(format!("`{verb} all` takes no name, but {name:?} was given")));
        }
        (PauseKind::Repo, name) => {
            let name = RepoName::new(name.unwrap_or_default()).map_err(|error| unusable(&error))?;
            Target::Known(ControlTarget::Repository(name))
        }
        (PauseKind::Entity, name) => Target::Account(name.unwrap_or_default()),
    };
    let asked = Asked { verb, target, cap: None, force: pause.force, note: pause.order };
    give(asked, sources, printer).await
}

/// Runs `rrctl entity`.
pub(crate) async fn entity(
    command: EntityCommand,
    sources: &Sources,
    printer: &Printer,
) -> Result<(), Failure> {
    let (verb, entity, cap, force, note) = match command {
        EntityCommand::SetLimit { entity, max_workers, force, order } => {
            (Verb::Limit, entity, Some(max_workers), force, order)
        }
        EntityCommand::ClearLimit { entity, order } => (Verb::ClearLimit, entity, None, false, order),
        EntityCommand::Ban { entity, force, order } => (Verb::Ban, entity, None, force, order),
        EntityCommand::Unban { entity, order } => (Verb::Unban, entity, None, false, order),
    };
    give(Asked { verb, target: Target::Account(entity), cap, force, note }, sources, printer).await
}

/// Runs `rrctl revoke`.
pub(crate) async fn revoke(revoke: Revoke, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let target = Target::Known(ControlTarget::Worker(revoke.worker));
    let asked = Asked { verb: Verb::Revoke, target, cap: None, force: revoke.force, note: revoke.order };
    give(asked, sources, printer).await
}

fn unusable(error: &IdError) -> Failure {
    Failure::usage(error.to_string())
}

async fn give(asked: Asked, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Store).map_err(Failure::Configuration)?;
    let actor = asked.note.actor.clone().unwrap_or_else(wire::operator);
    let note =
        Note::new(&asked.note.reason, &actor, TokioPlatform.now()).map_err(|error| unusable(&error))?;
    let store = wire::store(&wire::store_config(&config, false)?).await?;
    let known = names(&config, &store, &asked).await?;
    let target = match asked.target {
        Target::Known(target) => target,
        Target::Account(text) => ControlTarget::Entity(account(&text, &known)?),
    };
    let order = Order::new(asked.verb, target, asked.cap.map(|CapArgument(cap)| cap), asked.force)
        .map_err(|error| Failure::usage(error.to_string()))?;
    if !asked.force {
        known::check(&order, &known).map_err(|problem| refused(&problem))?;
    }
    let live = store.live_workers().await?;
    spare_running_job(&order, &live)?;
    let changed = store.order(&order, &note).await? == Ordered::Done;
    let answer =
        Answer { changed, order: WrittenOrder::of(&order, &note), concerned: concerned(&order, &live) };
    if !changed {
        without_effect(&order, &store, &live, printer).await?;
    }
    printer.data(asked.note.output.format, &answer, || {
        if changed { printer.line(&effect(&order, &answer.concerned)) } else { Ok(()) }
    })
}

/// What there is, as far as the order needs it.
async fn names(config: &Config, store: &PgStore, asked: &Asked) -> Result<Known, Failure> {
    let mut known = Known {
        pools: config.policy.pools.keys().cloned().collect(),
        boards: None,
        accounts: BTreeMap::new(),
    };
    match &asked.target {
        Target::Account(_) => {
            known.accounts = config.policy.entities.keys().map(|id| (*id, None)).collect();
            let heard = store.known_accounts().await?;
            known.accounts.extend(heard.into_iter().map(|entity| (entity.id, Some(entity.login))));
        }
        Target::Known(ControlTarget::Board(_)) if asked.verb == Verb::Drain && !asked.force => {
            known.boards = Some(boards(config).await);
        }
        Target::Known(_) => {}
    }
    Ok(known)
}

async fn boards(config: &Config) -> Observed<BTreeSet<riscv_runner_core::ids::NodeName>> {
    let Ok(cluster) = wire::cluster(config, &[]).await else { return Observed::Unknown(Why::Failed) };
    match cluster.nodes().await {
        Ok(nodes) => Observed::Present(nodes.into_keys().collect()),
        Err(_) => Observed::Unknown(Why::Failed),
    }
}

fn account(text: &str, known: &Known) -> Result<EntityId, Failure> {
    known.account(text).ok_or_else(|| {
        let logins: Vec<String> =
            known.accounts.values().filter_map(|login| login.as_ref().map(ToString::to_string)).collect();
        let hint = known::suggest(text, &logins);
        Failure::failed(format!("no known account {text:?}"))
            .hint(hint.unwrap_or_else(|| "give its numeric id: it never changes".to_owned()))
    })
}

fn refused(problem: &NameProblem) -> Failure {
    let force = "--force accepts the name as it is";
    let hint = match problem.suggestion() {
        Some(question) if question.ends_with('?') => format!("{question} {force}"),
        Some(names) => format!("{names}; {force}"),
        None => force.to_owned(),
    };
    Failure::failed(problem.to_string()).hint(hint)
}

/// A worker that runs a job is not revoked by accident.
fn spare_running_job(order: &Order, live: &BTreeMap<WorkerName, Worker>) -> Result<(), Failure> {
    let Order::Revoke { worker, force: false } = order else { return Ok(()) };
    match live.get(worker).filter(|worker| worker.runs_known_job()).and_then(|worker| worker.job) {
        Some(job) => Err(Failure::failed(format!("{worker} runs job {}", job.id))
            .hint("it ends by itself after its job; --force ends it now, and the job fails on GitHub")),
        None => Ok(()),
    }
}

fn concerned(order: &Order, live: &BTreeMap<WorkerName, Worker>) -> Concerned {
    let mut concerned = Concerned::default();
    for worker in live.values().filter(|worker| concerns(order, worker)) {
        let is_ended = order.verb() == Verb::Drain && !worker.runs_known_job();
        let list = if is_ended { &mut concerned.ending } else { &mut concerned.workers };
        list.push(worker.name.clone());
    }
    concerned
}

/// Whether the order applies to a live worker.
fn concerns(order: &Order, worker: &Worker) -> bool {
    match order {
        Order::Hold(control) => match control {
            Control::PauseEverything => true,
            Control::PauseEntity(id) | Control::BanEntity(id) => worker.scope.entity == *id,
            Control::DrainPool(name) => worker.pool == *name,
            Control::DrainBoard(name) => worker.node.as_ref() == Some(name),
            // Which repository a worker of an organization serves is GitHub's choice.
            Control::PauseRepository(_) => false,
        },
        Order::Revoke { worker: name, .. } => worker.name == *name,
        Order::Release(_) | Order::Limit { .. } | Order::ClearLimit { .. } => false,
    }
}

fn effect(order: &Order, concerned: &Concerned) -> String {
    let target = order.target();
    let what = match order.verb() {
        Verb::Pause if target == ControlTarget::Everything => {
            "everything is paused: nothing is provisioned".to_owned()
        }
        Verb::Pause => format!("{target} is paused: nothing is provisioned for it"),
        Verb::Resume => format!("{target} is no longer paused"),
        Verb::Drain => format!("{target} is drained: nothing new is placed on it"),
        Verb::Undrain => format!("{target} accepts workers again"),
        Verb::Limit => match order.cap().and_then(riscv_runner_core::policy::Cap::get) {
            Some(n) => format!("{target} may have {}", count(n as usize, "worker")),
            None => format!("{target} may have as many workers as there are boards"),
        },
        Verb::ClearLimit => format!("{target} may have as many workers as the configuration says"),
        Verb::Ban => format!("{target} is banned: its new jobs are refused"),
        Verb::Unban => format!("{target} is no longer banned"),
        Verb::Revoke => format!("{target} is revoked: the leader deregisters it and ends its pod now"),
    };
    let Concerned { workers, ending } = concerned;
    let parts = match order.verb() {
        Verb::Revoke => [None, None],
        Verb::Drain => [
            tell(workers, "runs a job and keeps running", "run jobs and keep running"),
            tell(ending, "has no job and is ended", "have no job and are ended"),
        ],
        Verb::Pause
        | Verb::Resume
        | Verb::Undrain
        | Verb::Limit
        | Verb::ClearLimit
        | Verb::Ban
        | Verb::Unban => [tell(workers, "goes on", "go on"), None],
    };
    parts.into_iter().flatten().fold(what, |what, part| format!("{what}; {part}"))
}

/// What so many workers do, and which they are where they are few.
fn tell(workers: &[WorkerName], one_does: &str, several_do: &str) -> Option<String> {
    let names: Vec<&str> = workers.iter().map(WorkerName::as_str).collect();
    let what = match names.len() {
        0 => return None,
        1 => format!("1 worker {one_does}"),
        n => format!("{n} workers {several_do}"),
    };
    Some(if names.len() <= MOST_NAMED { format!("{what}: {}", names.join(", ")) } else { what })
}

/// Says why nothing was changed; an unknown worker is a failure, an order that changes nothing is not.
async fn without_effect(
    order: &Order,
    store: &PgStore,
    live: &BTreeMap<WorkerName, Worker>,
    printer: &Printer,
) -> Result<(), Failure> {
    if let Order::Revoke { worker, .. } = order {
        return match store.workers_named(std::slice::from_ref(worker)).await?.remove(worker) {
            Some(row) => {
                printer.warning(&format!("{worker} has ended already ({}): nothing was changed", row.status));
                Ok(())
            }
            None => {
                let names: Vec<String> = live.keys().map(ToString::to_string).collect();
                let hint = known::suggest(worker.as_str(), &names);
                Err(Failure::failed(format!("there is no worker {worker}"))
                    .hint(hint.unwrap_or_else(|| "`rrctl workers` lists them".to_owned())))
            }
        };
    }
    let controls = store.standing().await?.controls;
    let same_kind: Vec<String> = controls
        .in_force()
        .iter()
        .map(|one| one.order.target())
        .filter(|target| target.kind() == order.target().kind())
        .map(|target| target.name())
        .collect();
    let target = order.target();
    let so = match order.verb() {
        Verb::Resume => format!("{target} is not paused"),
        Verb::Undrain => format!("{target} is not drained"),
        Verb::ClearLimit => format!("{target} has no limit from an order"),
        Verb::Unban => format!("{target} is not banned by an order"),
        verb @ (Verb::Pause | Verb::Drain | Verb::Limit | Verb::Ban | Verb::Revoke) => {
            format!("{target}: nothing to {verb}")
        }
    };
    printer.warning(&format!("{so}: nothing was changed"));
    printer.hint(known::suggest(&order.target().name(), &same_kind).as_deref());
    Ok(())
}
