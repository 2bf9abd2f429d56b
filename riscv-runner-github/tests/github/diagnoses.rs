//! Every diagnosis, where it must be made and where it must not, from GitHub's published payloads as they
//! go through admission into the log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use riscv_runner_core::{
    delivery::LogSource,
    entity::EntityKind,
    ids::{AppId, EventId, JobId, Login, RepoId, RepoName},
    ports::{LoggedDelivery, LoggedEvent},
    trace::{AccountState, Diagnosed, Diagnosis, Question, Standing, TraceEvent, diagnose, state_at},
};
use riscv_runner_github::webhook::{KnownApps, WebhookHeaders, parse, says};
use serde_json::{Value, json, value::to_raw_value};

use crate::published::webhook_examples;

/// The App of GitHub's examples.
const APP: i64 = 29310;
/// The installation of GitHub's examples.
const INSTALLATION: i64 = 957_387;
/// Its only repository.
const HELLO: (&str, i64) = ("Codertocat/Hello-World", 186_853_002);
/// One that is chosen later.
const SPACE: (&str, i64) = ("Codertocat/Space", 186_853_007);

/// GitHub's example of an event.
fn example(event: &str, action: &str) -> Value {
    let (_, examples) = webhook_examples().into_iter().find(|(name, _)| name == event).unwrap();
    let found = examples.into_iter().find(|example| {
        // Of two accounts in the examples, the one with more of them.
        example["action"] == action && example["installation"]["account"]["login"] != "octocat"
    });
    found.unwrap_or_else(|| panic!("no example of {event}.{action}"))
}

/// GitHub's example, where it is of another account: said of this one.
fn example_of_octocat(event: &str, action: &str) -> Value {
    let (_, examples) = webhook_examples().into_iter().find(|(name, _)| name == event).unwrap();
    let mut found = examples.into_iter().find(|example| example["action"] == action).unwrap();
    let created = example("installation", "created");
    found["installation"] = created["installation"].clone();
    found
}

fn hello() -> (RepoName, Option<RepoId>) {
    (RepoName::new(HELLO.0).unwrap(), Some(RepoId::new(HELLO.1).unwrap()))
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + 60 * minute).unwrap()
}

/// A log that grows by a row a minute.
#[derive(Default)]
struct Log(Vec<TraceEvent>);

impl Log {
    /// GitHub delivers; `says` reads what the log keeps.
    fn deliver(mut self, event: &str, payload: &Value) -> Self {
        let received_at = at(i64::try_from(self.0.len()).unwrap());
        let headers = WebhookHeaders::new(event, &format!("g{}", self.0.len()), &APP.to_string()).unwrap();
        let delivery = parse(&headers, payload.to_string().as_bytes(), &apps(), received_at).unwrap();
        let row = self.row(&delivery.event, LogSource::Webhook, delivery.app);
        let row = LoggedEvent {
            installation_id: delivery.installation,
            entity_type: delivery.entity.as_ref().map(|entity| entity.kind),
            entity_id: delivery.entity.as_ref().map(|entity| entity.id),
            entity_name: delivery.entity.as_ref().map(|entity| entity.login.clone()),
            job_id: payload["workflow_job"]["id"].as_i64().map(|id| JobId::new(id).unwrap()),
            repo_full_name: delivery.repo.clone(),
            received_at,
            ..row
        };
        let says = says(&LoggedDelivery { event: row.clone(), payload: delivery.payload });
        self.0.push(TraceEvent { row, says });
        self
    }

    /// The scheduler fails to authenticate.
    fn refuse(mut self, app: i64, status: u16) -> Self {
        let event = if status == 404 { "auth_attempt.404" } else { "auth_attempt.other_error" };
        let row = self.row(event, LogSource::Scheduler, AppId::new(app).unwrap());
        let row = LoggedEvent { installation_id: Some(INSTALLATION.try_into().unwrap()), ..row };
        let payload = to_raw_value(&json!({ "status": status, "message": "said" })).unwrap();
        let says = says(&LoggedDelivery { event: row.clone(), payload });
        self.0.push(TraceEvent { row, says });
        self
    }

