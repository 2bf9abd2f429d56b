//! The configuration as its reader sees it: what is found, what is shown, and what is not.

mod environment;
mod telemetry;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::Duration,
};

use insta::assert_snapshot;
use riscv_runner_core::policy::Cap;
use tempfile::TempDir;

use super::{Config, Need, Problem, Severity, Shown, Sources, load};

const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nplanted-private-key\n-----END RSA PRIVATE KEY-----\n";

/// The smallest configuration that is complete.
const SMALL: &str = r#"
[store]
url = "postgres://user:planted-password@localhost/db"
[github]
webhook_secrets = ["planted-webhook-secret"]
[[github.apps]]
kind = "organization"
app_id = 7
private_key_file = "org.pem"
[[pools]]
name = "k1"
node_selector = { "riseproject.dev/board" = "spacemit-k1" }
image = "runner:1"
[[routes]]
labels = ["riscv"]
pool = "k1"
"#;

struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in [("rrctl.toml", text), ("org.pem", KEY)] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
        Self(folder)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(&Sources { flag: Some(self.0.path().join("rrctl.toml")), variables }, Need::All)
    }

    /// Problems as they are printed, without the name of the folder.
    fn problems(&self, variables: &[(&str, &str)]) -> String {
        let found = match self.load(variables) {
            Ok(config) => config.warnings,
            Err(problems) => problems,
        };
        let folder = format!("{}/", self.0.path().display());
        let line = |problem: &Problem| {
            let severity = if problem.severity == Severity::Warning { "warning: " } else { "" };
            let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!("\n    hint: {hint}"));
            format!("{severity}{problem}{hint}").replace(&folder, "")
        };
        found.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn small() -> Config {
    Folder::with(SMALL).load(&[]).unwrap()
}

#[test]
fn a_small_configuration_is_complete() {
    let config = small();
    assert_eq!(config.warnings, []);
    assert_eq!(config.policy.pools.len(), 1);
    assert_eq!(config.policy.limits.default_max_workers, Cap::AtMost(20));
    assert_eq!(config.policy.name_prefix.as_str(), "rise-riscv-runner-");
}

#[test]
fn every_problem_is_found_in_one_run() {
    let folder = Folder::with(
        r#"
[server]
listen = "everywhere"
body_limit = "much"
colour = "blue"
[store]
url = "mysql://localhost"
schema = "Prod"
max_connection = 4
[github]
webhook_secrets_files = ["none.secret"]
banned_senders = ["fine", ""]
[[github.apps]]
kind = "organisation"
app_id = 0
private_key_file = "rrctl.toml"
[limits]
policy = "random"
provision_concurrency = 0
[timeouts]
tick = 15
lease = "8 parsecs"
runner_idle = "-5s"
[[entities]]
id = 5
max_workers = "some"
[[entities]]
id = 5
[[pools]]
name = "k1"
node_selector = {}
image = "has space"
[pools.pod]
privileged = "yes"
volumes = [{ name = "a", mount = "/a" }]
env = { RUNNER_JITCONFIG = "mine" }
coffee = true
[[pools]]
name = "k1"
node_selector = { board = "x" }
image = "runner:1"
[[routes]]
labels = []
pool = "k1"
[[routes]]
labels = ["a"]
pool = "k9"
repositories = ["no-slash"]
"#,
    );
    assert_snapshot!(folder.problems(&[]));
}

#[test]
fn what_is_not_toml_is_told_with_its_line_and_the_rest_is_read_all_the_same() {
    let folder = Folder::with(&format!("{SMALL}\n[limits]\npolicy = \npolicy_ = 1\n"));
    assert_snapshot!(folder.problems(&[]));
}

#[test]
fn what_is_missing_is_told() {
    let folder = Folder::with("");
    assert_snapshot!(folder.problems(&[]));
}

