//! The reconciling passes, one law a test.

mod common;

use common::{World, at, note, worker_name};
use riscv_runner_core::{
    controls::Revocation,
    failure::FailureReason,
    health::{Rule, WORKER_RULES},
    ids::{PoolName, RunnerName},
    job::{JobPhase, Placement},
    observed::{Observed, Why},
    plan::{Action, Draft, PASSES},
    pod::PodPhase,
    runner::{Group, Sightings},
    snapshot::{InstallationHealth, Warm},
    worker::WorkerStatus,
};

fn idle(since: i64, looks: u32) -> Sightings {
    Sightings {
        first_seen: Some(at(since)),
        first_online: Some(at(since)),
        idle_since: Some(at(since)),
        idle_looks: looks,
        ..Sightings::default()
    }
}

fn missing(looks: u32) -> Sightings {
    Sightings { absent_since: Some(at(60)), absent_looks: looks, ..Sightings::default() }
}

#[test]
fn rows_follow_their_pods() {
    let world = World::new("a:3").worker("w", "1", "a", 30);
    world.clone().pod("w", Some("a0"), PodPhase::Pending { reason: None }, 30).reconciles("note_bound w a0");
    world.clone().pod("w", Some("a0"), PodPhase::Running { since: at(5) }, 30).reconciles(
        "mark_running w
         delete_secret w",
    );
    world.clone().pod("w", Some("a0"), PodPhase::Succeeded { at: at(5) }, 30).reconciles(
        "delete_secret w
         mark_completed w",
    );
    let failed = |exit_code| PodPhase::Failed { at: at(5), exit_code, reason: None };
    world.clone().pod("w", Some("a0"), failed(Some(1)), 30).reconciles(
        "delete_secret w
         end w pod_failed nothing",
    );
}

#[test]
fn exit_code_7_is_a_refusal_only_where_nothing_shows_that_github_accepted_the_runner() {
    let ended = |ago| {
        let failed = PodPhase::Failed { at: at(ago), exit_code: Some(7), reason: None };
        World::new("a:3").worker("w", "1", "a", 90).pod("w", Some("a0"), failed, 90).edit_worker(
            "w",
            |worker| {
                worker.status = WorkerStatus::Running;
                worker.node = Some("a0".parse().unwrap());
            },
        )
    };
    let end = |world: &World| {
        let end = world.reconcile().steps.into_iter().find_map(|step| step.action.as_end().cloned());
        end.map(|end| (end.reason, end.refused_image.is_some()))
    };
    let refused = FailureReason::RunnerVersionRefused;
    assert_eq!(end(&ended(30)), Some((refused, true)));
    assert_eq!(end(&ended(29)), None, "its job's `in_progress` may be on its way");
    let failed = Some((FailureReason::PodFailed, false));
    assert_eq!(end(&ended(0).runs("w", 1, JobPhase::Running)), failed);
    assert_eq!(end(&ended(30).runs("w", 1, JobPhase::Completed)), failed);
    assert_eq!(end(&ended(30).edit_worker("w", |worker| worker.online_at = Some(at(60)))), failed);
    let busy = Sightings { was_busy: true, ..Sightings::default() };
    assert_eq!(end(&ended(30).sightings("w", busy)), failed);
    // Another worker of the image came up after this one was reserved, or long before.
    let other = |online| {
        let world = ended(30).running_worker("v", "2", "a", "a1", 600);
        world.edit_worker("v", |worker| worker.online_at = Some(at(online)))
    };
    assert_eq!(end(&other(90)), Some((refused, false)));
    assert_eq!(end(&other(91)), Some((refused, true)));
}

#[test]
fn a_refusal_is_lifted_once_github_accepts_a_runner_of_the_image() {
    let world = World::new("a:2").running_worker("w", "1", "a", "a0", 60).image_refused(600);
    world.reconciles("");
    let online = |ago| world.clone().edit_worker("w", |worker| worker.online_at = Some(at(ago)));
    online(601).reconciles("");
    online(5).reconciles("lift_refusal w");
    world.clone().runs("w", 1, JobPhase::Running).reconciles("lift_refusal w");
}

