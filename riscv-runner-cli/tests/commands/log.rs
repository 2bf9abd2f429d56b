//! A database with a log of deliveries in it, written as intake writes it, and a folder whose
//! configuration leads there.

use std::{collections::BTreeSet, path::PathBuf};

use jiff::{Timestamp, ToSpan};
use riscv_runner_core::{
    admission::{IntakePolicy, decide, is_staging},
    controls::Controls,
    delivery::{DeliveryRecord, Effect, LogEntry, LogSource, Outcome},
    entity::EntityKind,
    ids::AppId,
    policy::Policy,
    ports::{DeliveryStore, EventStore},
};
use riscv_runner_github::webhook::{KnownApps, WebhookHeaders, parse};
use riscv_runner_pg::{PgConfig, PgStore, migrate, testing::ThrowAwayPostgres};
use secrecy::ExposeSecret;
use serde_json::{Value, json, value::to_raw_value};

use crate::run::Folder;

/// The App of GitHub's examples; it serves personal accounts here.
pub(crate) const APP: i64 = 29310;

/// A log that grows by a row a minute.
pub(crate) struct Log {
    pub(crate) folder: Folder,
    pub(crate) store: PgStore,
    policy: Policy,
    minutes: i64,
}

/// GitHub's example of an event; of those of the account Codertocat.
pub(crate) fn example(event: &str, action: &str) -> Value {
    let examples = examples(event);
    let of_codertocat = |example: &&Value| {
        let login = &example["installation"]["account"]["login"];
        login == "Codertocat" || example["repository"]["full_name"] == "Codertocat/Hello-World"
    };
    let mut found = examples
        .iter()
        .filter(|example| example["action"] == action)
        // The first of theirs; else the first of anybody's.
        .min_by_key(|example| !of_codertocat(example))
        .unwrap_or_else(|| panic!("no example of {event}.{action}"))
        .clone();
    // The examples speak of several installations: here of one, which the first of them makes.
    if event != "installation" || action != "created" {
        let created = example("installation", "created");
        if event == "workflow_job" {
            found["installation"] = json!({ "id": created["installation"]["id"] });
            found["repository"]["id"] = created["repositories"][0]["id"].clone();
            found["repository"]["full_name"] = created["repositories"][0]["full_name"].clone();
            found["repository"]["owner"] = created["installation"]["account"].clone();
            found["workflow_job"]["id"] = json!(289_782_451);
            found["workflow_job"]["labels"] = json!(["ubuntu-latest"]);
        } else {
            found["installation"] = created["installation"].clone();
        }
    }
    found
}

fn examples(event: &str) -> Vec<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os("RRCTL_TEST_WEBHOOK_EXAMPLES").map_or_else(
        || root.join("../.deps/node_modules/@octokit/webhooks-examples/api.github.com/index.json"),
        PathBuf::from,
    );
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; ./scripts/test fetches GitHub's published examples", path.display())
    });
    let events: Value = serde_json::from_slice(&text).unwrap();
    let found = events.as_array().unwrap().iter().find(|known| known["name"] == event).unwrap();
    found["examples"].as_array().unwrap().clone()
}

/// When the rows of a log begin.
pub(crate) fn beginning() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

pub(crate) fn apps() -> KnownApps {
    KnownApps::from_iter([(AppId::new(APP).unwrap(), EntityKind::User)])
}

/// A migrated schema of its own.
pub(crate) async fn database() -> (PgConfig, PgStore) {
    let config = ThrowAwayPostgres::shared().fresh_config();
    migrate(&config).await.unwrap();
    let store = PgStore::connect(&config).await.unwrap();
    (config, store)
}

impl Log {
    /// An empty one, with a configuration that this fixture completes.
    pub(crate) async fn new() -> Self {
        let (config, store) = database().await;
        let folder = Folder::with_fixture("log.toml");
        folder.write("postgres.url", config.url.expose_secret());
        folder.write("schema.toml", "");
        let text = std::fs::read_to_string(folder.path().join("rrctl.toml")).unwrap();
        folder.write("rrctl.toml", &text.replace("SCHEMA", &config.schema.to_string()));
        Self { folder, store, policy: policy(), minutes: 0 }
    }

    /// GitHub delivers.
    pub(crate) async fn deliver(&mut self, event: &str, payload: &Value) -> &mut Self {
        let guid = format!("guid-{:02}", self.minutes + 1);
        let headers = WebhookHeaders::new(event, &guid, &APP.to_string()).unwrap();
        let delivery = parse(&headers, payload.to_string().as_bytes(), &apps(), self.next()).unwrap();
        let for_staging = is_staging(&self.policy, &delivery);
        let by = IntakePolicy { policy: &self.policy, controls: &Controls::default() };
        let mut record = decide(delivery, &by);
        if for_staging {
            record.effect = Effect::Nothing(Outcome::ProxiedToStaging);
        }
        self.record(record).await
    }

    /// An App fails to authenticate for the installation of the examples.
    pub(crate) async fn refuse(&mut self, app: i64, status: u16) -> &mut Self {
        let not_found = status == 404;
        let installation = example("installation", "created")["installation"]["id"].as_i64().unwrap();
        let installation = installation.try_into().unwrap();
        let log = LogEntry {
            source: LogSource::Scheduler,
            guid: None,
            event: if not_found { "auth_attempt.404" } else { "auth_attempt.other_error" }.to_owned(),
            installation: Some(installation),
            app: Some(app.try_into().unwrap()),
            entity: self.store.entity_of_installation(installation).await.unwrap(),
            payload: to_raw_value(&json!({ "status": status, "message": "said" })).unwrap(),
            received_at: self.next(),
        };
        let outcome = if not_found { Outcome::Auth404 } else { Outcome::AuthOtherError };
        self.record(DeliveryRecord { log, effect: Effect::Nothing(outcome), installation: None }).await
    }

    async fn record(&mut self, record: DeliveryRecord) -> &mut Self {
        let done = self.store.record_deliveries(&[record]).await.unwrap();
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        self
    }

    fn next(&mut self) -> Timestamp {
        let at = beginning() + self.minutes.minutes();
        self.minutes += 1;
        at
    }
}

/// The same as in the fixture's file.
pub(crate) fn policy() -> Policy {
    use riscv_runner_core::{
        ids::{EntityId, ImageRef, PoolName, RepoName},
        labels::LabelSet,
        policy::{EntityPolicy, Limits, NamePrefix, PoolPolicy, Timeouts},
        routing::{LabelMatch, Route},
    };
    let pool = PoolName::new("spacemit-k1").unwrap();
    let (image, node_selector) = (ImageRef::new("runner:24.04").unwrap(), [].into());
    let banned = EntityPolicy { banned: true, ..EntityPolicy::default() };
    Policy {
        pools: [(pool.clone(), PoolPolicy { node_selector, image, max_workers: None })].into(),
        routes: vec![Route {
            labels: LabelSet::new(["ubuntu-latest"]).unwrap(),
            label_match: LabelMatch::Exact,
            entities: Vec::new(),
            repositories: Vec::new(),
            app: None,
            pool,
            image: None,
            max_workers: None,
            warm: 0,
        }],
        entities: [(EntityId::new(666).unwrap(), banned)].into(),
        banned_senders: BTreeSet::new(),
        staging_repositories: [RepoName::new("Codertocat/staged").unwrap()].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rise-riscv-runner-").unwrap(),
    }
}
