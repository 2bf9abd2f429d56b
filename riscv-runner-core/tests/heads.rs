//! What a cycle reads of the queue, one law a test: enough to fill every slot, and nothing that cannot be.

mod common;

use std::collections::BTreeMap;

use common::{World, at, note, scope};
use riscv_runner_core::{
    ids::{EntityId, PoolName, RepoName},
    plan::heads,
    policy::{Cap, EntityPolicy, Sharing},
    routing::{LabelMatch, Route},
    snapshot::InstallationHealth,
};

/// The keys that are read, with how many of their jobs are skipped and read.
fn read(world: &World) -> Vec<(String, u32, u32)> {
    let reading = heads(&world.snapshot, &world.policy);
    reading.heads.iter().map(|head| (head.key.to_string(), head.skip, head.limit)).collect()
}

fn keys(world: &World) -> Vec<String> {
    read(world).into_iter().map(|(key, _, _)| key).collect()
}

/// A pool with one board: an older job of account 1, a younger one of account 2.
fn one_board() -> World {
    World::new("a:1").job(1, "1", "a", 100).job(2, "2", "a", 50)
}

fn with_health(world: World, account: &str, health: InstallationHealth) -> World {
    world.edit(|world| {
        world.snapshot.installations.insert(scope(account).installation, health);
    })
}

#[test]
fn only_what_could_be_served_is_read() {
    let mut world = World::new("a:3 b:0");
    for n in 0..50 {
        world = world.job(n + 1, "1", "a", 100 - n).job(n + 101, "2", "b", 200 - n);
    }
    world = world.worker("w", "1", "a", 1);
    assert_eq!(read(&world), [("org:1|a".to_owned(), 1, 2)]);
    let shares = heads(&world.snapshot, &world.policy).shares;
    let b = PoolName::new("b").unwrap();
    assert_eq!(shares.iter().find(|share| share.pool == b).unwrap().rows, 0);
}

#[test]
fn the_oldest_key_has_the_only_slot() {
    assert_eq!(keys(&one_board()), ["org:1|a"]);
}

#[test]
fn a_limited_installation_takes_no_place_from_others() {
    let until = Some(at(-600));
    let limited = InstallationHealth { rate_limited_until: until, ..InstallationHealth::default() };
    assert_eq!(keys(&with_health(one_board(), "1", limited)), ["org:2|a"]);
    let spent = InstallationHealth { mints_left: Some((0, at(-5))), ..InstallationHealth::default() };
    assert_eq!(keys(&with_health(one_board(), "1", spent)), ["org:2|a"]);
    let over = InstallationHealth { rate_limited_until: Some(at(1)), ..InstallationHealth::default() };
    assert_eq!(keys(&with_health(one_board(), "1", over)), ["org:1|a"]);
}

#[test]
fn as_many_are_read_as_the_minting_limit_leaves() {
    let world = World::new("a:5").job(1, "1", "a", 100).job(2, "1", "a", 90).job(3, "1", "a", 80);
    let left = InstallationHealth { mints_left: Some((2, at(-5))), ..InstallationHealth::default() };
    assert_eq!(read(&with_health(world, "1", left)), [("org:1|a".to_owned(), 0, 2)]);
}

#[test]
fn who_refuses_runners_or_cannot_authenticate_takes_no_place_from_others() {
    let refused =
        InstallationHealth { minting_refused: Some((at(-600), 403)), ..InstallationHealth::default() };
    assert_eq!(keys(&with_health(one_board(), "1", refused)), ["org:2|a"]);
    let failing = InstallationHealth {
        auth_failing_since: Some(at(60)),
        auth_retry_at: Some(at(-30)),
        ..InstallationHealth::default()
    };
    assert_eq!(keys(&with_health(one_board(), "1", failing)), ["org:2|a"]);
}

