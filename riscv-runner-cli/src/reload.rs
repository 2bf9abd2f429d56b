//! The configuration read again, on SIGHUP and when its file changes. A bad one is refused, and the old
//! one stays in force.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use riscv_runner_core::policy::Policy;
use riscv_runner_k8s::KubeCluster;
use tokio::{signal::unix::SignalKind, sync::watch};

use crate::{
    config::{self, Need, Severity, Sources},
    failure::Failure,
    signals,
};

/// How often the file is looked at: a stat costs nothing, and editors do not hurry.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a new configuration is put in force through.
pub(crate) struct Reload {
    /// Where the configuration comes from.
    pub(crate) sources: Sources,
    /// Who takes a new policy.
    pub(crate) policy: watch::Sender<Arc<Policy>>,
    /// Who takes new pod templates.
    pub(crate) cluster: Option<Arc<KubeCluster>>,
}

impl Reload {
    /// Watches for as long as the process lives.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut hang_up = signals::on(SignalKind::hangup())?;
        let file = self.sources.file();
        let mut known = file.as_deref().and_then(state);
        loop {
            let asked = tokio::select! {
                _ = hang_up.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let current = file.as_deref().and_then(state);
            // A file that is gone for a moment is being replaced.
            if asked || current.is_some() && current != known {
                known = current;
                self.reload();
            }
        }
    }

    fn reload(&self) {
        match config::load(&self.sources, Need::All) {
            Ok(config) => {
                if let Some(cluster) = &self.cluster {
                    cluster.replace_templates(config.pools.templates.clone());
                }
                let changed = **self.policy.borrow() != config.policy;
                self.policy.send_replace(Arc::new(config.policy));
                tracing::info!(
                    changed,
                    "the configuration was read again; addresses, secrets and connections need a restart"
                );
            }
            Err(problems) => {
                for problem in problems.iter().filter(|problem| problem.severity == Severity::Error) {
                    tracing::error!(%problem, "the new configuration is refused; the old one stays in force");
                }
            }
        }
    }
}

fn state(file: &Path) -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len()))
}