    fn row(&self, event: &str, source: LogSource, app: AppId) -> LoggedEvent {
        let n = i64::try_from(self.0.len()).unwrap();
        LoggedEvent {
            id: EventId::new(n + 1).unwrap(),
            source,
            event: event.to_owned(),
            outcome: "ok".to_owned(),
            installation_id: None,
            app_id: Some(app),
            entity_type: None,
            entity_id: None,
            entity_name: None,
            job_id: None,
            repo_full_name: None,
            delivery_guid: None,
            received_at: at(n),
        }
    }

    fn created(self) -> Self {
        self.deliver("installation", &example("installation", "created"))
    }

    fn state(&self) -> AccountState {
        state_at(&self.0, Timestamp::MAX)
    }

    fn ask(&self, question: impl FnOnce(&mut Question)) -> Vec<Diagnosed> {
        self.ask_at(i64::try_from(self.0.len()).unwrap(), question)
    }

    fn ask_at(&self, minute: i64, question: impl FnOnce(&mut Question)) -> Vec<Diagnosed> {
        let mut asked = Question { apps: apps().iter().collect(), ..Question::at(at(minute)) };
        question(&mut asked);
        diagnose(&state_at(&self.0, asked.at), &asked)
    }

    /// The diagnosis must be made, by these rows.
    fn check(&self, question: impl FnOnce(&mut Question), expected: Diagnosis, evidence: &[i64]) -> String {
        let found = self.ask(question);
        let one = found.iter().find(|one| one.diagnosis == expected);
        let one = one.unwrap_or_else(|| panic!("no {expected} among {found:#?}"));
        assert_eq!(one.evidence.iter().map(|id| id.get()).collect::<Vec<_>>(), evidence, "{one:#?}");
        assert!(one.hint.is_some() && !one.text.is_empty());
        one.text.clone()
    }

    /// The diagnosis must not be made.
    fn refute(&self, question: impl FnOnce(&mut Question), refuted: Diagnosis) {
        let found = self.ask(question);
        assert!(found.iter().all(|one| one.diagnosis != refuted), "{found:#?}");
    }
}

fn apps() -> KnownApps {
    // GitHub's examples are of a person's account.
    KnownApps::from_iter([(AppId::new(APP).unwrap(), EntityKind::User)])
}

fn nothing(_: &mut Question) {}

fn of_hello(question: &mut Question) {
    question.repo = Some(hello());
}

#[test]
fn the_example_of_an_installation_is_understood() {
    let state = Log::default().created().state();
    let installation = &state.installations[&INSTALLATION.try_into().unwrap()];
    assert_eq!(installation.app.map(i64::from), Some(APP));
    assert!(matches!(installation.standing, Standing::Installed(_)));
    let chosen: BTreeMap<_, _> = installation
        .repositories
        .chosen
        .values()
        .map(|(name, mark)| (name.as_str(), mark.event.get()))
        .collect();
    assert_eq!(chosen, [(HELLO.0, 1)].into());
    assert!(installation.repositories.complete_since.is_some());
    let added = Log::default()
        .created()
        .deliver("installation_repositories", &example("installation_repositories", "added"));
    let installation = &added.state().installations[&INSTALLATION.try_into().unwrap()];
    assert_eq!(installation.repositories.chosen.len(), 2);
}

#[test]
fn uninstalled_before_the_failure() {
    let gone = example_of_octocat("installation", "deleted");
    let log = Log::default().created().deliver("installation", &gone).refuse(APP, 404);
    let text = log.check(nothing, Diagnosis::Uninstalled, &[2, 3]);
    assert!(text.contains(&at(1).to_string()) && text.contains(&at(2).to_string()), "{text}");
    assert_eq!(log.ask(nothing).len(), 1, "the failure is explained by it");
    // Without a failure it is gone all the same; before it was, it is healthy.
    Log::default().created().deliver("installation", &gone).check(nothing, Diagnosis::Uninstalled, &[2]);
    assert_eq!(log.ask_at(0, nothing)[0].diagnosis, Diagnosis::Healthy);
    // Installed again, under another number.
    let mut again = example("installation", "created");
    again["installation"]["id"] = json!(957_388);
    let log = log.deliver("installation", &again);
    log.refute(nothing, Diagnosis::Uninstalled);
    let text = log.check(
        |question| question.installation = Some(INSTALLATION.try_into().unwrap()),
        Diagnosis::Uninstalled,
        &[2, 3, 4],
    );
    assert!(text.contains("installation 957388"), "{text}");
    // A late delivery does not bring it back.
    let job = example_of_job();
    Log::default().created().deliver("installation", &gone).deliver("workflow_job", &job).check(
        nothing,
        Diagnosis::Uninstalled,
        &[2],
    );
}

