//! Demand matching, one law a test.

mod common;

use common::{World, at, key, note, scope, worker_name};
use riscv_runner_core::{
    backoff::Backoff,
    controls::Controls,
    ids::{EntityId, InstallationId, JobId, PoolName, RepoName},
    job::{JobPhase, Placement},
    observed::{Observed, Why},
    plan::{
        Action, Hold, Plan,
        audit::{Violation, audit},
    },
    pod::PodPhase,
    policy::{Cap, EntityPolicy, Sharing},
    quarantine::Quarantine,
    routing::{LabelMatch, Route},
    snapshot::{InstallationHealth, Warm},
};

#[test]
fn a_job_that_came_after_the_count_is_for_the_next_cycle() {
    let count = |jobs| {
        let world = World::new("a:3").job(1, "1", "a", 30).job(2, "1", "a", 20);
        world.edit(|world| world.snapshot.demand.get_mut(&key("1", "a")).unwrap().pending = jobs)
    };
    count(0).schedules("hold 1 demand_met\nhold 2 demand_met");
    count(1).schedules("provision org:1|a for 1\nhold 2 demand_met");
}

#[test]
fn one_slot_serves_the_older_of_two() {
    World::new("a:1").job(2, "1", "a", 10).job(1, "1", "a", 5).schedules(
        "provision org:1|a for 2
         hold 1 no_capacity",
    );
}

#[test]
fn a_worker_on_its_way_meets_the_oldest_demand() {
    World::new("a:2").job(1, "1", "a", 10).job(2, "1", "a", 5).worker("w", "1", "a", 1).schedules(
        "provision org:1|a for 2
         hold 1 demand_met",
    );
}

#[test]
fn a_worker_that_runs_a_job_meets_no_other() {
    World::new("a:2")
        .running_jobs("1", "a", 1)
        .job(2, "1", "a", 5)
        .running_worker("w", "1", "a", "a0", 60)
        .runs("w", 1, JobPhase::Running)
        .schedules("provision org:1|a for 2");
}

#[test]
fn a_spent_worker_is_no_supply_but_its_pod_holds_its_slot() {
    let spent = World::new("a:1").job(2, "1", "a", 5).running_worker("w", "1", "a", "a0", 60).runs(
        "w",
        1,
        JobPhase::Completed,
    );
    spent.schedules("hold 2 no_capacity");
    World::new("a:1")
        .job(2, "1", "a", 5)
        .running_worker("w", "1", "a", "a0", 60)
        .edit_worker("w", |worker| worker.gone_at = Some(at(1)))
        .schedules("hold 2 no_capacity");
}

#[test]
fn repositories_of_one_person_get_their_own_runners() {
    World::new("a:3").job(1, "5/1", "a", 10).job(2, "5/2", "a", 5).worker("w", "5/1", "a", 1).schedules(
        "provision repo:5/2|a for 2
         hold 1 demand_met",
    );
}

#[test]
fn caps_hold_across_the_pools_of_an_account() {
    World::new("a:5 b:5")
        .edit(|world| {
            let special = EntityPolicy { max_workers: Some(Cap::AtMost(2)), ..EntityPolicy::default() };
            world.policy.entities.insert(EntityId::new(1).unwrap(), special);
        })
        .worker("w", "1", "b", 1)
        .job(1, "1", "a", 10)
        .job(2, "1", "a", 9)
        .job(3, "2", "a", 8)
        .schedules(
            "provision org:1|a for 1
             provision org:2|a for 3
             hold 2 entity_at_cap",
        );
}

#[test]
fn a_cap_set_at_run_time_wins() {
    World::new("a:5")
        .edit(|world| {
            let cap = (Cap::AtMost(0), note());
            world.snapshot.controls.entity_caps.insert(EntityId::new(1).unwrap(), cap);
        })
        .job(1, "1", "a", 10)
        .schedules("hold 1 entity_at_cap");
}

#[test]
fn pool_caps_hold_over_free_boards() {
    World::new("a:5")
        .edit(|world| {
            world.policy.pools.get_mut(&PoolName::new("a").unwrap()).unwrap().max_workers = Some(1);
        })
        .job(1, "1", "a", 10)
        .job(2, "2", "a", 9)
        .schedules(
            "provision org:1|a for 1
             hold 2 pool_at_cap",
        );
}

#[test]
fn the_limit_of_a_rule_holds_for_its_labels_in_its_pool() {
    World::new("a:5")
        .edit(|world| {
            world.policy.routes.push(Route {
                labels: common::labels("a,x"),
                label_match: LabelMatch::Exact,
                entities: Vec::new(),
                repositories: Vec::new(),
                app: None,
                pool: "a".parse().unwrap(),
                image: None,
                max_workers: Some(2),
                warm: 0,
            });
        })
        .worker("w", "3", "a,x", 5)
        .job(1, "1", "a,x", 10)
        .job(2, "2", "a,x", 9)
        .job(3, "2", "a", 8)
        .schedules(
            "provision org:1|a,x for 1
             provision org:2|a for 3
             hold 2 pool_at_cap",
        );
}

