//! Reading the log: for the trace, and for replays.

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::{DeliveryRecord, Effect, IfAbsent, JobWrite, LogEntry, LogSource, Outcome},
    entity::Entity,
    ids::{EntityId, EventId, InstallationId, JobId, Login, RepoName},
    job::{JobEvent, JobFacts, JobPhase},
    ports::{EventQuery, EventStore, EventsOf, LoggedDelivery, LoggedEvent, Page, Store},
};
use serde_json::{Value, json, value::to_raw_value};

use super::fixture::{at, delivery, job, job_of_org, job_of_person, log, record, tell};

/// A store whose log can be read.
pub trait LoggingStore: Store + EventStore {}
impl<T: Store + EventStore> LoggingStore for T {}

/// One law; it panics when it is broken.
pub type EventCheck = for<'a> fn(&'a dyn LoggingStore) -> BoxFuture<'a, ()>;

/// Every law of reading the log with its name. Each needs an empty store of its own.
pub const EVENT_CHECKS: &[(&str, EventCheck)] = &[
    ("rows_are_read_by_account_installation_and_job", rows_are_read_by_whom_they_speak_of),
    ("pages_of_the_log_are_disjoint_and_newest_first", pages_are_disjoint),
    ("a_window_an_event_and_an_outcome_narrow_the_log", filters_narrow),
    ("a_row_is_read_back_with_its_payload", a_row_is_read_back),
    ("the_history_of_installations_has_no_jobs_in_it", the_history_has_no_jobs),
    ("an_account_is_found_by_its_names", an_account_is_found_by_its_names),
    ("deliveries_are_replayed_in_order", deliveries_are_read_in_order),
    ("a_payload_that_leads_to_nothing_is_reduced", a_payload_is_reduced),
    ("a_known_delivery_still_joins", a_known_delivery_still_joins),
];

fn page(page: u32, per_page: u32) -> Page {
    Page { page, per_page }
}

fn entity(id: i64) -> EntityId {
    EntityId::new(id).expect("an entity id")
}

fn installation(id: i64) -> InstallationId {
    InstallationId::new(id).expect("an installation id")
}

/// A row of no job.
fn told(guid: &str, event: &str, second: i64, payload: &Value) -> DeliveryRecord {
    let payload = to_raw_value(payload).expect("JSON");
    let log = LogEntry { payload, received_at: at(second), ..log(guid, event) };
    DeliveryRecord { log, effect: Effect::Nothing(Outcome::Ok), installation: None }
}

/// A delivery of a job with a payload as GitHub's, received at this second.
fn of_job(guid: &str, id: i64, second: i64) -> DeliveryRecord {
    let facts = JobFacts { id: JobId::new(id).expect("a job id"), ..job_of_org(1) };
    let payload = json!({
        "action": "queued",
        "workflow_job": { "id": id, "labels": ["rva23"], "head_sha": "0123" },
        "repository": { "id": 700, "full_name": "acme/tools", "private": false, "description": "tools" },
        "sender": { "id": 1, "login": "jo", "site_admin": false },
    });
    let mut record = delivery(guid, &facts, JobEvent::Queued);
    record.log.event = "workflow_job.queued".to_owned();
    record.log.payload = to_raw_value(&payload).expect("JSON");
    record.log.received_at = at(second);
    record
}

/// A failed authentication for an installation.
fn refused(second: i64, of: i64, entity: Option<Entity>) -> DeliveryRecord {
    let mut log = log("unused", "auth_attempt.404");
    (log.source, log.guid, log.entity) = (LogSource::Scheduler, None, entity);
    (log.installation, log.received_at) = (Some(installation(of)), at(second));
    log.payload = to_raw_value(&json!({ "status": 404 })).expect("JSON");
    DeliveryRecord { log, effect: Effect::Nothing(Outcome::Auth404), installation: None }
}

async fn read(store: &dyn LoggingStore, of: EventsOf) -> Vec<LoggedEvent> {
    store.events(&EventQuery::all(of), page(0, 100)).await.expect("the log is read")
}

fn names(rows: &[LoggedEvent]) -> Vec<&str> {
    rows.iter().map(|row| row.delivery_guid.as_ref().map_or("", |guid| guid.as_str())).collect()
}

