//! A headless Chromium, driven by its DevTools protocol over a pipe: no port, no driver, and a browser that
//! ends when the test does, however it does.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Longer than a loaded machine takes for anything that is asked here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Chromium reads commands from file 3 and writes answers to file 4; the shell moves our pipes there.
const MOVE_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#;

/// A browser with one page.
pub(crate) struct Browser {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    session: String,
    last_id: u64,
    events: Vec<Value>,
    profile: PathBuf,
}

/// The browser: as the environment says, or as it is usually called.
fn executable() -> PathBuf {
    let asked = std::env::var_os("RRCTL_TEST_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let usual = || {
        std::env::split_paths(&path)
            .flat_map(|folder| named.map(|name| folder.join(name)))
            .find(|file| file.is_file())
    };
    asked.or_else(usual).unwrap_or_else(|| {
        panic!(
            "no Chromium for the tests of the pages: run ./scripts/test, or sudo apt-get install chromium, \
             or set RRCTL_TEST_CHROMIUM"
        )
    })
}

impl Browser {
    /// Starts a browser with an empty profile and an empty page.
    pub(crate) async fn start() -> Self {
        let folder = format!("riscv-runner-browser-{}-{:?}", std::process::id(), std::thread::current().id());
        let profile = std::env::temp_dir().join(folder);
        let mut process = Command::new("sh")
            .args(["-c", MOVE_PIPES])
            .arg(executable())
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (commands, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let answers = BufReader::new(answers);
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Self { process, commands, answers, session, last_id: 0, events, profile };
        browser.attach().await;
        browser
    }

    async fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let asked = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", asked).await;
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Audits", "Network"] {
            self.call(&format!("{domain}.enable"), json!({})).await;
        }
    }

    /// Sends a command and waits for its answer; what happens meanwhile is kept.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).await.unwrap();
        loop {
            let answer = self.message(method).await;
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    async fn message(&mut self, waiting_for: &str) -> Value {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.answers.read_until(0, &mut bytes)).await;
        let read = read.unwrap_or_else(|_| panic!("no answer to {waiting_for} within {PATIENCE:?}")).unwrap();
        assert!(read > 0, "the browser ended while {waiting_for} was asked");
        bytes.pop();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens an address and waits until it has loaded.
    pub(crate) async fn open(&mut self, address: &str) {
        self.events.clear();
        let opened = self.call("Page.navigate", json!({ "url": address })).await;
        assert!(opened["errorText"].is_null(), "{address}: {opened}");
        let loader = opened["loaderId"].clone();
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.message(address).await;
            self.events.push(event);
        }
        assert!(!loader.is_null(), "{address} was not loaded anew");
    }

    /// The value of an expression, or of its promise.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params).await;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until a condition holds in the page; it must within half a minute.
    pub(crate) async fn wait_until(&mut self, condition: &str) {
        let waiting = format!(
            "new Promise((done) => {{
               const ends = performance.now() + 30000;
               const look = () => {{
                 if ({condition}) done(true);
                 else if (performance.now() > ends) done(false);
                 else setTimeout(look, 25);
               }};
               look();
             }})"
        );
        if self.evaluate(&waiting).await != true {
            let page = self.evaluate("document.documentElement.outerHTML").await;
            panic!("{condition} does not come true in {page}");
        }
    }

    /// Presses and releases a key.
    pub(crate) async fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            if kind == "char" && text.is_empty() {
                continue;
            }
            let params = json!({
                "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code,
            });
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// The width of the window, and whether the reader wants it dark.
    pub(crate) async fn look(&mut self, width: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Everything that went wrong since the page was opened: exceptions, errors on the console, violations
    /// of the content security policy, requests that failed.
    pub(crate) async fn problems(&mut self) -> Vec<String> {
        // What happened before this answer has been told before it.
        self.evaluate("1").await;
        let told = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if params["type"] == "error" => Some(params["args"].to_string()),
                "Log.entryAdded" if params["entry"]["level"] == "error" => Some(params["entry"].to_string()),
                "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                    Some(params["issue"].to_string())
                }
                "Network.loadingFailed" if params["canceled"] != true => Some(params.to_string()),
                _ => None,
            }
        };
        self.events.iter().filter_map(told).collect()
    }

    /// Ends the browser and waits for its end.
    pub(crate) async fn close(mut self) {
        let _ = self.process.kill().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        remove(&self.profile);
    }
}

fn remove(profile: &Path) {
    let _ = std::fs::remove_dir_all(profile);
}
