//! The world around the binary: GitHub, a cluster with a kubelet that plays by itself, a configuration.

use std::{
    fmt::Write as _,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use riscv_runner_core::entity::EntityKind;
use riscv_runner_k8s::RIGHTS;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::{
    github::{self, GithubDouble, ORGANIZATION_APP, PERSONAL_APP, TEST_APP_KEY_PKCS1},
    kube::{Autopilot, Behaviour, KubeDouble, Kubelet, NodeSpec},
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    PATIENCE,
    secrets::DATABASE_PASSWORD,
    server::{Configuration, Server},
};

/// The secret of the webhooks.
pub(crate) const SECRET: &str = "a secret of webhooks";
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until the condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "it never came to pass: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) struct Stage {
    pub(crate) github: GithubDouble,
    pub(crate) kube: KubeDouble,
    pub(crate) kubelet: Kubelet,
    _autopilot: Autopilot,
}

impl Stage {
    /// GitHub without accounts, and a cluster with so many boards.
    pub(crate) async fn start(n_boards: u32) -> Self {
        Self::start_with(n_boards, github::Config::default()).await
    }

    /// The same with a GitHub of its own kind.
    pub(crate) async fn start_with(n_boards: u32, github: github::Config) -> Self {
        let github = GithubDouble::start(github).await.unwrap();
        let kube = KubeDouble::start().await.unwrap();
        kube.allow_only("default", RIGHTS.iter().map(|right| (right.verb, right.resource, right.namespaced)));
        let kubelet = Kubelet::connect(&kube.kubeconfig(), "default").await.unwrap();
        for n in 1..=n_boards {
            kubelet.set_node(&NodeSpec::board(&format!("k1-{n}"), "spacemit-k1")).await.unwrap();
        }
        let autopilot = kubelet.autopilot(|_| Behaviour::default());
        Self { github, kube, kubelet, _autopilot: autopilot }
    }

    /// An account that installed the App.
    pub(crate) fn account(&self, login: &str, kind: EntityKind, app: i64, repos: &[&str]) {
        self.github.add_account(login, kind);
        for repo in repos {
            self.github.add_repo(repo, false);
        }
        self.github.install(app, login);
    }

    /// `rrctl serve` in all roles, ready.
    pub(crate) async fn serve(&self, postgres: &ThrowAwayPostgres) -> Server {
        let server = Server::start(&self.configuration(postgres), &["--migrate"], &[]).await;
        server.ready().await;
        server
    }

    /// A configuration with a schema of its own.
    pub(crate) fn configuration(&self, postgres: &ThrowAwayPostgres) -> Configuration {
        let folder = TempDir::new().unwrap();
        let store = postgres.fresh_config();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        };
        write("app.pem", TEST_APP_KEY_PKCS1);
        write("kubeconfig", &self.kube.kubeconfig());
        write("webhook.secret", SECRET);
        let with_password = format!("postgres:{DATABASE_PASSWORD}@");
        write("postgres.url", &store.url.expose_secret().replacen("postgres@", &with_password, 1));
        let mut text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nbody_limit = \"1MiB\"\nlog_format = \"json\"\n\
             [store]\nurl_file = \"postgres.url\"\nschema = \"{}\"\n\
             [github]\napi_url = \"{}\"\nwebhook_secrets_files = [\"webhook.secret\"]\n\
             [cluster]\nkubeconfig = \"kubeconfig\"\n\
             [timeouts]\ntick = \"200ms\"\nrunners_poll = \"100ms\"\npod_grace = \"300ms\"\n\
             orphan_grace = \"300ms\"\nlease = \"2s\"\n",
            store.schema,
            self.github.url(),
        );
        for (kind, id) in [("organization", ORGANIZATION_APP), ("user", PERSONAL_APP)] {
            let _ = write!(
                text,
                "[[github.apps]]\nkind = \"{kind}\"\napp_id = {id}\nprivate_key_file = \"app.pem\"\n"
            );
        }
        text.push_str(
            "[[pools]]\nname = \"spacemit-k1\"\nimage = \"runner:24.04\"\n\
             node_selector = { \"riseproject.dev/board\" = \"spacemit-k1\" }\n\
             [[routes]]\nlabels = [\"ubuntu-24.04-riscv\"]\npool = \"spacemit-k1\"\n",
        );
        Configuration::new(folder, &text)
    }

    /// Delivers a webhook about a job as it is now; status and outcome of the answer.
    pub(crate) async fn deliver(&self, server: &Server, job: i64, action: &str) -> (u16, String) {
        let webhook = self.github.webhook(job, action).unwrap();
        let (status, answer) = server.post(&webhook.headers(SECRET), webhook.body.clone()).await;
        (status, answer["outcome"].as_str().unwrap_or_default().to_owned())
    }

    /// The name of the only pod, as soon as it runs.
    pub(crate) async fn only_pod(&self) -> String {
        eventually("there is a pod that runs", async || {
            let names = self.kube.names("pods");
            let pod = names.first().and_then(|name| self.kube.object("pods", "default", name));
            pod.is_some_and(|pod| pod["status"]["phase"] == "Running")
        })
        .await;
        let names = self.kube.names("pods");
        assert_eq!(names.len(), 1, "{names:?}");
        names.into_iter().next().unwrap()
    }

    /// Waits until neither pod nor secret nor registration is left.
    pub(crate) async fn nothing_is_left(&self) {
        eventually("nothing is left", async || {
            self.kube.names("pods").is_empty()
                && self.kube.names("secrets").is_empty()
                && self.github.runners().is_empty()
        })
        .await;
    }

    /// Neither double saw anything that a control plane must not do.
    pub(crate) fn played_by_the_rules(&self) {
        assert_eq!(self.github.violations(), [""; 0]);
        assert_eq!(self.kube.violations(), [""; 0]);
    }
}