#[test]
fn only_a_worker_that_ran_a_job_proves_its_key_and_its_board() {
    let proved = |world: World| {
        let plan = world.pod("w", Some("a0"), PodPhase::Succeeded { at: at(5) }, 30).reconcile();
        plan.steps.into_iter().find_map(|step| {
            let Action::MarkCompleted { served, node, .. } = step.action else { return None };
            Some((served.is_some(), node.is_some()))
        })
    };
    let world = World::new("a:1").worker("w", "1", "a", 30);
    assert_eq!(proved(world.clone()), Some((false, false)));
    assert_eq!(proved(world.runs("w", 1, JobPhase::Running)), Some((true, true)));
}

#[test]
fn a_board_that_brought_the_runner_up_is_not_blamed_for_what_its_job_did() {
    let blamed = |world: World| {
        let failed = PodPhase::Failed { at: at(5), exit_code: Some(137), reason: None };
        let plan = world.pod("w", Some("a0"), failed, 30).reconcile();
        plan.steps.into_iter().find_map(|step| {
            let Action::End(end) = step.action else { return None };
            Some((end.backoff.is_some(), end.quarantine.is_some()))
        })
    };
    let world = World::new("a:1").worker("w", "1", "a", 30).edit_worker("w", |worker| {
        worker.status = WorkerStatus::Running;
        worker.node = Some("a0".parse().unwrap());
    });
    assert_eq!(blamed(world.clone()), Some((true, true)), "it never came up");
    assert_eq!(blamed(world.clone().runs("w", 1, JobPhase::Running)), Some((true, false)));
    let online = world.edit_worker("w", |worker| worker.online_at = Some(at(20)));
    assert_eq!(blamed(online), Some((true, false)));
}

#[test]
fn a_reservation_without_a_pod_is_released_after_its_grace() {
    World::new("a:1").worker("w", "1", "a", 119).reconciles("");
    let late = World::new("a:1").worker("w", "1", "a", 120);
    late.reconciles("end w pod_missing nothing");
    late.clone().runs("w", 1, JobPhase::Completed).reconciles("mark_completed w");
    late.edit(|w| w.snapshot.pods = Observed::Unknown(Why::Failed)).reconciles("");
}

#[test]
fn a_reservation_lost_with_its_process_blames_nobody_and_a_pod_that_vanished_does() {
    let backoff = |world: &World| {
        let end = world.reconcile().steps.into_iter().find_map(|step| step.action.as_end().cloned());
        end.unwrap().backoff.is_some()
    };
    let lost = World::new("a:1").worker("w", "1", "a", 120).edit_worker("w", |worker| worker.pod_uid = None);
    assert!(!backoff(&lost));
    assert!(backoff(&lost.edit_worker("w", |worker| worker.pod_uid = Some("u".parse().unwrap()))));
}

#[test]
fn what_this_process_is_making_is_no_orphan() {
    World::new("a:1")
        .worker("w", "1", "a", 600)
        .edit(|w| {
            w.snapshot.in_flight.insert(worker_name("w"));
        })
        .reconciles("");
}

#[test]
fn three_failures_of_a_board_set_it_aside_and_the_key_backs_off() {
    let failed = PodPhase::Failed { at: at(5), exit_code: Some(1), reason: None };
    let plan = World::new("a:1").worker("w", "1", "a", 30).pod("w", Some("a0"), failed, 30).reconcile();
    let end = plan.steps.iter().find_map(|step| step.action.as_end());
    let end = end.unwrap();
    assert_eq!(end.backoff.unwrap().failures, 1);
    assert_eq!(end.quarantine.as_ref().unwrap().1.strikes, 1);
}

#[test]
fn terminal_pods_are_kept_for_their_grace() {
    let pod = |ago| {
        World::new("a:1").worker("w", "1", "a", 90_000).ended("w", WorkerStatus::Completed, ago).pod(
            "w",
            Some("a0"),
            PodPhase::Succeeded { at: at(ago) },
            90_000,
        )
    };
    pod(6 * 3600 - 1).reconciles("");
    pod(6 * 3600).reconciles("delete_pod w");
}

#[test]
fn a_live_pod_of_an_ended_worker_is_ended_after_github_agrees() {
    let world =
        World::new("a:1").running_worker("w", "1", "a", "a0", 600).ended("w", WorkerStatus::Failed, 130);
    world.reconciles("kill_pod w");
    let plan = world.reconcile();
    assert!(matches!(&plan.steps[0].action, Action::KillPod { registration: Some(_), .. }));
}

