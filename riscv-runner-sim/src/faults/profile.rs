//! Fault profiles: how often each kind of fault happens, under a name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often each kind of fault happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultProfile {
    /// Its name, for the line that reproduces a failure.
    pub name: String,
    /// Calls of the store.
    pub store: CallFaults,
    /// Calls of GitHub.
    pub forge: CallFaults,
    /// Calls of the cluster.
    pub cluster: CallFaults,
    /// GitHub's webhooks.
    pub webhooks: WebhookFaults,
    /// GitHub's listings, limits and jobs.
    pub github: GithubFaults,
    /// Machines and what runs on them.
    pub boards: BoardFaults,
    /// Our own processes.
    pub processes: ProcessFaults,
    /// Times when nothing answers.
    pub outages: OutageFaults,
    /// What operators do meanwhile.
    pub operators: Operators,
}

/// What operators do to a running service: no faults, but nothing may go wrong by them. Numbers are per
/// world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operators {
    /// How many times something is drained, paused, limited or revoked.
    pub orders: f64,
    /// How many times a replica is restarted, gracefully.
    pub restarts: f64,
    /// Whether boards are enrolled: their slots are advertised by the leader, and forgotten by a kubelet
    /// that starts anew.
    pub enrolled: bool,
}

/// How often a call goes wrong, each as a probability per call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallFaults {
    /// It fails and has no effect.
    pub failed: f64,
    /// It has its effect and is reported as failed.
    pub unreported: f64,
    /// It takes up to 10 s longer.
    pub delayed: f64,
    /// It hangs for 30 s and is reported as failed; every other time it has its effect.
    pub hung: f64,
}

/// How often a webhook goes wrong, each as a probability per webhook.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFaults {
    /// It never arrives.
    pub lost: f64,
    /// It is sent twice.
    pub doubled: f64,
    /// It is late.
    pub delayed: f64,
    /// How late at most.
    pub longest_delay: Duration,
    /// How many webhooks per world nobody can read, so that they are refused whenever they come.
    pub unreadable: f64,
}

impl Default for WebhookFaults {
    fn default() -> Self {
        Self {
            lost: 0.0,
            doubled: 0.0,
            delayed: 0.0,
            longest_delay: Duration::from_secs(60),
            unreadable: 0.0,
        }
    }
}

/// How GitHub misleads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GithubFaults {
    /// Probability that a listing of runners is empty.
    pub empty_listing: f64,
    /// Probability that listings call a runner idle while it has a job.
    pub idle_while_busy: f64,
    /// Probability that listings call a runner offline while it has a job.
    pub offline_while_busy: f64,
    /// Probability that a job whose runner was lost is queued again instead of failed.
    pub requeues: f64,
    /// How often an installation is refused for some minutes.
    pub rate_limits: f64,
    /// How often an App is uninstalled and installed again.
    pub reinstalls: f64,
    /// How often an owner suspends the App for some minutes.
    pub suspensions: f64,
    /// How often an author cancels a job.
    pub cancellations: f64,
}

/// How machines fail. Probabilities are per pod, numbers are per world.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoardFaults {
    /// How many machines die and come back.
    pub nodes_lost: f64,
    /// How many machines are not ready for a moment.
    pub node_blips: f64,
    /// How many machines are cordoned for some time.
    pub cordons: f64,
    /// Probability that the image cannot be pulled.
    pub image_stuck: f64,
    /// How often GitHub begins to refuse the runner of the image in use, until the operator has a newer
    /// one.
    pub image_refused: f64,
    /// Probability that the runner never calls GitHub.
    pub never_registers: f64,
    /// Probability that the runner ends before it calls GitHub.
    pub boot_fails: f64,
    /// The pod, counted from 1, whose runner ends before it calls GitHub, whatever chance says.
    pub boot_fails_in: Option<u64>,
    /// Probability that the runner dies in the middle of its job.
    pub runner_dies: f64,
}

/// How our own processes fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessFaults {
    /// Probability per port call that the process is killed before or after it.
    pub killed: f64,
    /// How many times a process stands still for longer than its lease.
    pub pauses: f64,
    /// Whether somebody ends a pod that executes a job, as no engine may: the laws must catch it.
    pub sabotage: bool,
}

/// How many times, on average, something does not answer for some minutes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutageFaults {
    /// The store.
    pub store: f64,
    /// GitHub.
    pub github: f64,
    /// The cluster.
    pub cluster: f64,
}

impl Default for FaultProfile {
    fn default() -> Self {
        Self {
            name: "none".to_owned(),
            store: CallFaults::default(),
            forge: CallFaults::default(),
            cluster: CallFaults::default(),
            webhooks: WebhookFaults::default(),
            github: GithubFaults::default(),
            boards: BoardFaults::default(),
            processes: ProcessFaults::default(),
            outages: OutageFaults::default(),
            operators: Operators::default(),
        }
    }
}

/// There is no profile of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault profile {name:?}; take one of {}", FaultProfile::NAMES.join(", "))]
pub struct UnknownProfile {
    name: String,
}

/// A profile under which a law is broken on purpose; it is not among the [`FaultProfile::NAMES`].
const SABOTAGE: &str = "sabotage";

impl FaultProfile {
    /// The names that [`Self::named`] knows.
    pub const NAMES: [&'static str; 14] = [
        "none",
        "demo",
        "light",
        "network",
        "webhooks",
        "github_lies",
        "boards",
        "node_loss",
        "refused_image",
        "reinstalls",
        "suspensions",
        "crashes",
        "operators",
        "chaos",
    ];