#[test]
fn suspended() {
    let of_it = |action| {
        let mut payload = example("installation", action);
        payload["installation"]["id"] = json!(INSTALLATION);
        payload
    };
    let (suspend, unsuspend) = (of_it("suspend"), of_it("unsuspend"));
    let log = Log::default().created().deliver("installation", &suspend).refuse(APP, 403);
    log.check(nothing, Diagnosis::Suspended, &[2, 3]);
    log.refute(nothing, Diagnosis::AuthenticationFailing);
    assert_eq!(log.ask_at(0, nothing)[0].diagnosis, Diagnosis::Healthy);
    let log = log.deliver("installation", &unsuspend);
    log.refute(nothing, Diagnosis::Suspended);
    assert_eq!(log.ask(nothing).len(), 1);
}

#[test]
fn repository_access_removed() {
    let mut removed = example_of_octocat("installation_repositories", "removed");
    removed["repositories_removed"] = json!([{ "id": HELLO.1, "full_name": HELLO.0, "private": false }]);
    let log = Log::default().created().deliver("installation_repositories", &removed);
    log.check(of_hello, Diagnosis::RepositoryAccessRemoved, &[2]);
    log.refute(of_hello, Diagnosis::RepositoryNotSelected);
    // Nobody asks: it is told where the last job was of it.
    log.refute(nothing, Diagnosis::RepositoryAccessRemoved);
    log.check(|question| question.last_repo = Some(hello()), Diagnosis::RepositoryAccessRemoved, &[2]);
    log.refute(
        |question| question.repo = Some((RepoName::new(SPACE.0).unwrap(), None)),
        Diagnosis::RepositoryAccessRemoved,
    );
    let mut added = example("installation_repositories", "added");
    added["repositories_added"] = removed["repositories_removed"].clone();
    let log = log.deliver("installation_repositories", &added);
    log.refute(of_hello, Diagnosis::RepositoryAccessRemoved);
    let mut all = added;
    all["repository_selection"] = json!("all");
    let log = Log::default()
        .created()
        .deliver("installation_repositories", &removed)
        .deliver("installation_repositories", &all);
    log.refute(of_hello, Diagnosis::RepositoryAccessRemoved);
}

#[test]
fn selected_repositories_do_not_include_this_one() {
    let space = |question: &mut Question| {
        question.repo = Some((RepoName::new("codertocat/space").unwrap(), None));
    };
    let log = Log::default().created();
    log.check(space, Diagnosis::RepositoryNotSelected, &[1]);
    log.refute(of_hello, Diagnosis::RepositoryNotSelected);
    let added = example("installation_repositories", "added");
    let log = log.deliver("installation_repositories", &added);
    log.refute(space, Diagnosis::RepositoryNotSelected);
    // By its id, whatever it is called by now.
    log.refute(
        |question| {
            question.repo =
                Some((RepoName::new("Codertocat/renamed").unwrap(), Some(RepoId::new(SPACE.1).unwrap())));
        },
        Diagnosis::RepositoryNotSelected,
    );
    // What was chosen before the log began is not known.
    let log = Log::default().deliver("installation_repositories", &added);
    log.refute(of_hello, Diagnosis::RepositoryNotSelected);
    let mut all = example("installation", "created");
    all["installation"]["repository_selection"] = json!("all");
    Log::default().deliver("installation", &all).refute(space, Diagnosis::RepositoryNotSelected);
}