fn rows_are_read_by_whom_they_speak_of(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let person = job_of_person(5, 11);
        let mut of_person = of_job("person", 5, 4);
        (of_person.log.entity, of_person.log.installation) = (Some(person.entity), Some(installation(90)));
        let batch = [
            told("made", "installation.created", 1, &json!({})),
            of_job("one", 1, 2),
            of_job("two", 9_007_199_254_740_993, 3),
            of_person,
            refused(5, 70, None),
        ];
        record(store, &batch).await;
        assert_eq!(names(&read(store, EventsOf::Entity(entity(7))).await), ["two", "one", "made"]);
        assert_eq!(names(&read(store, EventsOf::Entity(entity(9))).await), ["person"]);
        assert_eq!(
            names(&read(store, EventsOf::Installation(installation(70))).await),
            ["", "two", "one", "made"]
        );
        let large = JobId::new(9_007_199_254_740_993).expect("a job id");
        let rows = read(store, EventsOf::Job(large)).await;
        assert_eq!(names(&rows), ["two"]);
        assert_eq!(rows[0].job_id, Some(large));
        assert_eq!(rows[0].repo_full_name, Some(RepoName::new("acme/tools").expect("a repository name")));
        assert!(read(store, EventsOf::Job(JobId::new(404).expect("a job id"))).await.is_empty());
        assert_eq!(read(store, EventsOf::Everybody).await.len(), 5);
        let of_made = read(store, EventsOf::Entity(entity(7))).await.pop().expect("the first row");
        assert_eq!((of_made.job_id, of_made.repo_full_name), (None, None));
    }
    .boxed()
}

fn pages_are_disjoint(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        // Two share a moment: by number then.
        for (guid, second) in [("a", 1), ("b", 2), ("c", 2), ("d", 3), ("late", 0)] {
            record(store, &[told(guid, "ping", second, &json!({}))]).await;
        }
        let query = EventQuery::all(EventsOf::Entity(entity(7)));
        assert_eq!(store.count_events(&query).await.expect("the log is counted"), 5);
        for (number, expected) in [(0, vec!["d", "c"]), (1, vec!["b", "a"]), (2, vec!["late"]), (3, vec![])] {
            let rows = store.events(&query, page(number, 2)).await.expect("the log is read");
            assert_eq!(names(&rows), expected);
        }
    }
    .boxed()
}

fn filters_narrow(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let batch = [
            told("made", "installation.created", 1, &json!({})),
            told("chosen", "installation_repositories.added", 2, &json!({})),
            of_job("job", 1, 3),
            told("ping", "ping", 4, &json!({})),
        ];
        record(store, &batch).await;
        let everything = EventQuery::all(EventsOf::Everybody);
        let wishes = [
            (EventQuery { start: at(2), end: at(4), ..everything.clone() }, vec!["job", "chosen"]),
            (EventQuery { event: Some("installation".into()), ..everything.clone() }, vec!["made"]),
            (EventQuery { event: Some("workflow_job.queued".into()), ..everything.clone() }, vec!["job"]),
            (EventQuery { event: Some("workflow_job.que".into()), ..everything.clone() }, vec![]),
            (EventQuery { outcome: Some("job_stored".into()), ..everything.clone() }, vec!["job"]),
            (
                EventQuery {
                    of: EventsOf::Entity(entity(7)),
                    outcome: Some("ok".into()),
                    end: at(2),
                    ..everything
                },
                vec!["made"],
            ),
        ];
        for (query, expected) in wishes {
            let rows = store.events(&query, page(0, 100)).await.expect("the log is read");
            assert_eq!(names(&rows), expected, "{query:?}");
            let n = store.count_events(&query).await.expect("the log is counted");
            assert_eq!(n, expected.len() as u64, "{query:?}");
        }
    }
    .boxed()
}

