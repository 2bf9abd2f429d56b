//! The configuration: one TOML file, then the environment, then flags; all problems are found in one run.
//! Secrets are never shown.

mod changes;
mod cluster;
mod entities;
pub(crate) mod environment;
mod github;
mod heartbeat;
mod limits;
mod locate;
mod notify;
mod paths;
mod permissions;
mod pools;
mod problem;
mod reader;
#[cfg(test)]
mod reference;
mod retention;
mod routes;
mod runner;
mod secret;
mod server;
mod setting;
mod shadowing;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod timeouts;
mod tree;
mod values;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use riscv_runner_core::{
    ids::EntityId,
    policy::{EntityPolicy, Limits, Policy, Timeouts},
};
use secrecy::zeroize::Zeroizing;

use self::{
    changes::Comparable,
    environment::Variables,
    problem::Problems,
    reader::{Context, Section},
    routes::PlacedRoute,
};
pub(crate) use self::{
    changes::Values,
    cluster::Cluster,
    github::{APPS, App as GithubApp, Github, WEBHOOK_SECRETS},
    heartbeat::Heartbeat,
    notify::Notify,
    paths::with_paths,
    pools::Pools,
    problem::{Origin, Problem, Severity},
    reader::Shown,
    runner::Runner,
    server::{LogFormat, Server},
    store::Store,
    telemetry::Telemetry,
};

/// What a command needs from the configuration: the rest may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing must be there.
    Nothing,
    /// Pools and routes.
    Policy,
    /// The database as well.
    Store,
    /// Everything.
    All,
}

/// Everything that is configured.
#[derive(Debug)]
pub(crate) struct Config {
    /// `[server]`
    pub(crate) server: Server,
    /// `[store]`
    pub(crate) store: Store,
    /// `[github]`
    pub(crate) github: Github,
    /// `[cluster]`
    pub(crate) cluster: Cluster,
    /// `[runner]`
    pub(crate) runner: Runner,
    /// `[[pools]]`
    pub(crate) pools: Pools,
    /// `[notify]`
    pub(crate) notify: Notify,
    /// `[heartbeat]`
    pub(crate) heartbeat: Heartbeat,
    /// `[telemetry]`
    pub(crate) telemetry: Telemetry,
    /// What the planner takes from it.
    pub(crate) policy: Policy,
    /// Every key, to be compared with another configuration.
    pub(crate) values: Values,
    /// The effective configuration, line by line, without secrets.
    pub(crate) shown: Vec<Shown>,
    /// What the operator should know although it works.
    pub(crate) warnings: Vec<Problem>,
}

/// Where the configuration is read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// `--config`.
    pub(crate) flag: Option<PathBuf>,
    /// The environment variables that concern us.
    pub(crate) variables: Variables,
}

impl Sources {
    /// The flag, and the environment of this process.
    pub(crate) fn of_process(flag: Option<PathBuf>) -> Self {
        // A variable that is not text cannot be meant for us.
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { flag, variables: std::env::vars_os().filter_map(text).collect() }
    }

    /// The file that is read, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        locate::locate(self.flag.as_deref(), &self.variables)
    }
}

/// Reads the configuration.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn load(sources: &Sources, need: Need) -> Result<Config, Vec<Problem>> {
    let (config, found) = read(sources, need);
    match config {
        Some(config) if found.iter().all(|problem| problem.severity == Severity::Warning) => {
            Ok(Config { warnings: found, ..config })
        }
        // Without a configuration there are problems: only a refused file or prefix leads here.
        Some(_) | None => Err(found),
    }
}

/// Reads what can be used of the configuration, and all problems. A refused value has its default; only
/// `rrctl doctor` uses such a configuration.
pub(crate) fn read(sources: &Sources, need: Need) -> (Option<Config>, Vec<Problem>) {
    let context = Context::default();
    let Some((mut entries, origin)) = read_file(sources, need, &context.problems) else {
        // What an absent file does not hold is not worth a list.
        return (None, context.problems.into_sorted());
    };
    environment::overlay(&mut entries, &sources.variables, &context.problems);
    let root = Section::root(&context, entries, origin);
    let topics = Topics::read(root, sources, need);
    environment::warn_of_misnamed(&sources.variables, &context);
    let Context { problems, shown, secrets, .. } = context;
    shadowing::check(&topics.routes, &problems);
    (topics.into_config(shown.into_inner(), secrets.into_inner()), problems.into_sorted())
}