#[test]
fn boards_count_only_when_they_can_take_a_pod() {
    let world = World::new("a:1").job(1, "1", "a", 10);
    world.clone().edit_node("a0", |node| node.ready = false).schedules("hold 1 no_capacity");
    world.clone().edit_node("a0", |node| node.cordoned = true).schedules("hold 1 no_capacity");
    world
        .clone()
        .edit_node("a0", |node| node.unreachable_since = Some(at(1)))
        .schedules("hold 1 no_capacity");
    let drained = |world: &mut World| {
        world.snapshot.controls.drained_nodes.insert("a0".parse().unwrap(), note());
    };
    world.clone().edit(drained).schedules("hold 1 no_capacity");
    world.schedules("provision org:1|a for 1");
}

#[test]
fn pods_without_a_node_and_reservations_without_a_pod_take_slots() {
    let world = World::new("a:2").job(1, "1", "a", 10).worker("v", "2", "a", 1).worker("w", "2", "a", 1);
    let pending = PodPhase::Pending { reason: None };
    world.clone().pod("v", None, pending, 1).schedules("hold 1 no_capacity");
    world.clone().schedules("hold 1 no_capacity");
    let done = PodPhase::Succeeded { at: at(1) };
    world.pod("v", Some("a0"), done, 5).schedules("provision org:1|a for 1");
}

#[test]
fn pools_that_share_boards_never_book_them_twice() {
    let both = |world: World| world.node("x", &[("board", "a"), ("fast", "yes")]);
    let fast = std::collections::BTreeMap::from([("fast".to_owned(), "yes".to_owned())]);
    let world = both(World::new("a:0").pool("f", fast.clone())).job(1, "1", "a", 10).job(2, "1", "f", 5);
    world.schedules(
        "provision org:1|a for 1
         hold 2 no_capacity",
    );
    // With a second board that only `a` can use, both fit, in whichever order they come.
    let world = both(World::new("a:1").pool("f", fast)).job(1, "1", "a", 10).job(2, "1", "f", 5);
    world.schedules(
        "provision org:1|a for 1
         provision org:1|f for 2",
    );
}

#[test]
fn an_unknown_cluster_provisions_nothing() {
    let world = World::new("a:1").job(1, "1", "a", 10);
    world
        .clone()
        .edit(|w| w.snapshot.nodes = Observed::Unknown(Why::Failed))
        .schedules("hold 1 capacity_unknown");
    world.edit(|w| w.snapshot.pods = Observed::Unknown(Why::Failed)).schedules("hold 1 capacity_unknown");
}

#[test]
fn what_operators_pause_is_held_with_their_note() {
    let world = World::new("a:3").job(1, "1", "a", 10);
    let one = EntityId::new(1).unwrap();
    world.clone().edit(|w| w.snapshot.controls.everything_paused = Some(note())).schedules("hold 1 paused");
    world
        .clone()
        .edit(|w| {
            w.snapshot.controls.paused_entities.insert(one, note());
        })
        .schedules("hold 1 paused");
    let pool = PoolName::new("a").unwrap();
    world
        .clone()
        .edit(|w| {
            w.snapshot.controls.drained_pools.insert(pool, note());
        })
        .schedules("hold 1 paused");
    let repo = RepoName::new("e1/main").unwrap();
    let paused = world.edit(|w| {
        w.snapshot.controls.paused_repos.insert(repo, note());
    });
    paused.schedules("hold 1 paused");
    assert!(paused.schedule().held.iter().next().unwrap().1.to_string().contains("maintenance"));
}

#[test]
fn a_key_that_keeps_failing_waits_while_others_go_on() {
    World::new("a:3")
        .job(1, "1", "a", 10)
        .job(2, "2", "a", 5)
        .edit(|w| {
            w.snapshot.backoffs.insert(key("1", "a"), Backoff { failures: 2, since: at(90), until: at(-30) });
        })
        .edit(|w| {
            w.snapshot.backoffs.insert(key("2", "a"), Backoff { failures: 2, since: at(90), until: at(1) });
        })
        .schedules(
            "provision org:2|a for 2
             hold 1 backing_off",
        );
}

