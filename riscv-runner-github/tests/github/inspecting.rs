//! Looking at repositories and installations for people who ask.

use std::{collections::BTreeMap, time::Duration};

use riscv_runner_core::{
    entity::EntityKind,
    ids::{InstallationId, RepoName},
    observed::{Observed, Why},
    ports::{Inspector as _, PortErrorKind, RepositoryFacts, RepositoryState, RunnerGroup},
};
use riscv_runner_sim::doubles::github::{Fault, ORGANIZATION_APP, PERSONAL_APP};

use crate::setting::{GROUPS, Setting, TOKEN};

const OF_REPOSITORY: &str = "GET /repos/{owner}/{repo}/installation";
const REPOSITORY: &str = "GET /repos/{owner}/{repo}";
const APP: &str = "GET /app";

async fn look(t: &Setting, name: &str) -> RepositoryFacts {
    (*t.inspector.repository(&RepoName::new(name).unwrap()).await.unwrap()).clone()
}

#[tokio::test]
async fn a_repository_of_an_organization_is_described() {
    let t = Setting::new().await;
    let group = t.double.add_group("Acme", "RISE RISC-V Runners");
    let facts = look(&t, "acme/Widget").await;
    let installed = &facts.installations[0];
    assert_eq!(facts.installations.len(), 1, "{facts:?}");
    assert_eq!((installed.id, installed.app), (t.org.installation, EntityKind::Organization));
    assert_eq!(
        (installed.account.login.as_str(), installed.account.kind),
        ("Acme", Some(EntityKind::Organization))
    );
    assert!(installed.all_repositories && installed.suspended_at.is_none());
    assert_eq!(installed.permissions["organization_self_hosted_runners"], "write");
    assert!(installed.events.contains("workflow_job"));
    assert!(facts.chosen.contains(&t.org.installation));
    assert_eq!(facts.repository, Observed::Present(RepositoryState { private: false, archived: false }));
    assert_eq!(facts.actions_allowed, Observed::Unknown(Why::NotLooked), "this App may not ask");
    let open = RunnerGroup { allows_public: true, allows_repository: true };
    assert_eq!(facts.group, Observed::Present(open));
    let pages: BTreeMap<_, _> = facts.apps.iter().map(|app| (app.kind, app.page.as_deref())).collect();
    assert_eq!(pages[&EntityKind::Organization], Some("https://github.com/apps/double-101"));

    t.double.restrict_group("Acme", group, false, Some(&["Acme/other"]));
    t.clock.advance(Duration::from_secs(60));
    let facts = look(&t, "acme/Widget").await;
    let closed = RunnerGroup { allows_public: false, allows_repository: false };
    assert_eq!(facts.group, Observed::Present(closed));
    t.double.restrict_group("Acme", group, true, Some(&["Acme/widget"]));
    t.clock.advance(Duration::from_secs(60));
    assert_eq!(look(&t, "acme/Widget").await.group, Observed::Present(open));
    t.assert_lawful();
}

#[tokio::test]
async fn a_repository_of_a_person_is_described() {
    let t = Setting::new().await;
    let facts = look(&t, "ada/engine").await;
    assert_eq!(facts.installations[0].app, EntityKind::User);
    assert_eq!(facts.actions_allowed, Observed::Present(true));
    assert_eq!(facts.group, Observed::Unknown(Why::NotLooked), "people have no runner groups");
    t.double.turn_actions_off("ada/engine");
    t.double.archive("ada/engine");
    t.clock.advance(Duration::from_secs(60));
    let facts = look(&t, "ada/engine").await;
    assert_eq!(facts.actions_allowed, Observed::Present(false));
    assert_eq!(facts.repository, Observed::Present(RepositoryState { private: false, archived: true }));
    t.assert_lawful();
}

#[tokio::test]
async fn what_was_not_chosen_is_seen_only_if_it_is_public() {
    let t = Setting::new().await;
    t.double.add_repo("Acme/vault", true);
    t.double.choose(t.org.installation.get(), &["Acme/other"]);
    let public = look(&t, "Acme/widget").await;
    assert!(public.chosen.is_empty() && public.repository.is_present(), "{public:?}");
    for name in ["Acme/vault", "Acme/nothing"] {
        let hidden = look(&t, name).await;
        assert!(hidden.chosen.is_empty() && hidden.repository.is_absent(), "{hidden:?}");
        assert!(!hidden.installations[0].all_repositories);
    }
    t.double.choose(t.org.installation.get(), &["Acme/vault"]);
    t.clock.advance(Duration::from_secs(60));
    let chosen = look(&t, "Acme/vault").await;
    assert_eq!(chosen.repository, Observed::Present(RepositoryState { private: true, archived: false }));
    t.assert_lawful();
}