fn a_row_is_read_back(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let written =
            told("g", "installation.created", 1, &json!({ "installation": { "id": 70 }, "n": [1, null] }));
        record(store, &[written.clone(), refused(2, 70, None)]).await;
        let rows = read(store, EventsOf::Everybody).await;
        let row = store.event(rows[1].id).await.expect("the log is read").expect("the row is there");
        assert_eq!(row.event, rows[1]);
        let LogEntry { source, guid, event, installation, app, entity, payload, received_at } = written.log;
        let (kind, id, login) =
            entity.map(|entity| (entity.kind, entity.id, entity.login)).expect("an account");
        let expected = LoggedEvent {
            id: rows[1].id,
            source,
            event,
            outcome: "ok".to_owned(),
            installation_id: installation,
            app_id: app,
            entity_type: Some(kind),
            entity_id: Some(id),
            entity_name: Some(login),
            job_id: None,
            repo_full_name: None,
            delivery_guid: guid,
            received_at,
        };
        assert_eq!(row.event, expected);
        assert_eq!(value(&row), serde_json::from_str::<Value>(payload.get()).expect("JSON"));
        assert_eq!(
            (rows[0].source, rows[0].entity_id, &rows[0].delivery_guid),
            (LogSource::Scheduler, None, &None)
        );
        let other = EventId::new(1_000_000).expect("an event id");
        assert!(store.event(other).await.expect("the log is read").is_none());
    }
    .boxed()
}

fn value(row: &LoggedDelivery) -> Value {
    serde_json::from_str(row.payload.get()).expect("JSON")
}

fn the_history_has_no_jobs(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let batch = [
            told("renamed", "installation_target.renamed", 6, &json!({})),
            told("made", "installation.created", 1, &json!({ "action": "created" })),
            of_job("job", 1, 2),
            told("ping", "ping", 2, &json!({})),
            told("chosen", "installation_repositories.added", 3, &json!({})),
            refused(4, 70, None),
            refused(4, 71, Some(job_of_org(1).entity)),
            refused(5, 72, Some(job_of_person(1, 11).entity)),
        ];
        record(store, &batch).await;
        let history = async |entity, installation, until| {
            let rows = store.installation_history(entity, installation, at(until)).await;
            let rows = rows.expect("the history is read");
            rows.iter().map(|row| row.event.received_at).collect::<Vec<Timestamp>>()
        };
        let (acme, of_acme) = (Some(entity(7)), Some(installation(70)));
        assert_eq!(history(acme, of_acme, 9).await, [1, 3, 4, 4, 6].map(at), "either, each row once");
        assert_eq!(history(acme, None, 9).await, [1, 3, 4, 6].map(at));
        assert_eq!(history(None, of_acme, 9).await, [1, 3, 4, 6].map(at));
        assert_eq!(history(acme, of_acme, 3).await, [1, 3].map(at), "the end is part of it");
        assert_eq!(history(None, None, 9).await, []);
        let rows = store.installation_history(acme, None, at(1)).await.expect("the history is read");
        assert_eq!(value(&rows[0]), json!({ "action": "created" }));
    }
    .boxed()
}

fn an_account_is_found_by_its_names(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let named = |id: i64, name: &str| {
            let login = Login::new(name).expect("a login");
            Some(Entity { id: entity(id), login, ..job_of_org(1).entity })
        };
        let rename = json!({ "changes": { "login": { "from": "earlier" } } });
        let mut batch = [
            told("1", "installation.created", 1, &json!({})),
            told("2", "installation_target.renamed", 2, &rename),
            told("3", "installation.created", 3, &json!({})),
            told("4", "workflow_job.queued", 4, &json!({})),
        ];
        batch[0].log.entity = named(7, "first");
        batch[1].log.entity = named(7, "Second");
        batch[2].log.entity = named(8, "First");
        batch[3].log.entity = named(6, "by-job");
        record(store, &batch).await;
        let found = async |name: &str| {
            let login = Login::new(name).expect("a login");
            store.entities_named(&login).await.expect("the log is read")
        };
        assert_eq!(found("second").await, [entity(7)]);
        assert_eq!(found("EARLIER").await, [entity(7)]);
        assert_eq!(found("first").await, [entity(8), entity(7)], "who has it now comes first");
        assert_eq!(found("by-job").await, [entity(6)]);
        assert_eq!(found("nobody").await, []);
        let of = store.entity_of_installation(installation(70)).await.expect("the log is read");
        assert_eq!(
            of.map(|entity| entity.login.to_string()).as_deref(),
            Some("by-job"),
            "as the newest tells"
        );
        let of = store.entity_of_installation(installation(404)).await.expect("the log is read");
        assert_eq!(of, None);
    }
    .boxed()
}