/// The file's entries; `None` when there should be one that can be read and there is none.
fn read_file(sources: &Sources, need: Need, problems: &Problems) -> Option<(tree::Entries, Origin)> {
    let Some(path) = sources.file() else {
        let by_variables = sources.variables.iter().any(|(name, _)| name.starts_with("RRCTL_POOLS"));
        if need == Need::Nothing || by_variables {
            return Some((tree::Entries::new(), Origin::Default));
        }
        let hint = "copy rrctl.example.toml to rrctl.toml, or name a file with --config or RRCTL_CONFIG";
        let tried = "no configuration file: neither ./rrctl.toml nor /etc/rrctl/rrctl.toml exists";
        problems.error(&Origin::Default, "", tried, Some(hint.to_owned()));
        return None;
    };
    let origin = Origin::File { path: path.as_path().into(), line: 1 };
    match fs::read_to_string(&path).map(Zeroizing::new) {
        Ok(text) => Some((tree::parse_file(&path, &text, problems), origin)),
        Err(error) => {
            problems.error(&origin, "", format!("cannot be read: {error}"), named_by(sources, &path));
            None
        }
    }
}

fn named_by(sources: &Sources, path: &Path) -> Option<String> {
    match sources.flag.as_deref() {
        Some(flag) if flag == path => Some("--config names it".to_owned()),
        _ => Some("RRCTL_CONFIG names it".to_owned()),
    }
}

/// The topics as they were read, some of them perhaps refused.
struct Topics {
    server: Server,
    store: Store,
    github: Github,
    cluster: Cluster,
    runner: Runner,
    notify: Notify,
    heartbeat: Heartbeat,
    telemetry: Telemetry,
    limits: Limits,
    timeouts: Timeouts,
    entities: BTreeMap<EntityId, EntityPolicy>,
    pools: Pools,
    routes: Vec<PlacedRoute>,
}

impl Topics {
    fn read(root: Section<'_>, sources: &Sources, need: Need) -> Self {
        let policy_needed = need >= Need::Policy;
        let server = Server::read(root.section("server"), &sources.variables);
        let store = Store::read(root.section("store"), need >= Need::Store);
        let github = Github::read(root.section("github"), need >= Need::All);
        let cluster = Cluster::read(root.section("cluster"));
        let runner = Runner::read(root.section("runner"));
        let limits = limits::read(root.section("limits"));
        let mut timeouts = timeouts::read(root.section("timeouts"));
        retention::read(root.section("retention"), &mut timeouts);
        let notify = Notify::read(root.section("notify"));
        let heartbeat = Heartbeat::read(root.section("heartbeat"));
        let telemetry = Telemetry::read(root.section("telemetry"), need >= Need::All);
        let entities = entities::read(&root);
        let pools = Pools::read(&root, policy_needed);
        let routes = routes::read(&root, &pools, policy_needed);
        let stages =
            !server.staging_repositories.is_empty() || entities.values().any(|special| special.staging);
        if stages && server.staging_url.is_none() {
            let problem = "some accounts or repositories are staging, but server.staging_url is missing";
            root.warn("server", problem, Some("their deliveries would be answered 502"));
        }
        root.done();
        Self {
            server,
            store,
            github,
            cluster,
            runner,
            notify,
            heartbeat,
            telemetry,
            limits,
            timeouts,
            entities,
            pools,
            routes,
        }
    }

    fn into_config(self, shown: Vec<Shown>, secrets: BTreeMap<String, Comparable>) -> Option<Config> {
        let policy = Policy {
            pools: self.pools.policies.clone(),
            routes: self.routes.into_iter().map(|placed| placed.route).collect(),
            entities: self.entities,
            banned_senders: self.github.banned_senders.clone(),
            staging_repositories: self.server.staging_repositories.clone(),
            limits: self.limits,
            timeouts: self.timeouts,
            name_prefix: self.runner.name_prefix.clone()?,
        };
        Some(Config {
            server: self.server,
            store: self.store,
            github: self.github,
            cluster: self.cluster,
            runner: self.runner,
            pools: self.pools,
            notify: self.notify,
            heartbeat: self.heartbeat,
            telemetry: self.telemetry,
            policy,
            values: Values::of(&shown, secrets),
            shown,
            warnings: Vec::new(),
        })
    }
}
