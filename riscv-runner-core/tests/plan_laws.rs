//! Laws of planning on random worlds.

#![expect(clippy::unwrap_used, reason = "a world that cannot be built fails its test")]

mod common;

use std::collections::BTreeMap;

use common::{World, at, key, worker_name};
use jiff::Timestamp;
use proptest::prelude::*;
use riscv_runner_core::{
    backoff::Backoff,
    ids::{EntityId, PoolName, RunnerName, WorkerName},
    job::JobPhase,
    observed::{Observed, Why},
    plan::{Action, Hold, Plan, PodEnd, audit::audit, reconcile, schedule},
    pod::PodPhase,
    policy::{Cap, EntityPolicy, Sharing},
    runner::Sightings,
    scope::ScopeRef,
    snapshot::Snapshot,
    worker::WorkerStatus,
};

#[derive(Debug, Clone)]
struct JobSpec {
    scope: usize,
    label: usize,
    age: i64,
}

#[derive(Debug, Clone)]
struct WorkerSpec {
    scope: usize,
    label: usize,
    age: i64,
    pod: usize,
    node: Option<usize>,
    job: usize,
    listed: usize,
}

const SCOPES: [&str; 4] = ["1", "2", "5/1", "5/2"];
const LABELS: [&str; 3] = ["a", "b", "a,x"];

fn worlds() -> impl Strategy<Value = World> {
    let job =
        (0..4_usize, 0..3_usize, 0..900_i64).prop_map(|(scope, label, age)| JobSpec { scope, label, age });
    let worker = (
        0..4_usize,
        0..3_usize,
        0..900_i64,
        0..7_usize,
        proptest::option::of(0..4_usize),
        0..4_usize,
        0..5_usize,
    )
        .prop_map(|(scope, label, age, pod, node, job, listed)| WorkerSpec {
            scope,
            label,
            age,
            pod,
            node,
            job,
            listed,
        });
    (
        proptest::collection::vec(job, 0..25),
        proptest::collection::vec(worker, 0..12),
        (0..3_u32, 0..4_u32, any::<u64>(), 0..8_u32, any::<bool>()),
    )
        .prop_map(|(jobs, workers, (cap, running, seed, odd, fair))| {
            build(&jobs, &workers, cap, running, seed, odd, fair)
        })
}

fn build(
    jobs: &[JobSpec],
    workers: &[WorkerSpec],
    cap: u32,
    running: u32,
    seed: u64,
    odd: u32,
    fair: bool,
) -> World {
    let shared = BTreeMap::from([("shared".to_owned(), "yes".to_owned())]);
    let mut world = World::new("a:3 b:1").pool("s", shared).node("ab", &[("board", "a"), ("shared", "yes")]);
    world.snapshot.seed = seed;
    for (n, job) in jobs.iter().enumerate() {
        world = world.job(i64::try_from(n).unwrap() + 1, SCOPES[job.scope], LABELS[job.label], job.age);
    }
    world = world.running_jobs(SCOPES[0], LABELS[0], running);
    for (n, spec) in workers.iter().enumerate() {
        world = add_worker(world, &format!("w{n}"), spec);
    }
    if fair {
        world.policy.limits.sharing = Sharing::Fair;
    }
    let special = EntityPolicy { max_workers: Some(Cap::AtMost(cap * 3)), ..EntityPolicy::default() };
    world.policy.entities.insert(EntityId::new(1).unwrap(), special);
    match odd {
        1 => world.snapshot.pods = Observed::Unknown(Why::Failed),
        2 => world.snapshot.nodes = Observed::Unknown(Why::Failed),
        3 => {
            world
                .snapshot
                .backoffs
                .insert(key("1", "a"), Backoff { failures: 1, since: at(20), until: at(-10) });
        }
        4 => world = world.listing_failed("1"),
        5 => {
            world.snapshot.workers.retain(|name, _| *name != worker_name("w0") && *name != worker_name("w1"));
        }
        6 => {
            let names = world.snapshot.workers.keys().cloned().chain([worker_name("stray")]);
            world.snapshot.secrets = Observed::Present(names.map(|name| (name, at(500))).collect());
        }
        _ => {}
    }
    world
}

fn add_worker(world: World, name: &str, spec: &WorkerSpec) -> World {
    let nodes = ["a0", "a1", "a2", "gone"];
    let node = spec.node.map(|node| nodes[node]);
    let (scope, label) = (SCOPES[spec.scope], LABELS[spec.label]);
    let mut world = world.worker(name, scope, label, spec.age);
    let ended = at(spec.age / 2);
    world = match spec.pod {
        0 => world,
        1 => world.pod(name, None, PodPhase::Pending { reason: None }, spec.age),
        2 => world.pod(name, node, PodPhase::Pending { reason: None }, spec.age),
        3 => world.pod(name, node, PodPhase::Succeeded { at: ended }, spec.age),
        4 => {
            world.pod(name, node, PodPhase::Failed { at: ended, exit_code: Some(1), reason: None }, spec.age)
        }
        _ => world.running_worker(name, scope, label, node.unwrap_or("a0"), spec.age),
    };
    world = match spec.job {
        1 => world.runs(name, 900, JobPhase::Running),
        2 => world.runs(name, 901, JobPhase::Completed),
        _ => world,
    };
    match spec.listed {
        1 => world.sightings(name, idle(spec.age)),
        2 => world
            .sightings(name, Sightings { absent_looks: 3, absent_since: Some(at(60)), ..Default::default() }),
        _ => world,
    }
}

