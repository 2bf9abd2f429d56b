//! Registrations listed and deleted: whole listings or none.

use riscv_runner_core::{
    ports::{Deletion, Forge as _, PortErrorKind},
    runner::{Group, Runner},
};
use riscv_runner_sim::doubles::github::{Effect, Fault};

use crate::setting::{GROUPS, ORG_RUNNERS, Setting};

#[tokio::test]
async fn every_page_is_read_and_other_names_are_left_out() {
    let t = Setting::with(|config| config.page_limit = 3, |_| {}).await;
    for n in 0..7 {
        t.double.add_runner("orgs/acme", &format!("rise-riscv-runner-{n}"));
        t.double.add_runner("orgs/acme", &format!("somebody-elses-{n}"));
    }
    t.double.add_runner("repos/ada/engine", "rise-riscv-runner-elsewhere");
    assert!(t.double.set_online("rise-riscv-runner-5", true));
    assert!(t.double.set_busy("rise-riscv-runner-6", true));
    let runners = t.forge.runners(&t.org).await.unwrap();
    let names: Vec<_> = runners.iter().map(|runner| runner.name.as_str()).collect();
    let expected: Vec<_> = (0..7).map(|n| format!("rise-riscv-runner-{n}")).collect();
    assert_eq!(names, expected);
    assert_eq!(t.double.count(ORG_RUNNERS), 5);
    assert_eq!((runners[5].online, runners[5].busy), (true, false));
    assert_eq!((runners[6].online, runners[6].busy), (false, true));
    assert_eq!(t.forge.runners(&t.person).await.unwrap().len(), 1);
    t.assert_lawful();
}

#[tokio::test]
async fn a_registration_outside_our_group_is_listed_as_such() {
    let groups = |runners: Vec<Runner>| -> Vec<_> {
        runners.into_iter().map(|runner| (runner.name.to_string(), runner.group)).collect()
    };
    let (a, b) = ("rise-riscv-runner-a".to_owned(), "rise-riscv-runner-b".to_owned());
    let t = Setting::new().await;
    // Nobody has made our group: what we registered, if anything, is in the default one.
    t.double.add_runner("orgs/acme", &b);
    assert_eq!(groups(t.forge.runners(&t.org).await.unwrap()), [(b.clone(), Group::Ours)]);
    t.mint(&t.org, &a).await.unwrap();
    let expected = [(b.clone(), Group::Other), (a.clone(), Group::Ours)];
    assert_eq!(groups(t.forge.runners(&t.org).await.unwrap()), expected);
    // Another process finds the group by its name, and makes none.
    let asked = t.double.count(GROUPS);
    let other = t.another_process();
    assert_eq!(groups(other.runners(&t.org).await.unwrap()), expected);
    assert_eq!(groups(other.runners(&t.org).await.unwrap()), expected);
    assert_eq!(t.double.count(GROUPS), asked + 1);
    // Without an answer nothing is called ours.
    t.double.inject(Fault::status(GROUPS, 500).times(1));
    let third = t.another_process();
    assert!(third.runners(&t.org).await.unwrap().iter().all(|runner| runner.group == Group::Other));
    t.double.add_runner("repos/ada/engine", &b);
    assert_eq!(groups(t.forge.runners(&t.person).await.unwrap()), [(b, Group::Ours)]);
}

#[tokio::test]
async fn any_page_that_fails_fails_the_listing() {
    for page in 0..3 {
        for effect in [Effect::Lost, Effect::DoneButReports(500)] {
            let t = Setting::with(|config| config.page_limit = 1, |_| {}).await;
            for n in 0..3 {
                t.double.add_runner("orgs/acme", &format!("rise-riscv-runner-{n}"));
            }
            t.double.inject(Fault::on(ORG_RUNNERS, effect).after(page).times(1));
            let error = t.forge.runners(&t.org).await.unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Transient, "page {page}");
            assert_eq!(t.forge.runners(&t.org).await.unwrap().len(), 3);
        }
    }
}

#[tokio::test]
async fn a_listing_that_moves_while_it_is_read_is_not_believed() {
    let t = Setting::with(|config| config.page_limit = 2, |_| {}).await;
    for n in 0..4 {
        t.double.add_runner("orgs/acme", &format!("rise-riscv-runner-{n}"));
    }
    // The second page is slow enough for the first registration to end before it is answered.
    t.double.inject(
        Fault::on(ORG_RUNNERS, Effect::Slow(std::time::Duration::from_millis(300))).after(1).times(1),
    );
    let moved = async {
        while t.double.count(ORG_RUNNERS) < 1 {
            tokio::task::yield_now().await;
        }
        t.double.forget_runner("rise-riscv-runner-0");
    };
    let (listing, ()) = tokio::join!(t.forge.runners(&t.org), moved);
    assert_eq!(listing.unwrap_err().kind(), PortErrorKind::Transient);
    assert_eq!(t.forge.runners(&t.org).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_unchanged_listing_costs_nothing() {
    let t = Setting::new().await;
    t.double.add_runner("orgs/acme", "rise-riscv-runner-0");
    let first = t.forge.runners(&t.org).await.unwrap();
    let left = t.forge.budget_remaining_min();
    let again = t.forge.runners(&t.org).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(t.forge.budget_remaining_min(), left);
    let last = t.double.requests().pop().unwrap();
    assert_eq!((last.conditional, last.status), (true, 304));
    t.double.add_runner("orgs/acme", "rise-riscv-runner-1");
    assert_eq!(t.forge.runners(&t.org).await.unwrap().len(), 2, "a change is seen");
}

#[tokio::test]
async fn a_listing_that_continues_on_another_host_is_not_followed() {
    let t = Setting::new().await;
    let link = r#"<http://elsewhere.example/orgs/Acme/actions/runners?page=2>; rel="next""#;
    t.double.inject(Fault::on(ORG_RUNNERS, Effect::AddsHeader("link", link.into())));
    let error = t.forge.runners(&t.org).await.unwrap_err();
    assert!(error.detail().contains("elsewhere.example"), "{error}");
    assert_eq!(error.kind(), PortErrorKind::Bug);
}

#[tokio::test]
async fn deletion_tells_gone_and_busy_apart() {
    let t = Setting::new().await;
    for scope in [&t.org, &t.person] {
        let idle = t.mint(scope, "rise-riscv-runner-idle").await.unwrap().runner;
        let busy = t.mint(scope, "rise-riscv-runner-busy").await.unwrap().runner;
        assert!(t.double.set_busy("rise-riscv-runner-busy", true));
        let proof = t.proof();
        let delete = |id| t.forge.delete_runner(&proof, scope, id);
        assert_eq!(delete(idle).await.unwrap(), Deletion::Deleted);
        assert_eq!(delete(idle).await.unwrap(), Deletion::Gone);
        assert_eq!(delete(busy).await.unwrap(), Deletion::Busy);
        assert!(t.double.set_busy("rise-riscv-runner-busy", false));
        assert_eq!(delete(busy).await.unwrap(), Deletion::Deleted);
    }
    t.double.inject(Fault::status("DELETE /orgs/{org}/actions/runners/{runner_id}", 500));
    let id = riscv_runner_core::ids::RunnerId::new(1).unwrap();
    let error = t.forge.delete_runner(&t.proof(), &t.org, id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Transient);
    t.assert_lawful();
}