#[test]
fn unknown_pods_of_ours_are_adopted_or_ended() {
    let pod = |age| {
        let world = World::new("a:1").worker("w", "1", "a", age);
        let mut world = world.pod("w", Some("a0"), PodPhase::Running { since: at(age) }, age);
        world.snapshot.workers.clear();
        world
    };
    pod(119).reconciles("");
    pod(120).reconciles("adopt w");
    let nameless = pod(120).edit(|w| {
        if let Observed::Present(pods) = &mut w.snapshot.pods {
            pods.get_mut(&worker_name("w")).unwrap().identity = None;
        }
    });
    nameless.reconciles("");
}

#[test]
fn a_pod_that_cannot_be_adopted_is_ended_only_once_its_runner_is_listed_as_idle() {
    let mut world = World::new("a:1").worker("w", "1", "a", 600).pod(
        "w",
        Some("a0"),
        PodPhase::Running { since: at(600) },
        600,
    );
    world.snapshot.workers.clear();
    let nameless = world.edit(|w| {
        if let Observed::Present(pods) = &mut w.snapshot.pods {
            pods.get_mut(&worker_name("w")).unwrap().identity = None;
        }
    });
    nameless.reconciles("");
    nameless.clone().listing_failed("1").reconciles("");
    nameless.clone().listing("1", "other").reconciles("");
    nameless.clone().listing("1", "w!").reconciles("");
    let idle = nameless.listing("2", "other").listing("1", "other w");
    idle.reconciles("kill_pod w");
    let plan = idle.reconcile();
    let Action::KillPod { registration: Some(asked), .. } = &plan.steps[0].action else { panic!("{plan:?}") };
    assert_eq!((asked.scope.entity.get(), asked.runner.get()), (1, 101));
}

#[test]
fn a_worker_of_an_unknown_registration_on_a_lost_node_waits_until_github_was_asked() {
    let world = ill(FailureReason::NodeUnreachable).edit_worker("w", |worker| worker.runner = None);
    world.reconciles("");
    world.clone().listing_failed("1").reconciles("");
    world.clone().listing("1", "other").reconciles("end w node_unreachable force_delete");
    let listed = world.listing("1", "w!");
    listed.reconciles("end w node_unreachable force_delete");
    let end = listed.reconcile().steps.into_iter().find_map(|step| step.action.as_end().cloned());
    assert!(end.unwrap().registration.is_some(), "GitHub decides");
}

#[test]
fn a_registration_in_another_group_is_seen_and_left_alone() {
    let moved = |world: World, name: &RunnerName| {
        world.edit(|w| {
            for listing in w.snapshot.runners.values_mut() {
                if let Observed::Present(listing) = listing {
                    listing.get_mut(name).unwrap().group = Group::Other;
                }
            }
        })
    };
    let seen = Sightings { first_seen: Some(at(600)), ..Sightings::default() };
    let world = World::new("a:1").listing("1", "x").sightings("x", seen);
    world.reconciles("deregister x");
    let name = worker_name("x");
    moved(world, &RunnerName::from(&name)).reconciles("");
}

#[test]
fn what_another_environment_has_in_the_same_place_is_left_alone() {
    let theirs = "rr-staging-abcdefghi";
    let world = World::new("a:1").listing("1", "x").edit(|w| {
        let name: riscv_runner_core::ids::WorkerName = theirs.parse().unwrap();
        w.snapshot.secrets = Observed::Present([(name, at(9999))].into());
    });
    world.reconciles("");
    assert!(!world.policy.name_prefix.owns(theirs));
    assert!(world.policy.name_prefix.owns("rr-abcdefghi"));
}

#[test]
fn a_pod_that_no_kubelet_has_is_deleted_and_not_killed() {
    let pending = PodPhase::Pending { reason: Some("Unschedulable".into()) };
    World::new("a:1")
        .worker("w", "1", "a", 600)
        .pod("w", None, pending, 600)
        .reconciles("end w pod_stuck_pending force_delete");
}

#[test]
fn registrations_without_a_live_worker_are_deleted_after_a_grace() {
    let world = World::new("a:1").listing("1", "x");
    let seen = |ago| Sightings { first_seen: Some(at(ago)), ..Sightings::default() };
    world.clone().reconciles("");
    world.clone().sightings("x", seen(119)).reconciles("");
    world.clone().sightings("x", seen(120)).reconciles("deregister x");
    World::new("a:1").listing("1", "x!").sightings("x", seen(120)).reconciles("");
    world.sightings("x", seen(120)).worker("x", "1", "a", 10).reconciles("");
}