#[test]
fn rules_that_no_job_can_reach_are_refused() {
    let folder = Folder::with(&format!(
        r#"{SMALL}
[[routes]]
labels = ["RISCV"]
entities = [5]
pool = "k1"
[[routes]]
labels = ["a", "b"]
match = "subset"
pool = "k1"
[[routes]]
labels = ["b"]
app = "user"
pool = "k1"
[[routes]]
labels = ["c"]
repositories = ["owner/*"]
pool = "k1"
[[routes]]
labels = ["c"]
repositories = ["Owner/name"]
pool = "k1"
[[routes]]
labels = ["c"]
pool = "k1"
"#
    ));
    assert_snapshot!(folder.problems(&[]));
}

#[test]
fn secrets_are_never_shown() {
    let folder = Folder::with(SMALL);
    let config = folder
        .load(&[
            ("TRACE_API_SECRET", "planted-trace-secret"),
            ("K8S_KUBECONFIG", "apiVersion: v1 # planted-kubeconfig"),
            ("RRCTL_NOTIFY__DISCORD_URL", "https://discord.example/planted-token"),
            ("RRCTL_POOLS__0__POD__ENV", "{ TOKEN = \"planted-variable\" }"),
        ])
        .unwrap();
    assert_eq!(config.github.webhook_secrets.len(), 1);
    assert!(config.server.trace_secret.is_some());
    let shown = format!("{:?}", config.shown);
    assert!(!shown.contains("planted"), "{shown}");
    assert!(shown.contains("(set)"), "{shown}");
    let (server, store, github) =
        (format!("{:?}", config.server), format!("{:?}", config.store), format!("{:?}", config.github));
    let (cluster, warnings) = (format!("{:?}", config.cluster), format!("{:?}", config.warnings));
    for text in [server, store, github, cluster, warnings] {
        assert!(!text.contains("planted"), "{text}");
    }
}

#[test]
fn what_is_not_judged_yet_is_not_shown_either() {
    let variables = [
        ("GHAPP_ORG_PRIVATE_KEY", "planted-key"),
        ("RRCTL_STORE__URL", "planted-url"),
        ("AWS_SECRET_ACCESS_KEY", "planted-and-not-ours"),
        ("PATH", "/bin"),
    ];
    let variables = variables.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let sources = Sources { flag: None, variables };
    assert_eq!(
        format!("{sources:?}"),
        "Sources { flag: None, variables: {\"GHAPP_ORG_PRIVATE_KEY\", \"RRCTL_STORE__URL\"} }"
    );
    assert_eq!(sources.variables.get("AWS_SECRET_ACCESS_KEY"), None, "what is not ours is not kept");
    let problems = super::problem::Problems::default();
    let entries = super::tree::parse_file(Path::new("rrctl.toml"), SMALL, &problems);
    let shown = format!("{entries:?} {:?}", entries["store"].at("url"));
    assert!(
        shown.contains("value: a table")
            && shown.ends_with("value: text, origin: File { path: \"rrctl.toml\", line: 3 } }"),
        "{shown}"
    );
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn problems_do_not_repeat_secrets() {
    let folder = Folder::with(&SMALL.replace("postgres://user", "mysql://user"));
    let problems = folder.problems(&[("GHAPP_ORG_PRIVATE_KEY", "planted-but-no-key")]);
    assert!(problems.contains("store.url") && problems.contains("PEM"), "{problems}");
    assert!(!problems.contains("planted"), "{problems}");
}

#[test]
fn variables_with_mistakes_are_named() {
    let folder = Folder::with(SMALL);
    let problems = folder.problems(&[
        ("RRCTL_SERVER__LISTENN", "x"),
        ("RRCTL_POOLS__7__IMAGE", "x"),
        ("RRCTL_TIMEOUTS__TICK", "soon"),
        ("RRCTL_LIMITS__PROVISION_CONCURRENCY", "many"),
        ("RRCTL_LOG", "info,=x=y"),
        ("GHAPP_PERSONAL_PRIVATE_KEY", KEY),
        ("RRCTL_CONFIGURATION", "is no key, for it has no section"),
    ]);
    assert_snapshot!(problems);
}

#[test]
fn a_secret_file_that_is_not_here_is_a_warning_and_one_that_is_no_secret_an_error() {
    let folder = Folder::with(&SMALL.replace("org.pem", "elsewhere.pem"));
    let config = folder.load(&[]).unwrap();
    assert!(config.github.apps[0].private_key.is_none());
    assert!(folder.problems(&[]).starts_with("warning: rrctl.toml:9: github.apps[0].private_key_file"));
    fs::write(folder.0.path().join("elsewhere.pem"), "\n").unwrap();
    assert!(folder.problems(&[]).contains("is empty"));
}

#[test]
fn the_effective_configuration_can_be_read_again() {
    let config = small();
    let mut text = String::new();
    for shown in &config.shown {
        match shown {
            Shown::Header(header) => text.push_str(&format!("{header}\n")),
            Shown::Key { key, value, .. } => text.push_str(&format!("{key} = {value}\n")),
        }
    }
    let text = text.replace("url = \"(set)\"", "url = \"postgres://again\"");
    let again = Folder::with(&text).load(&[]).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    assert_eq!(again.policy, config.policy);
}

#[test]
fn the_example_is_accepted_and_routes_as_the_reference_service_does() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rrctl.example.toml");
    let config = load(&Sources { flag: Some(example), ..Sources::default() }, Need::All)
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(
        config.warnings.iter().all(|warning| warning.problem.ends_with("is not there")),
        "{:?}",
        config.warnings
    );
    assert_eq!(config.policy.pools.len(), 3);
    assert_eq!(config.policy.routes.len(), 5);
}

