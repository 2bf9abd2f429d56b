//! `rrctl serve` as a child process, and a client of it.

use std::{
    fs,
    path::PathBuf,
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{PATIENCE, secrets::leaks, stage::eventually};

/// A configuration file in a folder of its own.
#[derive(Clone)]
pub(crate) struct Configuration(Arc<TempDir>);

impl Configuration {
    pub(crate) fn new(folder: TempDir, text: &str) -> Self {
        let configuration = Self(Arc::new(folder));
        configuration.replace(text);
        configuration
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("rrctl.toml")
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    pub(crate) fn replace(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// What another file of the folder says.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// Replaces another file of the folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// Removes another file of the folder.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }

    /// A folder without a configuration.
    pub(crate) fn empty() -> Self {
        Self(Arc::new(TempDir::new().unwrap()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rrctl"));
        command.args(arguments).current_dir(self.0.path()).env_clear().kill_on_drop(true);
        command
    }

    /// A command whose standard input is the terminal of a session of its own.
    pub(crate) fn command_in_session(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_rrctl")]).args(arguments);
        command.current_dir(self.0.path()).env_clear().kill_on_drop(true);
        command.envs(std::env::var("PATH").map(|path| ("PATH", path)));
        command
    }

    /// Runs another command to its end.
    pub(crate) async fn rrctl(&self, arguments: &[&str]) -> Output {
        timeout(PATIENCE, self.command(arguments).output()).await.unwrap().unwrap()
    }

    /// What a command that goes on writes until the text was seen so many times; then it is interrupted,
    /// and must end well.
    pub(crate) async fn watched(&self, arguments: &[&str], text: &str, times: usize) -> String {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = String::new();
        let reading = async {
            while seen.matches(text).count() < times {
                let line = lines.next_line().await.unwrap().expect("it goes on");
                seen.push_str(&line);
                seen.push('\n');
            }
        };
        timeout(PATIENCE, reading).await.expect("it is seen");
        let pid = child.id().expect("it goes on").to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        let status = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
        assert!(status.success(), "{status}");
        seen
    }

    /// The answer of a command that must succeed, as JSON.
    pub(crate) async fn rrctl_json(&self, arguments: &[&str]) -> Value {
        let output = self.rrctl(&[arguments, &["--format", "json"]].concat()).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// A running `rrctl serve`.
pub(crate) struct Server {
    child: Child,
    configuration: Configuration,
    url: String,
    client: reqwest::Client,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(crate) async fn start(
        configuration: &Configuration,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_until("serving", configuration, arguments, variables).await
    }

    /// Starts it, and waits until it begins to migrate.
    pub(crate) async fn start_migrating(configuration: &Configuration, arguments: &[&str]) -> Self {
        Self::start_until("bringing the schema up to date", configuration, arguments, &[]).await
    }

    async fn start_until(
        message: &str,
        configuration: &Configuration,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = configuration
            .command(&[&["serve"], arguments].concat())
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        let url =
            timeout(PATIENCE, address(&mut child, &log, message)).await.expect("rrctl serve does not listen");
        let configuration = configuration.clone();
        // A connection on which something was refused may be closed under the next request.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { child, configuration, url, client, log }
    }

    pub(crate) fn configuration(&self) -> Configuration {
        self.configuration.clone()
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("it is ready", async || self.status("/ready").await == 200).await;
    }

    /// Where a path is served.
    pub(crate) fn address_of(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) async fn status_with_token(&self, path: &str, token: &str) -> u16 {
        let asked = self.client.get(self.address_of(path)).bearer_auth(token);
        asked.send().await.unwrap().status().as_u16()
    }

    /// What is answered to a request that a proxy passes on for somebody.
    pub(crate) async fn status_forwarded(&self, path: &str, of: &str) -> u16 {
        let asked = self.client.get(self.address_of(path)).header("x-forwarded-for", of);
        asked.send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn status(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) async fn text(&self, path: &str) -> String {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap().text().await.unwrap()
    }

    /// Posts a webhook; status and answer.
    pub(crate) async fn post(&self, headers: &[(&'static str, String)], body: String) -> (u16, Value) {
        let mut request = self.client.post(format!("{}/", self.url)).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Waits until a line of the log holds the text.
    pub(crate) async fn logged(&self, text: &str) {
        let has = || self.log.lock().unwrap().iter().any(|line| line.contains(text));
        eventually(&format!("the log says {text:?}"), async || has()).await;
    }

    /// No line of the log so far holds the text.
    pub(crate) fn never_logged(&self, text: &str) {
        let log = self.log.lock().unwrap();
        assert!(!log.iter().any(|line| line.contains(text)), "{log:#?}");
    }

    /// Asks for the configuration to be read again.
    pub(crate) async fn hang_up(&self) {
        self.signal("-HUP").await;
    }

    /// Ends it without a warning.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
        self.keeps_secrets();
    }

    /// Asks it to stop, and waits until it has, gracefully.
    pub(crate) async fn stop(mut self) {
        self.signal("-TERM").await;
        let status: ExitStatus =
            timeout(PATIENCE, self.child.wait()).await.expect("it does not stop").unwrap();
        assert!(status.success(), "{status}: {:#?}", self.log.lock().unwrap());
        let said = |text: &str| self.log.lock().unwrap().iter().any(|line| line.contains(text));
        eventually("it says how it stopped", async || said("\"stopped")).await;
        assert!(!said("stopped with work in flight"), "{:#?}", self.log.lock().unwrap());
        self.keeps_secrets();
    }

    /// Asks it to stop.
    pub(crate) async fn terminate(&self) {
        self.signal("-TERM").await;
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap();
        self.keeps_secrets();
        status
    }

    fn keeps_secrets(&self) {
        assert_eq!(leaks(self.log.lock().unwrap().iter()), [""; 0]);
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it has ended").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }
}

/// Where it listens, as its log says.
async fn address(child: &mut Child, log: &Mutex<Vec<String>>, message: &str) -> String {
    loop {
        let found = log.lock().unwrap().iter().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == message).then(|| format!("http://{}", line["address"].as_str().unwrap()))
        });
        if let Some(url) = found {
            return url;
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("rrctl serve ended with {status}: {:#?}", log.lock().unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
