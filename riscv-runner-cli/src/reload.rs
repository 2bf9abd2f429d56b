//! The configuration read again, on SIGHUP and when its file changes. A bad one is refused, and the old
//! one stays in force. Files of secrets are read again with it, but are not watched by themselves.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use riscv_runner_core::{
    notify::Rules,
    policy::{Limits, Policy},
};
use riscv_runner_k8s::KubeCluster;
use tokio::{signal::unix::SignalKind, sync::watch};

use crate::{
    config::{self, Config, Need, Severity, Sources, Values},
    failure::Failure,
    signals,
};

/// How often the file is looked at: a stat costs nothing, and editors do not hurry.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a reload needs to put a new configuration in force.
pub(crate) struct Reload {
    /// Where the configuration comes from.
    pub(crate) sources: Sources,
    /// What is in force.
    pub(crate) in_force: Values,
    /// Receives a new policy.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// Receives new rules for notifications.
    pub(crate) rules: watch::Sender<Arc<Rules>>,
    /// Receives new pod templates.
    pub(crate) cluster: Option<Arc<KubeCluster>>,
}

impl Reload {
    /// Watches for as long as the process lives.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        let mut hang_up = signals::on(SignalKind::hangup())?;
        let file = self.sources.file();
        // It may have changed since it was read at the start, so the first look reads it.
        let mut known = None;
        loop {
            let current = file.as_deref().and_then(state);
            // A file that is gone for a moment is being replaced.
            if current.is_some() && current != known {
                self.reload(known.is_some());
                known = current;
            }
            tokio::select! {
                _ = hang_up.recv() => {
                    self.reload(true);
                    known = file.as_deref().and_then(state);
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Reads it, and puts it in force if nothing is wrong with it.
    fn reload(&mut self, says_so: bool) {
        match config::load(&self.sources, Need::All) {
            Ok(config) => self.take(config, says_so),
            Err(problems) => {
                for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
                    let hint = problem.hint.as_deref();
                    tracing::error!(%problem, hint, "the new configuration is refused; the old one stays in force");
                }
            }
        }
    }

    fn take(&mut self, config: Config, says_so: bool) {
        let changes = self.in_force.changes(&config.values);
        if changes.is_empty() && !says_so {
            return;
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for change in &changes {
            if change.is_live {
                tracing::info!(%change, "the configuration changed");
            } else {
                tracing::warn!(%change, "the configuration changed; this key takes effect with a restart");
            }
        }
        if let Some(cluster) = &self.cluster {
            cluster.replace_templates(config.pools.templates);
        }
        let policy = with_what_stays(config.policy, &self.policy.borrow());
        self.policy.send_replace(Arc::new(policy));
        self.rules.send_replace(Arc::new(config.notify.rules));
        self.in_force.take(&config.values);
        let needs_restart = changes.iter().filter(|change| !change.is_live).count();
        tracing::info!(changes = changes.len(), needs_restart, "the configuration was read again");
    }
}

/// The new policy with the parts that must not change under a running engine: what carries the old prefix
/// would look like somebody else's, and the number of provisions at a time is fixed when it starts.
fn with_what_stays(new: Policy, old: &Policy) -> Policy {
    Policy {
        name_prefix: old.name_prefix.clone(),
        limits: Limits { provision_concurrency: old.limits.provision_concurrency, ..new.limits },
        ..new
    }
}

/// What tells one version of a file from another; a file that was replaced has another number.
fn state(file: &Path) -> Option<(SystemTime, u64, u64)> {
    let found = fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}