fn idle(age: i64) -> Sightings {
    Sightings {
        idle_since: Some(at(age)),
        idle_looks: 3,
        first_online: Some(at(age)),
        ..Sightings::default()
    }
}

fn is_short_of(hold: &Hold, wanted: &PoolName) -> bool {
    matches!(hold, Hold::NoCapacity { pool, .. } if pool == wanted)
}

/// The snapshot that follows if these steps of the plan took effect and nothing else happened.
fn applied(snapshot: &Snapshot, plan: &Plan, takes: &[bool]) -> Snapshot {
    let mut next = World { snapshot: snapshot.clone(), policy: World::new("").policy };
    for (n, step) in plan.steps.iter().enumerate() {
        if !takes.get(n).copied().unwrap_or(true) {
            continue;
        }
        if let Action::Provision(new) = &step.action {
            let template =
                World::new("").worker("t", "1", "a", 0).snapshot.workers[&worker_name("t")].clone();
            let mut worker = template;
            worker.name = new.name.clone();
            worker.scope = new.scope.clone();
            worker.labels = new.labels.clone();
            worker.pool = new.pool.clone();
            next.snapshot.workers.insert(worker.name.clone(), worker);
        }
    }
    next.snapshot
}

/// The snapshot that follows if these steps of a reconciliation took effect and nothing else happened.
fn reconciled(snapshot: &Snapshot, plan: &Plan, takes: &[bool]) -> Snapshot {
    let mut next = snapshot.clone();
    for (n, step) in plan.steps.iter().enumerate() {
        if takes.get(n).copied().unwrap_or(true) {
            take_effect(&mut next, &step.action);
        }
    }
    next
}

/// As the store's compare-and-set: what an earlier step has overtaken changes nothing.
fn take_effect(next: &mut Snapshot, action: &Action) {
    let name = action.worker().clone();
    match action {
        Action::Provision(_) => {}
        Action::NoteBound { .. }
        | Action::MarkRunning { .. }
        | Action::MarkGone { .. }
        | Action::MarkCompleted { .. }
        | Action::End(_)
            if !next.workers.contains_key(&name) => {}
        Action::NoteBound { node, .. } => next.workers.get_mut(&name).unwrap().node = Some(node.clone()),
        Action::MarkRunning { node, at, .. } => {
            let worker = next.workers.get_mut(&name).unwrap();
            (worker.status, worker.running_at) = (WorkerStatus::Running, Some(*at));
            worker.node = node.clone().or_else(|| worker.node.clone());
        }
        Action::MarkGone { .. } => next.workers.get_mut(&name).unwrap().gone_at = Some(next.now),
        Action::MarkCompleted { at, .. } => over(next, &name, WorkerStatus::Completed, *at),
        Action::End(end) => {
            over(next, &name, WorkerStatus::Failed, end.at);
            if let Some(registration) = &end.registration {
                unlist(next, &registration.scope, &name);
            }
            end_pod(next, &name, &end.pod);
        }
        Action::LiftRefusal { image, .. } => drop(next.refused_images.remove(image)),
        Action::Adopt { uid, identity, node, created_at, .. } => {
            let mut row = World::new("").worker("t", "1", "a", 0).snapshot.workers[&worker_name("t")].clone();
            (row.name, row.scope, row.labels) =
                (name.clone(), identity.scope.clone(), identity.labels.clone());
            (row.pool, row.image) = (identity.pool.clone(), identity.image.clone());
            (row.node, row.pod_uid, row.created_at) = (node.clone(), Some(uid.clone()), *created_at);
            next.workers.insert(name, row);
        }
        Action::KillPod { pod, registration, .. } => {
            if let Some(registration) = registration {
                unlist(next, &registration.scope, &name);
            }
            end_pod(next, &name, pod);
        }
        Action::DeletePod { uid, .. } => end_pod(next, &name, &PodEnd::ForceDelete { uid: uid.clone() }),
        Action::DeleteSecret { .. } => {
            if let Observed::Present(secrets) = &mut next.secrets {
                secrets.remove(&name);
            }
        }
        Action::Deregister { registration, .. } => unlist(next, &registration.scope, &name),
    }
}

fn over(next: &mut Snapshot, name: &WorkerName, status: WorkerStatus, ended_at: Timestamp) {
    let mut row = next.workers.remove(name).unwrap();
    (row.status, row.completed_at) = (status, Some(ended_at));
    next.ended.insert(name.clone(), row);
}

fn unlist(next: &mut Snapshot, scope: &ScopeRef, name: &WorkerName) {
    if let Some(Observed::Present(listing)) = next.runners.get_mut(&scope.scope()) {
        listing.remove(&RunnerName::from(name));
    }
}