#[tokio::test]
async fn as_much_is_asked_for_a_private_repository_as_for_none() {
    let t = Setting::new().await;
    t.double.add_repo("Acme/vault", true);
    look(&t, "Acme/widget").await;
    let first = t.double.requests().len();
    look(&t, "Acme/vault").await;
    let second = t.double.requests().len();
    look(&t, "Acme/nothing").await;
    let all = t.double.requests();
    let mut of_private: Vec<_> = all[first..second].iter().map(|request| &request.template).collect();
    let mut of_none: Vec<_> = all[second..].iter().map(|request| &request.template).collect();
    of_private.sort();
    of_none.sort();
    assert!(!of_private.is_empty());
    assert_eq!(of_private, of_none);
}

#[tokio::test]
async fn the_wrong_app_a_suspension_and_nothing_are_told_apart() {
    let t = Setting::new().await;
    t.double.add_account("stranger", EntityKind::User);
    t.double.add_repo("stranger/thing", false);
    assert!(look(&t, "stranger/thing").await.installations.is_empty());
    let wrong = t.double.install(ORGANIZATION_APP, "stranger");
    t.clock.advance(Duration::from_secs(60));
    let facts = look(&t, "stranger/thing").await;
    assert_eq!(facts.installations.len(), 1);
    assert_eq!(facts.installations[0].id.get(), wrong);
    assert_eq!(facts.installations[0].app, EntityKind::Organization);
    assert_eq!(facts.installations[0].account.kind, Some(EntityKind::User));
    let right = t.double.install(PERSONAL_APP, "stranger");
    t.double.set_suspended(right, true);
    t.clock.advance(Duration::from_secs(60));
    let facts = look(&t, "stranger/thing").await;
    assert_eq!(facts.installations.len(), 2);
    assert!(facts.installations.iter().any(|installed| installed.suspended_at.is_some()));
    assert!(facts.repository.is_unknown(), "a suspended installation sees nothing");
    t.assert_lawful();
}

#[tokio::test]
async fn an_installation_is_found_whichever_app_it_is_of() {
    let t = Setting::new().await;
    for (id, app) in
        [(t.org.installation, EntityKind::Organization), (t.person.installation, EntityKind::User)]
    {
        let found = t.inspector.installation(id).await.unwrap().unwrap();
        assert_eq!((found.id, found.app), (id, app));
    }
    assert_eq!(t.inspector.installation(InstallationId::new(5).unwrap()).await.unwrap(), None);
    t.double.set_account_type(t.org.installation.get(), "Enterprise");
    t.clock.advance(Duration::from_secs(60));
    let found = t.inspector.installation(t.org.installation).await.unwrap().unwrap();
    assert_eq!(found.account.kind, None);
    t.assert_lawful();
}

#[tokio::test]
async fn an_answer_is_kept_for_a_minute_and_a_failure_for_seconds() {
    let t = Setting::new().await;
    look(&t, "Acme/widget").await;
    look(&t, "ACME/WIDGET").await;
    assert_eq!(t.double.count(REPOSITORY), 1);
    t.clock.advance(Duration::from_secs(60));
    look(&t, "Acme/widget").await;
    assert_eq!(t.double.count(REPOSITORY), 2);
    assert_eq!(t.double.count(APP), 2, "the pages of the two Apps are kept longer");
    let before = t.double.count(OF_REPOSITORY);
    t.double.inject(Fault::status(OF_REPOSITORY, 503));
    let other = RepoName::new("Acme/other").unwrap();
    for _ in 0..3 {
        assert_eq!(t.inspector.repository(&other).await.unwrap_err().kind(), PortErrorKind::Transient);
    }
    assert_eq!(t.double.count(OF_REPOSITORY), before + 1);
    t.double.heal();
    t.clock.advance(Duration::from_secs(5));
    t.inspector.repository(&other).await.unwrap();
}

#[tokio::test]
async fn a_part_that_github_does_not_tell_is_unknown() {
    let t = Setting::new().await;
    t.double.inject(Fault::status(GROUPS, 403));
    t.double.inject(Fault::status(REPOSITORY, 500));
    let facts = look(&t, "Acme/widget").await;
    assert_eq!(facts.group, Observed::Unknown(Why::Failed));
    assert_eq!(facts.repository, Observed::Unknown(Why::Failed));
    assert!(!facts.chosen.is_empty());
}

#[tokio::test]
async fn few_questions_a_minute_go_to_github() {
    let t = Setting::new().await;
    let ask = async |n: u32| {
        t.inspector.repository(&RepoName::new(format!("Acme/r{n}")).unwrap()).await.map(|_| ())
    };
    for n in 0..20 {
        ask(n).await.unwrap();
    }
    let asked = t.double.requests().len();
    let error = ask(20).await.unwrap_err();
    let PortErrorKind::RateLimited { until } = error.kind() else { panic!("{error}") };
    assert_eq!(until, riscv_runner_core::ports::Platform::now(&t.clock) + jiff::SignedDuration::from_secs(6));
    ask(3).await.expect("what is kept costs nothing");
    assert_eq!(t.double.requests().len(), asked);
    t.clock.advance(Duration::from_secs(6));
    ask(20).await.unwrap();
    assert_eq!(t.double.count(TOKEN), 1);
    t.assert_lawful();
}