    /// The profile of this name.
    ///
    /// # Errors
    /// A name that is not in [`Self::NAMES`].
    pub fn named(name: &str) -> Result<Self, UnknownProfile> {
        let profile = match name {
            "none" => Self::default(),
            "demo" => Self::demo(),
            "light" => Self::light(),
            "network" => Self::network(),
            "webhooks" => {
                let webhooks = WebhookFaults { unreadable: 1.0, ..bad_webhooks() };
                Self { webhooks, ..Self::default() }
            }
            "github_lies" => Self { github: lies(), webhooks: bad_webhooks(), ..Self::default() },
            "boards" => Self { boards: bad_boards(), ..Self::default() },
            "node_loss" => Self { boards: dying_nodes(), ..Self::default() },
            "refused_image" => Self { boards: old_images(), ..Self::default() },
            "reinstalls" => Self { github: reinstalls(), webhooks: bad_webhooks(), ..Self::default() },
            "suspensions" => Self { github: suspensions(), webhooks: bad_webhooks(), ..Self::default() },
            "crashes" => Self {
                processes: ProcessFaults { killed: 0.003, pauses: 1.0, sabotage: false },
                ..Self::default()
            },
            "operators" => Self::operators(),
            "chaos" => Self::chaos(),
            SABOTAGE => {
                let processes = ProcessFaults { sabotage: true, ..ProcessFaults::default() };
                Self { processes, ..Self::default() }
            }
            _ => return Err(UnknownProfile { name: name.to_owned() }),
        };
        Ok(Self { name: name.to_owned(), ..profile })
    }

    fn demo() -> Self {
        let boards = BoardFaults { never_registers: 0.01, boot_fails: 0.02, ..BoardFaults::default() };
        let webhooks = WebhookFaults { lost: 0.01, doubled: 0.02, ..WebhookFaults::default() };
        Self { boards, webhooks, ..Self::default() }
    }

    fn light() -> Self {
        let calls = CallFaults { failed: 0.01, unreported: 0.005, delayed: 0.01, hung: 0.001 };
        let webhooks = WebhookFaults { lost: 0.02, doubled: 0.05, delayed: 0.1, ..WebhookFaults::default() };
        Self { store: calls, forge: calls, cluster: calls, webhooks, ..Self::default() }
    }

    fn network() -> Self {
        let calls = CallFaults { failed: 0.05, unreported: 0.05, delayed: 0.05, hung: 0.01 };
        let outages = OutageFaults { store: 0.5, github: 0.5, cluster: 0.5 };
        Self { store: calls, forge: calls, cluster: calls, outages, ..Self::default() }
    }

    fn operators() -> Self {
        let light = Self::light();
        Self {
            operators: Operators { orders: 8.0, restarts: 1.5, enrolled: true },
            boards: BoardFaults { nodes_lost: 1.0, node_blips: 3.0, ..BoardFaults::default() },
            processes: ProcessFaults { killed: 0.0003, pauses: 0.3, sabotage: false },
            webhooks: WebhookFaults::default(),
            ..light
        }
    }

    fn chaos() -> Self {
        let calls = CallFaults { failed: 0.02, unreported: 0.02, delayed: 0.02, hung: 0.005 };
        Self {
            webhooks: bad_webhooks(),
            github: GithubFaults { rate_limits: 0.5, cancellations: 2.0, ..lies() },
            boards: bad_boards(),
            processes: ProcessFaults { killed: 0.001, pauses: 0.7, sabotage: false },
            outages: OutageFaults { store: 0.3, github: 0.3, cluster: 0.3 },
            store: calls,
            forge: calls,
            cluster: calls,
            ..Self::default()
        }
    }
}

fn bad_webhooks() -> WebhookFaults {
    WebhookFaults {
        lost: 0.1,
        doubled: 0.1,
        delayed: 0.2,
        longest_delay: Duration::from_secs(120),
        unreadable: 0.0,
    }
}

fn lies() -> GithubFaults {
    GithubFaults {
        empty_listing: 0.1,
        idle_while_busy: 0.2,
        offline_while_busy: 0.2,
        requeues: 0.3,
        ..GithubFaults::default()
    }
}

fn reinstalls() -> GithubFaults {
    GithubFaults { reinstalls: 2.0, cancellations: 1.0, ..GithubFaults::default() }
}

fn suspensions() -> GithubFaults {
    GithubFaults { suspensions: 3.0, cancellations: 1.0, ..GithubFaults::default() }
}

fn dying_nodes() -> BoardFaults {
    BoardFaults { nodes_lost: 6.0, node_blips: 4.0, ..BoardFaults::default() }
}

fn old_images() -> BoardFaults {
    BoardFaults { image_refused: 1.5, boot_fails: 0.02, ..BoardFaults::default() }
}

fn bad_boards() -> BoardFaults {
    BoardFaults {
        nodes_lost: 1.0,
        node_blips: 2.0,
        cordons: 0.5,
        image_stuck: 0.02,
        image_refused: 0.0,
        never_registers: 0.03,
        boot_fails: 0.03,
        boot_fails_in: None,
        runner_dies: 0.03,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_profile_of_that_name() {
        for name in FaultProfile::NAMES {
            assert_eq!(FaultProfile::named(name).unwrap().name, name);
        }
        assert!(FaultProfile::named("nothing").unwrap_err().to_string().contains("github_lies"));
    }

    #[test]
    fn a_profile_survives_json_and_unknown_keys_do_not() {
        let chaos = FaultProfile::named("chaos").unwrap();
        let text = serde_json::to_string(&chaos).unwrap();
        assert_eq!(serde_json::from_str::<FaultProfile>(&text).unwrap(), chaos);
        assert!(serde_json::from_str::<FaultProfile>(r#"{"nmae":"x"}"#).is_err());
    }
}