fn end_pod(next: &mut Snapshot, name: &WorkerName, end: &PodEnd) {
    let Observed::Present(pods) = &mut next.pods else { return };
    match end {
        PodEnd::Nothing => {}
        PodEnd::Kill { .. } => pods.get_mut(name).unwrap().killed = true,
        PodEnd::ForceDelete { .. } => drop(pods.remove(name)),
    }
}

/// So many reconciliations, one after the other, leave nothing to do: what one adopts, the next one
/// brings up to date.
const ROUNDS: usize = 3;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_passes_its_audit(world in worlds()) {
        prop_assert_eq!(audit(&world.snapshot, &world.policy, &schedule(&world.snapshot, &world.policy)), []);
        prop_assert_eq!(audit(&world.snapshot, &world.policy, &reconcile(&world.snapshot, &world.policy)), []);
    }

    #[test]
    fn every_waiting_job_is_served_or_held_exactly_once(world in worlds()) {
        let plan = schedule(&world.snapshot, &world.policy);
        let mut accounted: Vec<_> = plan.held.iter().map(|(job, _)| job).collect();
        accounted.extend(plan.steps.iter().filter_map(|step| step.action.as_provision()?.job));
        accounted.sort();
        let mut waiting: Vec<_> =
            world.snapshot.demand.values().flat_map(|demand| &demand.waiting).map(|job| job.id).collect();
        waiting.sort();
        prop_assert_eq!(accounted, waiting);
    }

    #[test]
    fn equal_input_gives_an_equal_plan_byte_for_byte(world in worlds()) {
        let text = |world: &World| serde_json::to_string(&schedule(&world.snapshot, &world.policy)).unwrap();
        prop_assert_eq!(text(&world), text(&world.clone()));
    }

    #[test]
    fn equal_input_gives_an_equal_reconciliation_byte_for_byte(world in worlds()) {
        let text = |world: &World| serde_json::to_string(&reconcile(&world.snapshot, &world.policy)).unwrap();
        prop_assert_eq!(text(&world), text(&world.clone()));
    }

    #[test]
    fn whatever_part_of_a_reconciliation_is_executed_the_next_is_safe_and_they_come_to_an_end(
        world in worlds(), takes in proptest::collection::vec(any::<bool>(), 40)
    ) {
        let policy = &world.policy;
        let mut next = reconciled(&world.snapshot, &reconcile(&world.snapshot, policy), &takes);
        prop_assert_eq!(audit(&next, policy, &schedule(&next, policy)), []);
        for _ in 0..ROUNDS {
            let plan = reconcile(&next, policy);
            prop_assert_eq!(audit(&next, policy, &plan), []);
            next = reconciled(&next, &plan, &[]);
        }
        prop_assert_eq!(reconcile(&next, policy).steps, vec![]);
    }

    #[test]
    fn a_snapshot_survives_json(world in worlds()) {
        let text = serde_json::to_string(&world.snapshot).unwrap();
        let back: Snapshot = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back, world.snapshot);
    }

    #[test]
    fn a_plan_stays_safe_whichever_part_of_it_is_executed(
        world in worlds(), takes in proptest::collection::vec(any::<bool>(), 40)
    ) {
        let plan = schedule(&world.snapshot, &world.policy);
        let next = applied(&world.snapshot, &plan, &takes);
        let again = schedule(&next, &world.policy);
        prop_assert_eq!(audit(&next, &world.policy, &again), []);
    }

    #[test]
    fn the_plan_after_the_plan_is_empty(world in worlds()) {
        let plan = schedule(&world.snapshot, &world.policy);
        let next = applied(&world.snapshot, &plan, &[]);
        let again = schedule(&next, &world.policy);
        prop_assert_eq!(again.steps, vec![]);
    }

    #[test]
    fn fair_sharing_never_lets_one_account_run_ahead(world in worlds()) {
        let mut world = world;
        world.policy.limits.sharing = Sharing::Fair;
        world.policy.entities.clear();
        let plan = schedule(&world.snapshot, &world.policy);
        let mut live: BTreeMap<EntityId, usize> = BTreeMap::new();
        for worker in world.snapshot.workers.values() {
            *live.entry(worker.scope.entity).or_default() += 1;
        }
        // Whoever gets a worker had no more than any account that still waits for the same pool's slots.
        let owner: BTreeMap<_, _> = world.snapshot.demand.values().flat_map(|demand| &demand.waiting)
            .map(|job| (job.id, job.scope.entity)).collect();
        for step in &plan.steps {
            let Action::Provision(new) = &step.action else { continue };
            let mine = live.get(&new.scope.entity).copied().unwrap_or(0);
            for (job, _) in plan.held.iter().filter(|(_, hold)| is_short_of(hold, &new.pool)) {
                let theirs = live.get(&owner[&job]).copied().unwrap_or(0);
                prop_assert!(mine <= theirs, "{} got a worker with {mine}, while {job} waits with {theirs}", new.scope.entity);
            }
            *live.entry(new.scope.entity).or_default() += 1;
        }
    }
}
