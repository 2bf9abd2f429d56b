//! Scenarios: what a whole world must achieve, in figures, beside keeping the laws.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    entity::EntityKind,
    failure::FailureReason,
    job::JobPhase,
    policy::Cap,
    ports::{Cluster as _, LeaderProof, PortErrorKind, SchedulingStore},
};
use riscv_runner_sim::{
    faults::{FaultKind, FaultProfile, ProcessFaults, WebhookFaults},
    world::{AccountSpec, Arrival, BoardSpec, Replica, World, WorldConfig},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// One organization with ten repositories and 200 boards of one kind, on which jobs take 40 min on
/// average: a thousand jobs at once, and from then on as many as end.
fn a_thousand_active_jobs() -> WorldConfig {
    let mut config = WorldConfig::demo(1, 1000 + 24 * 320, 200);
    config.boards = vec![BoardSpec { count: 200, ..config.boards.remove(0) }];
    config.accounts = vec![AccountSpec { kind: EntityKind::Organization, repositories: 10 }];
    config.arrival = Arrival::Level { jobs: 1000 };
    config.work = (20 * MINUTE, 60 * MINUTE);
    config.limits.default_max_workers = Cap::Unlimited;
    let webhooks = WebhookFaults { lost: 0.1, ..WebhookFaults::default() };
    config.profile = FaultProfile { name: "scenario".to_owned(), webhooks, ..FaultProfile::default() };
    config.faults_for = 24 * HOUR;
    config
}

#[test]
#[expect(clippy::print_stdout, reason = "figures are for people")]
fn a_thousand_active_jobs_for_a_day_cost_few_requests_and_lost_ends_are_noticed_soon() {
    let mut world = World::new(a_thousand_active_jobs());
    world.keep_no_trace();
    let mut before = 0;
    let (mut requests, mut active) = (Vec::new(), Vec::new());
    for _ in 0..24 {
        let end = world.clock().elapsed() + HOUR;
        world.run_until(2 * HOUR, |world| world.clock().elapsed() >= end);
        assert_eq!(world.violations(), []);
        let summary = world.summary();
        let reconciliation = summary.github_requests - summary.registrations;
        requests.push(reconciliation - before);
        before = reconciliation;
        let jobs = world.store().all_jobs();
        active.push(jobs.iter().filter(|row| row.job.state.phase < JobPhase::Failed).count());
    }
    let delays = world.unheard_ends();
    let mean = delays.iter().sum::<Duration>() / u32::try_from(delays.len()).unwrap();
    let longest = delays.iter().max().unwrap();
    println!("requests per hour {requests:?}, active jobs {active:?}");
    println!("{} lost ends noticed after {mean:?} on average, {longest:?} at most", delays.len());
    assert!(delays.len() > 300, "{}", delays.len());
    assert!(active.iter().all(|active| (900..1100).contains(active)), "{active:?}");
    assert!(requests.iter().all(|requests| *requests < 2500), "{requests:?}");
    assert!(mean < 3 * MINUTE, "{mean:?}");
}

/// Two replicas with jobs that keep coming, under this profile for an hour.
fn an_hour_of_two_replicas(seed: u64, profile: FaultProfile) -> WorldConfig {
    let mut config = WorldConfig::drawn(seed, profile);
    config.replicas = 2;
    config.jobs = 360;
    config.arrival = Arrival::Poisson { mean: Duration::from_secs(10) };
    config.faults_for = HOUR;
    config.limits.default_max_workers = Cap::AtMost(3);
    config
}

#[test]
fn two_replicas_are_never_above_a_cap() {
    for name in ["light", "crashes", "chaos"] {
        let profile = FaultProfile::named(name).unwrap();
        let profile =
            FaultProfile { processes: ProcessFaults { pauses: 4.0, ..profile.processes }, ..profile };
        let mut world = World::new(an_hour_of_two_replicas(11, profile));
        world.keep_no_trace();
        let (mut reached, mut at_once) = (0, 0);
        world.run_until(2 * HOUR, |world| {
            let mut live = std::collections::BTreeMap::<_, u32>::new();
            for row in world.store().all_workers().iter().filter(|row| !row.worker.status.is_terminal()) {
                *live.entry(row.worker.scope.entity).or_default() += 1;
            }
            reached = reached.max(live.values().copied().max().unwrap_or_default());
            at_once = at_once.max(world.replicas().iter().filter(|replica| !replica.paused).count());
            world.clock().elapsed() >= HOUR
        });
        assert_eq!(world.violations(), [], "{name}");
        assert_eq!((reached, at_once), (3, 2), "{name}: the cap is reached, and never passed");
        let summary = world.summary();
        assert!(summary.jobs > 250 && summary.conclusions["success"] > 50, "{name}: {summary:?}");
        assert!(summary.faults[&FaultKind::Paused] > 0, "{name}: {:?}", summary.faults);
    }
}

#[test]
fn nobody_is_killed_while_listings_of_runners_answer_500() {
    let mut config = WorldConfig::drawn(5, FaultProfile::default());
    config.jobs = 30;
    config.arrival = Arrival::Burst;
    config.work = (8 * MINUTE, 20 * MINUTE);
    config.limits.default_max_workers = Cap::Unlimited;
    let mut world = World::new(config);
    let running =
        |world: &World| world.store().all_workers().iter().filter(|row| row.worker.runs_known_job()).count();
    assert!(world.run_until(HOUR, |world| running(world) >= 3));
    let failed = |world: &World| -> u64 { world.summary().failures.values().sum() };
    let (before, began) = (failed(&world), world.clock().elapsed());
    world.break_operation("list runners", 10 * MINUTE);
    world.run_until(HOUR, |world| world.clock().elapsed() >= began + 10 * MINUTE);
    assert!(running(&world) > 0, "jobs still run");
    assert_eq!(failed(&world), before, "{:?}", world.summary().failures);
    world.run_to_rest(24 * HOUR);
    let summary = world.summary();
    assert_eq!(world.violations(), []);
    assert_eq!(summary.conclusions.get("success"), Some(&summary.jobs), "{:?}", summary.conclusions);
}

#[test]
fn a_worker_revoked_by_force_ends_although_its_pod_could_not_be_ended_at_first() {
    let mut config = WorldConfig::drawn(5, FaultProfile::default());
    config.jobs = 6;
    config.arrival = Arrival::Burst;
    config.work = (HOUR, 2 * HOUR);
    let mut world = World::new(config);
    let busy = |world: &World| {
        let rows = world.store().all_workers();
        rows.into_iter().find(|row| row.worker.runs_known_job()).map(|row| row.worker.name)
    };
    assert!(world.run_until(HOUR, |world| busy(world).is_some()));
    let name = busy(&world).unwrap();
    world.break_operation("kill a pod", 3 * MINUTE);
    world.revoke_by_force(name.clone());
    let end = world.clock().elapsed() + 10 * MINUTE;
    world.run_until(HOUR, |world| world.clock().elapsed() >= end);
    let cluster = world.cluster();
    let pods = world.visit(MINUTE, async move { cluster.pods().await }).unwrap().unwrap();
    assert!(pods.get(&name).is_none_or(|pod| !pod.holds_slot()), "{:?}", pods.get(&name));
    let rows = world.store().all_workers();
    let row = rows.iter().find(|row| row.worker.name == name).unwrap();
    assert_eq!(row.worker.failure.as_ref().map(|(reason, _)| *reason), Some(FailureReason::Revoked));
    assert_eq!(world.violations(), []);
}

fn leader(world: &World) -> Option<&Replica> {
    world.replicas().iter().find(|replica| !replica.paused && replica.engine.leading().borrow().is_some())
}

#[test]
fn a_leader_that_slept_through_its_lease_writes_nothing() {
    let mut config = an_hour_of_two_replicas(7, FaultProfile::default());
    config.jobs = 60;
    let mut world = World::new(config);
    for _ in 0..10 {
        assert!(world.run_until(MINUTE, |world| leader(world).is_some()));
        let epoch = leader(&world).unwrap().engine.leading().borrow().as_ref().unwrap().proof.epoch();
        let began = world.clock().elapsed();
        assert!(world.pause_leader(MINUTE / 2));
        assert!(world.run_until(MINUTE, |world| leader(world).is_some()), "nobody took over");
        let took = world.clock().elapsed() - began;
        assert!(took <= Duration::from_secs(10), "the take-over took {took:?}");
        // A clock that stood still with its process would not know that its time is over.
        let late = LeaderProof::issued_by_lease_store(epoch, Timestamp::MAX);
        let store = world.store();
        let write = async move { store.note_deliveries_swept(&late, Timestamp::MAX).await };
        let refused = world.visit(MINUTE, write).expect("the store answers").unwrap_err();
        assert_eq!(refused.kind(), PortErrorKind::NotLeader);
        assert!(world.run_until(MINUTE, |world| world.replicas().iter().all(|replica| !replica.paused)));
    }
    world.run_to_rest(24 * HOUR);
    assert_eq!(world.violations(), []);
    assert_eq!(world.summary().faults[&FaultKind::Paused], 10);
}

#[test]
fn a_leader_that_is_asked_to_stop_ends_what_it_began_hands_the_rest_back_and_gives_up_the_lease() {
    let mut config = an_hour_of_two_replicas(3, FaultProfile::default());
    config.boards = WorldConfig::demo(1, 1, 12).boards;
    config.jobs = 12;
    config.arrival = Arrival::Burst;
    config.limits.default_max_workers = Cap::Unlimited;
    config.limits.provision_concurrency = 1;
    config.github_latency = (Duration::from_secs(2), Duration::from_secs(3));
    let mut world = World::new(config);
    let reserved = |world: &World| {
        let rows = world.store().all_workers();
        rows.iter().filter(|row| !row.worker.status.is_terminal() && row.worker.pod_uid.is_none()).count()
    };
    assert!(world.run_until(HOUR, |world| reserved(world) >= 5), "one worker is made after the other");
    let first = leader(&world).unwrap().index;
    let asked = world.clock().elapsed();
    assert!(world.restart_leader());
    let other_leads = |world: &World| leader(world).is_some_and(|replica| replica.index != first);
    assert!(world.run_until(MINUTE, other_leads));
    let took = world.clock().elapsed() - asked;
    assert!(took < Duration::from_secs(10), "the lease was given back after {took:?}");
    world.run_to_rest(24 * HOUR);
    let summary = world.summary();
    assert_eq!(world.violations(), []);
    assert_eq!(summary.conclusions.get("success"), Some(&summary.jobs));
    let failures: Vec<_> = summary.failures.keys().map(String::as_str).collect();
    assert_eq!(failures, ["replica_stopped"], "nobody waited until a pod was missed");
    assert!(summary.failures["replica_stopped"] >= 3, "{:?}", summary.failures);
}

#[test]
fn what_we_refuse_is_asked_for_a_few_times_and_what_we_missed_until_it_comes() {
    let mut config = WorldConfig::drawn(4, FaultProfile::default());
    config.faults_for = 12 * HOUR;
    config.arrival = Arrival::Burst;
    let mut world = World::new(config);
    assert!(world.run_until(MINUTE, |world| leader(world).is_some()));
    let refused = world.send_unreadable().expect("there is an account");
    let hours = |world: &mut World, n: u32| {
        world.run_until(24 * HOUR, |world| world.clock().elapsed() >= n * HOUR);
        world.attempts(&refused)
    };
    assert_eq!(hours(&mut world, 4), 6, "the first attempt, and five that were asked for");
    assert_eq!(hours(&mut world, 12), 6, "and no more");
    world.run_to_rest(24 * HOUR);
    assert_eq!(world.violations(), []);
}