fn deliveries_are_read_in_order(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        // The second arrived before the first, as clocks of two processes have it.
        for (guid, second) in [("a", 5), ("b", 4), ("c", 6), ("d", 7)] {
            record(store, &[told(guid, "ping", second, &json!({ "guid": guid })), refused(9, 70, None)])
                .await;
        }
        let mut after = None;
        let mut found = Vec::new();
        loop {
            let rows = store.deliveries_after(after, at(5), 2).await.expect("the log is read");
            assert!(rows.len() <= 2);
            let Some(last) = rows.last() else { break };
            after = Some(last.event.id);
            found.extend(rows.iter().map(|row| value(row)["guid"].as_str().unwrap_or_default().to_owned()));
        }
        assert_eq!(found, ["a", "c", "d"], "neither what is older nor what the scheduler wrote");
    }
    .boxed()
}

fn a_payload_is_reduced(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let ignored = |guid: &str, id: i64, event: JobEvent, outcome: Outcome| {
            let mut record = of_job(guid, id, id);
            let if_absent = IfAbsent::Ignore(outcome);
            record.effect = Effect::Join { facts: Box::new(job_of_org(id)), event, if_absent };
            record
        };
        record(store, &[of_job("1", 1, 1)]).await;
        let ended = super::fixture::completed(9, None);
        let batch = [
            ignored("2", 2, ended.clone(), Outcome::IgnoredNoLabel),
            ignored("3", 3, ended.clone(), Outcome::BannedEntity),
            // Accepted before the rule changed: followed to its end, and kept whole.
            ignored("4", 1, ended, Outcome::IgnoredNoLabel),
        ];
        record(store, &batch).await;
        let mut banned = of_job("5", 5, 5);
        banned.effect = Effect::Nothing(Outcome::BannedEntity);
        record(store, &[banned]).await;
        let rows = store.deliveries_after(None, at(0), 100).await.expect("the log is read");
        let kept: Vec<_> = rows
            .iter()
            .map(|row| {
                let payload = value(row);
                assert!(
                    payload["workflow_job"]["id"].is_i64() && payload["repository"]["full_name"].is_string()
                );
                assert_eq!(payload["sender"]["login"], "jo");
                let guid = row.event.delivery_guid.as_ref().map(ToString::to_string).expect("a GUID");
                (guid, row.event.outcome.clone(), payload["repository"]["description"].is_string())
            })
            .collect();
        let expected = [
            ("1", "job_stored", true),
            ("2", "ignored_no_label", false),
            ("3", "banned_entity", false),
            ("4", "job_marked_completed", true),
            ("5", "banned_entity", false),
        ];
        let mut kept: Vec<_> =
            kept.iter().map(|(guid, outcome, whole)| (guid.as_str(), outcome.as_str(), *whole)).collect();
        kept.sort_unstable();
        assert_eq!(kept, expected);
    }
    .boxed()
}

fn a_known_delivery_still_joins(store: &dyn LoggingStore) -> BoxFuture<'_, ()> {
    async move {
        let facts = job_of_org(1);
        let refused = DeliveryRecord {
            log: log("g", "workflow_job.queued"),
            effect: Effect::Nothing(Outcome::IgnoredNoLabel),
            installation: None,
        };
        record(store, &[refused]).await;
        // The rule was mended since, and the delivery is replayed.
        let again = tell(store, "g", &facts, JobEvent::Queued).await;
        assert_eq!(again.outcome, Outcome::DuplicateDelivery);
        assert_eq!(again.job, Some(JobWrite::Inserted(JobPhase::Pending)));
        assert_eq!(job(store, &facts).await.state.phase, JobPhase::Pending);
        assert_eq!(read(store, EventsOf::Everybody).await.len(), 1, "it is logged once");
    }
    .boxed()
}