#[test]
fn secrets_go_once_they_were_read_or_belong_to_nobody() {
    let with = |world: World, age| {
        world.edit(|w| w.snapshot.secrets = Observed::Present([(worker_name("w"), at(age))].into()))
    };
    with(World::new("a:1").running_worker("w", "1", "a", "a0", 10), 10).reconciles("delete_secret w");
    with(World::new("a:1").worker("w", "1", "a", 10), 10).reconciles("");
    with(World::new("a:1"), 119).reconciles("");
    with(World::new("a:1"), 120).reconciles("delete_secret w");
}

#[test]
fn a_registration_that_was_online_and_is_missed_twice_makes_its_worker_spent() {
    let world = World::new("a:1")
        .running_worker("w", "1", "a", "a0", 60)
        .edit_worker("w", |worker| worker.online_at = Some(at(50)));
    world.clone().sightings("w", missing(1)).reconciles("");
    world.sightings("w", missing(2)).reconciles("mark_gone w");
}

/// For every rule a world in which it fires; then the same world changed so that it must not.
#[expect(clippy::wildcard_enum_match_arm, reason = "only the reasons of rules have a world here")]
fn ill(reason: FailureReason) -> World {
    let pending = PodPhase::Pending { reason: Some("ImagePullBackOff".into()) };
    match reason {
        FailureReason::NodeUnreachable => World::new("a:1")
            .running_worker("w", "1", "a", "a0", 600)
            .edit_node("a0", |node| node.unreachable_since = Some(at(100))),
        FailureReason::PodStuckPending => {
            World::new("a:1").worker("w", "1", "a", 600).pod("w", Some("a0"), pending, 600)
        }
        FailureReason::RunnerNeverRegistered => World::new("a:1")
            .running_worker("w", "1", "a", "a0", 120)
            .listing("1", "other")
            .sightings("w", missing(2)),
        FailureReason::RunnerIdle => World::new("a:1")
            .job(1, "1", "a", 700)
            .running_worker("w", "1", "a", "a0", 700)
            .listing("1", "w")
            .sightings("w", idle(600, 2)),
        FailureReason::Drained => World::new("a:1")
            .job(1, "1", "a", 90)
            .running_worker("w", "1", "a", "a0", 90)
            .listing("1", "w")
            .drained("a0"),
        FailureReason::RunnerSurplus => World::new("a:1")
            .running_worker("w", "1", "a", "a0", 90)
            .listing("1", "w")
            .sightings("w", idle(60, 2)),
        FailureReason::InstallationNotFound => {
            let gone = InstallationHealth { gone_since: Some(at(100)), ..InstallationHealth::default() };
            World::new("a:1").running_worker("w", "1", "a", "a0", 600).edit(|w| {
                w.snapshot.installations.insert(common::scope("1").installation, gone);
                w.snapshot.deliveries_swept = Some(at(1));
            })
        }
        FailureReason::RunnerGone => World::new("a:1")
            .running_worker("w", "1", "a", "a0", 900)
            .edit_worker("w", |worker| worker.gone_at = Some(at(300)))
            .listing("1", "other"),
        FailureReason::RunnerLost => World::new("a:1")
            .running_worker("w", "1", "a", "a0", 900)
            .pod("w", Some("a0"), PodPhase::Unknown, 900)
            .listing("1", "w-")
            .sightings("w", Sightings { lost_since: Some(at(300)), was_busy: true, ..Sightings::default() }),
        other => unreachable!("no rule is called {other}"),
    }
}

fn remedy(world: &World) -> Option<FailureReason> {
    world.reconcile().steps.iter().find_map(|step| step.action.as_end().map(|end| end.reason))
}

#[test]
fn every_rule_fires_on_its_illness() {
    for rule in WORKER_RULES {
        assert_eq!(remedy(&ill(rule.reason)), Some(rule.reason), "{}", rule.says);
    }
}