#[test]
fn a_refused_image_takes_no_place_from_others() {
    let world = one_board().edit(|world| {
        world.snapshot.refused_images.insert("image:1".parse().unwrap(), at(60));
        let front = world.snapshot.demand.values_mut().last().unwrap().front.as_mut().unwrap();
        front.placement.image = "image:2".parse().unwrap();
    });
    assert_eq!(keys(&world), ["org:2|a"]);
}

#[test]
fn a_paused_repository_takes_no_place_from_others() {
    let pause = |name: &str, world: World| {
        world.edit(|world| {
            world.snapshot.controls.paused_repos.insert(RepoName::new(name).unwrap(), note());
        })
    };
    let personal = World::new("a:1").job(1, "5/1", "a", 100).job(2, "2", "a", 50);
    assert_eq!(keys(&pause("e5/r1", personal)), ["org:2|a"]);
    // Other repositories of an organization share its key, so it is read beside the next one.
    assert_eq!(keys(&pause("e1/main", one_board())), ["org:1|a", "org:2|a"]);
    let fair = pause("e1/main", one_board()).edit(|world| world.policy.limits.sharing = Sharing::Fair);
    assert_eq!(keys(&fair), ["org:1|a", "org:2|a"]);
}

#[test]
fn a_rule_at_its_limit_takes_no_place_from_others() {
    let world = one_board().job(3, "3", "a,x", 200).edit(|world| {
        world.policy.routes.push(Route {
            labels: common::labels("a,x"),
            label_match: LabelMatch::Exact,
            entities: Vec::new(),
            repositories: Vec::new(),
            app: None,
            pool: "a".parse().unwrap(),
            image: None,
            max_workers: Some(0),
            warm: 0,
        });
    });
    assert_eq!(keys(&world), ["org:1|a"]);
    let fair = world.edit(|world| world.policy.limits.sharing = Sharing::Fair);
    assert_eq!(keys(&fair), ["org:1|a"]);
}

#[test]
fn a_pool_that_takes_nothing_uses_up_no_room_of_its_account() {
    let world = |edit: fn(&mut World)| {
        let world = World::new("a:1 b:1").job(1, "1", "b", 100).job(2, "1", "a", 50);
        world.edit(edit).edit(|world| {
            let one = EntityPolicy { max_workers: Some(Cap::AtMost(1)), ..EntityPolicy::default() };
            world.policy.entities.insert(EntityId::new(1).unwrap(), one);
        })
    };
    let drained = world(|world| {
        world.snapshot.controls.drained_pools.insert(PoolName::new("b").unwrap(), note());
    });
    assert_eq!(keys(&drained), ["org:1|a"]);
    let capped = world(|world| {
        world.policy.pools.get_mut(&PoolName::new("b").unwrap()).unwrap().max_workers = Some(0);
    });
    assert_eq!(keys(&capped), ["org:1|a"]);
}

#[test]
fn under_fair_sharing_slots_are_dealt_to_who_has_least() {
    let mut world = World::new("a:3").edit(|world| world.policy.limits.sharing = Sharing::Fair);
    for n in 0..20 {
        world = world.job(n + 1, "1", "a", 100 - n);
    }
    world = world.job(101, "2", "a", 5).job(102, "3/1", "a", 4).job(103, "3/2", "a", 3);
    let dealt: BTreeMap<_, _> = heads(&world.snapshot, &world.policy)
        .shares
        .into_iter()
        .map(|share| (share.entity.unwrap().get(), share.rows))
        .collect();
    assert_eq!(dealt, BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
    assert_eq!(keys(&world), ["org:1|a", "org:2|a", "repo:3/1|a"]);
}

#[test]
fn under_fair_sharing_who_has_workers_waits_for_who_has_none() {
    let world = World::new("a:3")
        .edit(|world| world.policy.limits.sharing = Sharing::Fair)
        .running_jobs("1", "a", 2)
        .running_worker("v", "1", "a", "a0", 60)
        .running_worker("w", "1", "a", "a1", 60)
        .job(1, "1", "a", 100)
        .job(2, "2", "a", 5);
    assert_eq!(keys(&world), ["org:2|a"]);
}