#[test]
fn account_renamed_and_its_cached_name_stale() {
    // GitHub publishes no example of this one; its description of it gives these fields.
    let created = example("installation", "created");
    let mut account = created["installation"]["account"].clone();
    account["login"] = json!("Codercat");
    let renamed = json!({
        "action": "renamed",
        "account": account,
        "changes": { "login": { "from": "Codertocat" } },
        "installation": { "id": INSTALLATION },
        "target_type": "User",
        "sender": created["sender"],
    });
    let log = Log::default().created().deliver("installation_target", &renamed);
    let cached = |name: &'static str| {
        move |question: &mut Question| question.cached_name = Some(Login::new(name).unwrap())
    };
    let text = log.check(cached("Codertocat"), Diagnosis::AccountRenamed, &[2]);
    assert!(text.contains("Codercat") && text.contains("Codertocat"), "{text}");
    log.refute(cached("codercat"), Diagnosis::AccountRenamed);
    log.refute(nothing, Diagnosis::AccountRenamed);
    assert_eq!(log.state().name, Some(Login::new("Codercat").unwrap()));
    Log::default().created().refute(cached("Codertocat"), Diagnosis::AccountRenamed);
}

#[test]
fn wrong_app_signed() {
    let log = Log::default().created().refuse(5725, 404);
    let text = log.check(nothing, Diagnosis::WrongApp, &[1, 2]);
    assert!(text.contains("App 5725") && text.contains("App 29310"), "{text}");
    Log::default().created().refuse(APP, 404).refute(nothing, Diagnosis::WrongApp);
    // The right key for the wrong kind of account.
    let for_organizations = |question: &mut Question| {
        question.apps = BTreeMap::from([(AppId::new(APP).unwrap(), EntityKind::Organization)]);
    };
    Log::default().created().check(for_organizations, Diagnosis::WrongApp, &[1]);
    Log::default().created().refute(nothing, Diagnosis::WrongApp);
}

#[test]
fn authentication_failing_and_nothing_explains_it() {
    let log = Log::default().created().refuse(APP, 404);
    log.check(nothing, Diagnosis::AuthenticationFailing, &[2]);
    log.refute(nothing, Diagnosis::Healthy);
    assert_eq!(log.ask_at(10_000, nothing)[0].diagnosis, Diagnosis::AuthenticationFailing, "it lasts");
    for status in [401, 500] {
        let log = Log::default().created().refuse(APP, status);
        log.check(nothing, Diagnosis::AuthenticationFailing, &[2]);
        assert_eq!(log.ask_at(60, nothing)[0].diagnosis, Diagnosis::Healthy, "it would have been told again");
    }
    log.created().refute(nothing, Diagnosis::AuthenticationFailing);
}

fn example_of_job() -> Value {
    let mut job = example("workflow_job", "queued");
    job["installation"] = json!({ "id": INSTALLATION });
    job["repository"]["owner"] = example("installation", "created")["installation"]["account"].clone();
    job
}

#[test]
fn a_job_that_was_not_accepted() {
    let payload = example_of_job();
    let job = JobId::new(payload["workflow_job"]["id"].as_i64().unwrap()).unwrap();
    let of_job = |question: &mut Question| question.job = Some(job);
    for (outcome, accepted) in [
        ("ignored_no_label", false),
        ("banned_entity", false),
        ("ignored_event", false),
        ("job_stored", true),
    ] {
        let mut log = Log::default().created().deliver("workflow_job", &payload);
        log.0[1].row.outcome = outcome.to_owned();
        if accepted {
            log.refute(of_job, Diagnosis::JobNotAccepted);
        } else {
            assert!(log.check(of_job, Diagnosis::JobNotAccepted, &[2]).contains(outcome));
            log.refute(nothing, Diagnosis::JobNotAccepted);
        }
    }
}

#[test]
fn healthy_and_nothing_known() {
    let log = Log::default().created();
    log.check(nothing, Diagnosis::Healthy, &[1]);
    log.check(of_hello, Diagnosis::Healthy, &[1]);
    // Older than the log, but at work.
    let log = Log::default().deliver("workflow_job", &example_of_job());
    log.check(nothing, Diagnosis::Healthy, &[1]);
    let nobody = Log::default().ask(nothing);
    assert_eq!((nobody.len(), nobody[0].diagnosis), (1, Diagnosis::NothingKnown));
    let other = log.ask(|question| question.installation = Some(1.try_into().unwrap()));
    assert_eq!(other[0].diagnosis, Diagnosis::NothingKnown);
    Log::default().refuse(APP, 404).refute(nothing, Diagnosis::Healthy);
}