#[test]
fn no_rule_fires_before_its_threshold() {
    let waits = |rule: &&Rule| rule.setting.is_some();
    for rule in WORKER_RULES.iter().filter(waits) {
        let longer = ill(rule.reason).timeouts(|timeouts| {
            for timeout in [
                &mut timeouts.node_lost,
                &mut timeouts.pod_pending,
                &mut timeouts.runner_registration,
                &mut timeouts.runner_idle,
                &mut timeouts.runner_surplus,
                &mut timeouts.runner_lost,
            ] {
                *timeout += common::secs(1000);
            }
        });
        assert_eq!(remedy(&longer), None, "{}", rule.says);
    }
}

#[test]
fn no_rule_judges_by_what_happened_before_we_watched() {
    for rule in WORKER_RULES.iter().filter(|rule| (rule.threshold)(&Default::default()) > common::secs(0)) {
        let young = ill(rule.reason).edit(|w| w.snapshot.watching_since = at(1));
        assert_eq!(remedy(&young), None, "{}", rule.says);
    }
}

#[test]
fn unknown_is_never_a_reason_to_end_anything() {
    for rule in WORKER_RULES {
        let no_pods = ill(rule.reason).edit(|w| w.snapshot.pods = Observed::Unknown(Why::Failed));
        assert_eq!(remedy(&no_pods), None, "{}", rule.says);
        let no_nodes = ill(rule.reason).edit(|w| w.snapshot.nodes = Observed::Unknown(Why::Failed));
        if rule.reason == FailureReason::NodeUnreachable {
            assert_eq!(remedy(&no_nodes), None);
        }
        let by_pod = [
            FailureReason::NodeUnreachable,
            FailureReason::PodStuckPending,
            FailureReason::InstallationNotFound,
        ]
        .contains(&rule.reason);
        if !by_pod {
            assert_eq!(remedy(&ill(rule.reason).listing_failed("1")), None, "{}", rule.says);
        }
    }
}

#[test]
fn a_job_that_names_the_worker_protects_it() {
    for rule in WORKER_RULES.iter().filter(|rule| rule.spares_known_jobs) {
        let busy = ill(rule.reason).runs("w", 1, JobPhase::Running);
        assert_eq!(remedy(&busy), None, "{}", rule.says);
    }
}

#[test]
fn a_worker_of_a_gone_installation_is_left_while_a_delivery_may_be_missing() {
    for swept in [None, Some(at(200)), Some(at(70))] {
        let world = ill(FailureReason::InstallationNotFound).edit(|w| w.snapshot.deliveries_swept = swept);
        assert_eq!(remedy(&world), None, "{swept:?}");
    }
}

#[test]
fn a_worker_of_a_gone_installation_is_ended_without_asking_github() {
    let plan = ill(FailureReason::InstallationNotFound).reconcile();
    let end = plan.steps.iter().find_map(|step| step.action.as_end()).unwrap();
    assert!(end.registration.is_none() && end.is_destructive());
}

#[test]
fn a_worker_of_a_gone_installation_finishes_a_job_that_was_given_up_with_it() {
    let gone = ill(FailureReason::InstallationNotFound);
    for (phase, expected) in [
        (JobPhase::Running, None),
        (JobPhase::Failed, None),
        (JobPhase::Completed, Some(FailureReason::InstallationNotFound)),
    ] {
        assert_eq!(remedy(&gone.clone().runs("w", 1, phase)), expected, "{phase:?}");
    }
}

#[test]
fn one_look_is_not_enough_to_call_a_runner_idle_or_missing() {
    for (reason, sightings) in [
        (FailureReason::RunnerIdle, idle(600, 1)),
        (FailureReason::RunnerSurplus, idle(60, 1)),
        (FailureReason::RunnerNeverRegistered, missing(1)),
    ] {
        assert_eq!(remedy(&ill(reason).sightings("w", sightings)), None, "{reason}");
    }
}