#[test]
fn a_limited_installation_waits_alone() {
    let with = |health: InstallationHealth| {
        World::new("a:3").job(1, "1", "a", 10).edit(|w| {
            w.snapshot.installations.insert(InstallationId::new(10).unwrap(), health);
        })
    };
    with(InstallationHealth { rate_limited_until: Some(at(-5)), ..Default::default() })
        .schedules("hold 1 rate_limited");
    let failing = InstallationHealth {
        auth_failing_since: Some(at(60)),
        auth_retry_at: Some(at(-5)),
        ..Default::default()
    };
    with(failing.clone()).schedules("hold 1 auth_failing");
    with(InstallationHealth { auth_retry_at: Some(at(5)), ..failing }).schedules("provision org:1|a for 1");
    with(InstallationHealth { minting_refused: Some((at(-5), 403)), ..Default::default() })
        .schedules("hold 1 minting_refused");
}

#[test]
fn the_minting_limit_bounds_what_is_planned_for_an_installation() {
    let limited = InstallationHealth { mints_left: Some((1, at(-2))), ..Default::default() };
    let world = World::new("a:5").job(1, "1", "a", 10).job(2, "1", "a", 9).job(3, "2", "a", 8).edit(|w| {
        w.snapshot.installations.insert(InstallationId::new(10).unwrap(), limited);
    });
    world.schedules(
        "provision org:1|a for 1
         provision org:2|a for 3
         hold 2 rate_limited",
    );
    assert_eq!(world.schedule().held.next_look(), Some(at(-2)));
}

#[test]
fn a_plan_that_serves_a_job_twice_or_holds_it_too_fails_its_audit() {
    let world = World::new("a:2").job(1, "1", "a", 10).job(2, "1", "a", 9);
    let plan = world.schedule();
    let broken = |plan: &Plan| audit(&world.snapshot, &world.policy, plan);
    let first = JobId::new(1).unwrap();
    let mut twice = plan.clone();
    let Action::Provision(second) = &mut twice.steps[1].action else { panic!("{twice:?}") };
    second.job = Some(first);
    assert_eq!(broken(&twice), [Violation::Account(first)]);
    let held = World::new("a:0").job(1, "1", "a", 10).schedule().held;
    assert_eq!(broken(&Plan { held, ..plan }), [Violation::Account(first)]);
}

#[test]
fn a_refused_image_stops_its_minting_with_one_loud_finding() {
    let world = World::new("a:3").job(1, "1", "a", 10).job(2, "2", "a", 9).edit(|w| {
        w.snapshot.refused_images.insert("image:1".parse().unwrap(), at(60));
    });
    world.schedules(
        "hold 1 image_refused
         hold 2 image_refused",
    );
    assert_eq!(world.schedule().findings.len(), 1);
}

#[test]
fn a_refused_image_is_tried_by_one_worker_at_a_time_after_a_while() {
    let refused = |since| {
        World::new("a:3").job(1, "1", "a", 10).job(2, "2", "a", 9).edit(|w| {
            w.snapshot.refused_images.insert("image:1".parse().unwrap(), since);
        })
    };
    refused(at(599)).schedules(
        "hold 1 image_refused
         hold 2 image_refused",
    );
    assert_eq!(refused(at(599)).schedule().held.next_look(), Some(at(-1)));
    refused(at(600)).schedules(
        "provision org:1|a for 1
         hold 2 image_refused",
    );
    let before = refused(at(600)).worker("w", "3", "a", 700);
    before.clone().schedules(
        "provision org:1|a for 1
         hold 2 image_refused",
    );
    before.worker("c", "3", "a", 20).schedules(
        "hold 1 image_refused
         hold 2 image_refused",
    );
}

#[test]
fn boards_set_aside_are_the_reason_only_where_no_other_is_there_to_wait_for() {
    let with = |world: World| {
        world.job(1, "1", "a", 10).edit(|w| {
            let quarantine = Quarantine { strikes: 3, times: 1, until: Some(at(-60)) };
            w.snapshot.quarantines.insert("a0".parse().unwrap(), quarantine);
        })
    };
    with(World::new("a:1")).schedules("hold 1 board_quarantined");
    let busy = with(World::new("a:2").running_worker("w", "2", "a", "a1", 60));
    busy.schedules("hold 1 no_capacity");
    let held = busy.schedule().held;
    let said = held.iter().next().unwrap().1.to_string();
    assert_eq!(said, "pool a has no free slot: 1 of 1 are taken, 1 board is set aside after failures");
}

#[test]
fn a_quarantined_board_is_avoided_and_then_tried_by_one_canary() {
    let with = |until| {
        World::new("a:2")
            .job(1, "1", "a", 10)
            .job(2, "1", "a", 9)
            .job(3, "1", "a", 8)
            .edit(move |w| {
                let quarantine = Quarantine { strikes: 3, times: 1, until: Some(until) };
                w.snapshot.quarantines.insert("a0".parse().unwrap(), quarantine);
            })
            .edit_node("a0", |node| node.slots = 2)
    };
    with(at(-60)).schedules(
        "provision org:1|a for 1
         hold 2 no_capacity
         hold 3 no_capacity",
    );
    with(at(1)).schedules(
        "provision org:1|a for 1
         provision org:1|a for 2
         hold 3 no_capacity",
    );
}

