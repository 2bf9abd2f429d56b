//! `rrctl serve` as a process of its own, ended with this program.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use riscv_runner_sim::doubles::github::TEST_APP_KEY_PKCS1;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    Outcome, http,
    payload::{APP, LABEL, SECRET},
    places,
};

/// Longer than any start on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How often a starting server is asked.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// What a server is started with.
pub(crate) struct Settings<'a> {
    /// `all`, `webhook` or `scheduler`.
    pub(crate) role: &'a str,
    /// The URL of PostgreSQL.
    pub(crate) store: &'a str,
    /// The schema, made when it is missing.
    pub(crate) schema: &'a str,
    /// The root of GitHub's API, and a kubeconfig; roles that call neither have none.
    pub(crate) outside: Option<(&'a str, &'a str)>,
    /// More of the configuration, as TOML that begins with `[limits]`'s keys.
    pub(crate) limits: &'a str,
}

/// A running server; dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    started_in: Duration,
    directory: TempDir,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(settings: &Settings<'_>) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let configuration = directory.path().join("rrctl.toml");
        let kubeconfig = directory.path().join("kubeconfig");
        let (api_url, cluster) = settings.outside.unwrap_or(("http://127.0.0.1:9", ""));
        std::fs::write(&kubeconfig, cluster)?;
        std::fs::write(directory.path().join("app.pem"), TEST_APP_KEY_PKCS1)?;
        std::fs::write(directory.path().join("secret"), SECRET)?;
        std::fs::write(&configuration, text(settings, api_url, address))?;
        let log = std::fs::File::create(directory.path().join("log"))?;
        let begun = Instant::now();
        let child = Command::new(places::rrctl()?)
            .args(["serve", "--role", settings.role, "--migrate", "--config"])
            .arg(&configuration)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let mut server = Self { child, address, started_in: Duration::ZERO, directory };
        server.wait_until_ready(begun).await?;
        Ok(server)
    }

    async fn wait_until_ready(&mut self, begun: Instant) -> Outcome<()> {
        loop {
            if matches!(http::get(self.address, "/ready").await, Ok(200)) {
                self.started_in = begun.elapsed();
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                return Err(format!("rrctl did not become ready:\n{}", self.log()).into());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How long it took from its start until `/ready` said yes.
    pub(crate) const fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Outcome<u32> {
        self.child.id().ok_or_else(|| format!("rrctl has ended:\n{}", self.log()).into())
    }

    /// The end of what it has logged.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        self.child.kill().await?;
        Ok(())
    }
}

fn text(settings: &Settings<'_>, api_url: &str, address: SocketAddr) -> String {
    let Settings { store, schema, limits, .. } = settings;
    format!(
        r#"[server]
listen = "{address}"
log = "warn"
[store]
url = "{store}"
schema = "{schema}"
[github]
api_url = "{api_url}"
webhook_secrets_files = ["secret"]
[[github.apps]]
kind = "organization"
app_id = {APP}
private_key_file = "app.pem"
[cluster]
kubeconfig = "kubeconfig"
[limits]
{limits}
[[pools]]
name = "boards"
node_selector = {{ "riseproject.dev/board" = "board" }}
image = "registry.example/runner:1"
[[routes]]
labels = ["{LABEL}"]
pool = "boards"
"#
    )
}