#[test]
fn a_runner_that_hangs_is_ended_though_its_pod_runs() {
    let looks = |looks| Sightings {
        offline_since: Some(at(300)),
        offline_looks: looks,
        first_online: Some(at(800)),
        ..Sightings::default()
    };
    let offline = World::new("a:1")
        .job(1, "1", "a", 700)
        .running_worker("w", "1", "a", "a0", 900)
        .edit_worker("w", |worker| worker.online_at = Some(at(800)))
        .listing("1", "w-")
        .sightings("w", looks(2));
    let lost = Some(FailureReason::RunnerLost);
    assert_eq!(remedy(&offline), lost);
    assert_eq!(remedy(&offline.clone().runs("w", 2, JobPhase::Completed)), lost, "its job was cancelled");
    assert_eq!(remedy(&offline.clone().runs("w", 2, JobPhase::Running)), None);
    assert_eq!(remedy(&offline.clone().runs("w", 2, JobPhase::Failed)), None, "nobody knows whether it runs");
    assert_eq!(remedy(&offline.clone().listing("1", "w-!")), None, "GitHub calls it busy");
    assert_eq!(remedy(&offline.clone().sightings("w", looks(1))), None, "one look may be wrong");
    assert_eq!(remedy(&offline.listing_failed("1")), None);
}

#[test]
fn a_runner_whose_job_is_over_gives_its_board_back() {
    let over = World::new("a:1")
        .running_worker("w", "1", "a", "a0", 900)
        .runs("w", 1, JobPhase::Completed)
        .listing("1", "w")
        .sightings("w", idle(300, 2));
    assert_eq!(remedy(&over), Some(FailureReason::RunnerGone));
    assert_eq!(remedy(&over.clone().sightings("w", idle(299, 2))), None);
    assert_eq!(remedy(&over.clone().listing("1", "w!")), None, "GitHub calls it busy");
    assert_eq!(remedy(&over.runs("w", 1, JobPhase::Failed)), None, "nobody knows whether it is over");
}

#[test]
fn an_idle_runner_is_kept_warm_unless_github_hands_it_no_jobs() {
    let warm = |world: World| {
        world.running_worker("w", "1", "a", "a0", 900).listing("1", "w").sightings("w", idle(600, 2)).edit(
            |w| {
                let placement = Placement { pool: "a".parse().unwrap(), image: "image:1".parse().unwrap() };
                let warm = Warm { count: 1, scope: common::scope("1"), placement };
                w.snapshot.warm.insert(common::key("1", "a"), warm);
            },
        )
    };
    assert_eq!(remedy(&warm(World::new("a:1"))), None);
    assert_eq!(remedy(&warm(World::new("a:1").job(1, "1", "a", 599))), None);
    assert_eq!(remedy(&warm(World::new("a:1").job(1, "1", "a", 600))), Some(FailureReason::RunnerIdle));
}

#[test]
fn only_as_many_are_surplus_as_exceed_the_demand() {
    let world = World::new("a:3")
        .job(1, "1", "a", 5)
        .running_worker("v", "1", "a", "a0", 90)
        .running_worker("w", "1", "a", "a1", 90)
        .listing("1", "v w")
        .sightings("v", idle(60, 2))
        .sightings("w", idle(60, 2));
    world.reconciles("end v runner_surplus kill");
}

#[test]
fn a_gone_node_counts_only_if_nodes_were_seen() {
    let gone = World::new("a:1").running_worker("w", "1", "a", "zz", 600);
    gone.reconciles("end w node_unreachable force_delete");
    gone.edit(|w| w.snapshot.nodes = Observed::Unknown(Why::Failed)).reconciles("");
}