#[test]
fn the_example_names_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rrctl.example.toml");
    let example = fs::read_to_string(path).unwrap();
    let config = small();
    let mut table = String::new();
    for shown in &config.shown {
        match shown {
            Shown::Header(header) => table.clone_from(header),
            Shown::Key { key, value, .. } => {
                assert!(example.contains(&table), "the example has no {table}");
                let default = table.contains("[timeouts]");
                let wanted = if default { format!("# {key} = {value} ") } else { format!("{key} = ") };
                let file = format!("{key}_file = ");
                let files = format!("{key}_files = ");
                let found = [&wanted, &file, &files].iter().any(|text| example.contains(text.as_str()));
                assert!(found, "the example does not have `{wanted}` in {table}");
            }
        }
    }
}

#[test]
fn who_is_told_is_checked_without_showing_addresses() {
    let folder = Folder::with(&format!(
        "{SMALL}[notify]\nwebhook_url = \"planted-no-url\"\ndiscord_url = \"https://planted\"\n\
         types = [\"board_lost\", \"boredom\"]\nmin_severity = \"fatal\"\nper_window = 0\nwindow = \"0s\"\n\
         [heartbeat]\nurl = \"ftp://planted\"\nevery = \"1ms\"\n"
    ));
    let problems = folder.problems(&[]);
    assert!(!problems.contains("planted"), "{problems}");
    assert_snapshot!(problems);
    let unsigned = Folder::with(&format!("{SMALL}[notify]\nwebhook_url = \"https://planted\"\n"));
    let problems = unsigned.problems(&[]);
    assert!(problems.contains("warning: ") && problems.contains("not signed"), "{problems}");
}

#[test]
fn what_is_told_is_read() {
    let folder = Folder::with(&format!(
        "{SMALL}[notify]\ntypes = [\"auth_failing\"]\nmin_severity = \"critical\"\n\
         pool_exhausted_after = \"1h\"\nwindow = \"1m\"\nper_window = 3\n"
    ));
    let rules = folder.load(&[]).unwrap().notify.rules;
    assert_eq!(rules.topics, [riscv_runner_core::notify::Topic::AuthFailing].into());
    assert_eq!(rules.min_severity, riscv_runner_core::notify::Severity::Critical);
    assert_eq!(
        (rules.pool_exhausted_after, rules.window),
        (Duration::from_secs(3600), Duration::from_secs(60))
    );
    assert_eq!(rules.per_window, 3);
}
