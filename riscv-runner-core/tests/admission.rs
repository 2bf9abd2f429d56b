//! Whose jobs are for us, however they were heard of.

mod common;

use common::{World, note};
use riscv_runner_core::{
    admission::{IntakePolicy, is_followed, is_served},
    entity::{Entity, EntityKind},
    ids::{EntityId, Login, RepoName},
    policy::EntityPolicy,
};

#[test]
fn a_listing_of_runs_brings_no_jobs_of_who_is_banned_or_belongs_to_staging() {
    let id = EntityId::new(1).unwrap();
    let entity = Entity { id, kind: EntityKind::Organization, login: Login::new("e1").unwrap() };
    let repo = RepoName::new("e1/main").unwrap();
    let served = |edit: &dyn Fn(&mut World)| {
        let world = World::new("a:1").edit(edit);
        let by = IntakePolicy { policy: &world.policy, controls: &world.snapshot.controls };
        is_served(&by, &entity, &repo)
    };
    let special = |special: EntityPolicy| {
        move |world: &mut World| {
            world.policy.entities.insert(id, special.clone());
        }
    };
    assert!(served(&|_| {}));
    assert!(!served(&special(EntityPolicy { banned: true, ..EntityPolicy::default() })));
    assert!(!served(&special(EntityPolicy { staging: true, ..EntityPolicy::default() })));
    assert!(!served(&|world| {
        world.snapshot.controls.banned_entities.insert(id, note());
    }));
    assert!(!served(&|world| {
        world.policy.staging_repositories.insert(RepoName::new("E1/Main").unwrap());
    }));
}

#[test]
fn a_run_of_a_banned_person_brings_no_new_jobs_and_known_ones_are_followed() {
    let mut world = World::new("a:1");
    world.policy.banned_senders.insert(Login::new("mallory").unwrap());
    let by = IntakePolicy { policy: &world.policy, controls: &world.snapshot.controls };
    let (banned, other) = (Login::new("Mallory").unwrap(), Login::new("ada").unwrap());
    assert!(!is_followed(&by, Some(&banned), false));
    assert!(is_followed(&by, Some(&banned), true));
    assert!(is_followed(&by, Some(&other), false));
    assert!(is_followed(&by, None, false), "nobody is banned for what GitHub does not say");
}