#[test]
fn unknown_pools_are_found() {
    let world = World::new("a:1").job(1, "1", "zz", 10);
    world.schedules("hold 1 unknown_pool");
    assert_eq!(world.schedule().findings.len(), 1);
}

#[test]
fn fifo_lets_the_oldest_go_first_and_fair_the_least_served() {
    let mut world = World::new("a:4");
    for n in 0..6 {
        world = world.job(n + 1, "1", "a", 100 - n);
    }
    world = world.job(10, "2", "a", 5).job(11, "3", "a", 4);
    world.schedules(
        "provision org:1|a for 1
         provision org:1|a for 2
         provision org:1|a for 3
         provision org:1|a for 4
         hold 5 no_capacity
         hold 6 no_capacity
         hold 10 no_capacity
         hold 11 no_capacity",
    );
    world.edit(|w| w.policy.limits.sharing = Sharing::Fair).schedules(
        "provision org:1|a for 1
         provision org:2|a for 10
         provision org:3|a for 11
         provision org:1|a for 2
         hold 3 no_capacity
         hold 4 no_capacity
         hold 5 no_capacity
         hold 6 no_capacity",
    );
}

fn kept_warm(world: World, count: u32) -> World {
    world.edit(move |w| {
        let pool: PoolName = "a".parse().expect("a pool's name");
        let placement = Placement { image: w.policy.pools[&pool].image.clone(), pool };
        w.snapshot.warm.insert(key("1", "a"), Warm { count, scope: scope("1"), placement });
    })
}

#[test]
fn no_runner_is_kept_warm_for_a_job_that_is_held() {
    let paused = World::new("a:9").job(1, "1", "a", 10).edit(|w| {
        let repo = w.snapshot.demand[&key("1", "a")].waiting[0].repo.clone();
        w.snapshot.controls.paused_repos.insert(repo, common::note());
    });
    kept_warm(paused, 2).schedules("hold 1 paused");
}

#[test]
fn jobs_on_runners_that_are_not_ours_add_none_to_those_kept_warm() {
    let elsewhere = World::new("a:9").running_jobs("1", "a", 5);
    kept_warm(elsewhere.clone(), 1).schedules("provision org:1|a for warm");
    let one_is_ours = elsewhere.running_worker("w", "1", "a", "a0", 60).runs("w", 1, JobPhase::Running);
    kept_warm(one_is_ours.clone(), 1).schedules("provision org:1|a for warm");
    kept_warm(one_is_ours.running_worker("idle", "1", "a", "a1", 60), 1).schedules("");
}

#[test]
fn warm_runners_come_after_the_jobs() {
    let warm = |count| kept_warm(World::new("a:2").job(1, "1", "a", 10), count);
    warm(1).schedules(
        "provision org:1|a for 1
         provision org:1|a for warm",
    );
    warm(5).schedules(
        "provision org:1|a for 1
         provision org:1|a for warm",
    );
}

#[test]
fn names_are_new_and_valid() {
    let plan = World::new("a:9").job(1, "1", "a", 3).job(2, "1", "a", 2).worker("w", "2", "a", 1).schedule();
    let names: std::collections::BTreeSet<_> =
        plan.steps.iter().map(|step| step.action.worker().clone()).collect();
    assert_eq!(names.len(), 2);
    assert!(!names.contains(&worker_name("w")));
    assert!(names.iter().all(|name| name.as_str().starts_with("rr-") && name.as_str().len() == 12));
}

#[test]
fn a_worker_that_waited_to_be_made_heeds_what_was_ordered_meanwhile() {
    let plan = World::new("a:2").job(1, "1", "a", 10).schedule();
    let Action::Provision(planned) = &plan.steps[0].action else { panic!("a worker is planned") };
    let heed = |order: fn(&mut Controls)| {
        let (mut provision, mut controls) = (planned.clone(), Controls::default());
        order(&mut controls);
        provision.heed(&controls).map(|()| provision.avoid)
    };
    assert_eq!(heed(|_| ()), Ok(planned.avoid.clone()));
    let drained: fn(&mut Controls) =
        |controls| drop(controls.drained_nodes.insert("a0".parse().unwrap(), note()));
    assert_eq!(heed(drained), Ok(vec!["a0".parse().unwrap()]));
    let forbidding: [fn(&mut Controls); 3] = [
        |controls| controls.everything_paused = Some(note()),
        |controls| drop(controls.paused_entities.insert(EntityId::new(1).unwrap(), note())),
        |controls| drop(controls.drained_pools.insert("a".parse().unwrap(), note())),
    ];
    for order in forbidding {
        assert!(matches!(heed(order), Err(Hold::Paused { .. })));
    }
}