/// For every pass a world in which it acts, and nearly the same world in which it must not.
fn for_pass(name: &str) -> (World, World) {
    let plain = World::new("a:1").worker("w", "1", "a", 60);
    let running = PodPhase::Running { since: at(60) };
    let pod = |ago| {
        let world = World::new("a:1").worker("w", "1", "a", 90_000).ended("w", WorkerStatus::Completed, ago);
        world.pod("w", Some("a0"), PodPhase::Succeeded { at: at(ago) }, 90_000)
    };
    let secret = |age| {
        World::new("a:1")
            .edit(|w| w.snapshot.secrets = Observed::Present([(worker_name("w"), at(age))].into()))
    };
    let left = |ago| {
        let seen = Sightings { first_seen: Some(at(ago)), ..Sightings::default() };
        World::new("a:1").listing("1", "x").sightings("x", seen)
    };
    let revoked = |world: World, force| {
        world.edit(|w| {
            let wish = Revocation { note: note(), force };
            w.snapshot.controls.revoked_workers.insert(worker_name("w"), wish);
        })
    };
    let busy = World::new("a:1").running_worker("w", "1", "a", "a0", 60).runs("w", 1, JobPhase::Running);
    let orphan = |age| {
        let mut world =
            World::new("a:1").worker("w", "1", "a", age).pod("w", Some("a0"), running.clone(), age);
        world.snapshot.workers.clear();
        world
    };
    match name {
        "lift_refusals" => {
            let refused = |online| {
                let world = World::new("a:1").running_worker("w", "1", "a", "a0", 900);
                world.edit_worker("w", |worker| worker.online_at = Some(at(online))).image_refused(600)
            };
            (refused(60), refused(800))
        }
        "sync_pods" => (plain.clone().pod("w", Some("a0"), running.clone(), 60), plain),
        "revoke_workers" => (revoked(busy.clone(), true), revoked(busy, false)),
        "sweep_orphans" => {
            (World::new("a:1").worker("w", "1", "a", 120), World::new("a:1").worker("w", "1", "a", 119))
        }
        "heal_workers" => {
            let ill = ill(FailureReason::PodStuckPending);
            (ill.clone(), ill.runs("w", 1, JobPhase::Running))
        }
        "adopt_pods" => (orphan(120), orphan(119)),
        "clean_registrations" => (left(120), left(119)),
        "sweep_secrets" => (secret(120), secret(119)),
        "expire_pods" => (pod(6 * 3600), pod(6 * 3600 - 1)),
        other => unreachable!("no world for the pass {other}"),
    }
}

#[test]
fn every_pass_acts_where_it_must_and_only_there() {
    for pass in PASSES {
        let steps = |world: &World| {
            let mut draft = Draft::new(&world.snapshot, &world.policy);
            (pass.plan)(&mut draft);
            draft.finish().steps.len()
        };
        let (must, must_not) = for_pass(pass.name);
        assert!(steps(&must) > 0, "{} does nothing", pass.name);
        assert_eq!(steps(&must_not), 0, "{} does something", pass.name);
        let blind = must.edit(|w| {
            let unknown = || Observed::Unknown(Why::Failed);
            (w.snapshot.pods, w.snapshot.secrets) = (Observed::Unknown(Why::Failed), unknown());
            w.snapshot.runners.values_mut().for_each(|listing| *listing = Observed::Unknown(Why::Failed));
        });
        // Refusals, and what lifts them, are in the store.
        let needs_no_look = pass.name == "lift_refusals";
        assert_eq!(steps(&blind) > 0, needs_no_look, "{} acts on what it does not know", pass.name);
    }
}

#[test]
fn a_drained_board_keeps_its_running_worker() {
    World::new("a:1")
        .running_worker("w", "1", "a", "a0", 600)
        .runs("w", 1, JobPhase::Running)
        .edit(|w| {
            w.snapshot.controls.drained_nodes.insert("a0".parse().unwrap(), note());
        })
        .reconciles("");
}

#[test]
fn a_drain_ends_runners_without_a_job_and_no_others() {
    let world = World::new("a:2")
        .running_worker("v", "1", "a", "a0", 90)
        .running_worker("w", "1", "a", "a1", 90)
        .listing("1", "v w")
        .edit(|world| {
            let placement = Placement { pool: "a".parse().unwrap(), image: "image:1".parse().unwrap() };
            let wished = Warm { count: 2, scope: common::scope("1"), placement };
            world.snapshot.warm.insert(common::key("1", "a"), wished);
        });
    world.reconciles("");
    world.clone().drained("a0").reconciles("end v drained kill");
    world.clone().drained("a0").listing("1", "v! w").reconciles("");
    world.clone().drained("a0").runs("v", 7, JobPhase::Running).reconciles("");
    let pool = world.edit(|world| {
        world.snapshot.controls.drained_pools.insert(PoolName::new("a").unwrap(), common::note());
    });
    pool.reconciles("end v drained kill\nend w drained kill");
}

#[test]
fn a_pod_that_may_still_be_bound_to_a_drained_board_is_made_anew() {
    let unbound = |age| {
        World::new("a:2 b:1")
            .job(1, "1", "a", 100)
            .worker("w", "1", "a", age)
            .pod("w", None, PodPhase::Pending { reason: None }, age)
            .listing("1", "w-")
    };
    // The note is of 60 s ago; a pod made after it avoids the board.
    unbound(90).drained("a0").reconciles("end w drained force_delete");
    unbound(30).drained("a0").reconciles("");
    unbound(90).drained("b0").reconciles("");
}
