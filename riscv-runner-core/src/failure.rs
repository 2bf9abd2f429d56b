//! Why a worker or a job failed, in the versioned form that the tables keep.

mod summary;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Container logs keep this many bytes of their end.
pub const MAX_LOG_BYTES: usize = 64 * 1024;

/// The most bytes of a failure, as JSON, that a list shows.
pub const MAX_LISTED_BYTES: usize = 8 * 1024;
/// What a list shows instead of a longer failure.
pub const TOO_LONG_FOR_A_LIST: &str = "the details are too long for a list: see the worker's own page";

/// Why a worker failed; each failed row has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The pod could not be created.
    PodAllocationFailure,
    /// The pod ended with phase `Failed`.
    PodFailed,
    /// The pod stayed `Pending` too long.
    PodStuckPending,
    /// The pod does not exist though it should.
    PodMissing,
    /// The pod ran, but its runner never appeared on GitHub.
    RunnerNeverRegistered,
    /// The runner waited for a job too long.
    RunnerIdle,
    /// The runner is no longer needed.
    RunnerSurplus,
    /// The runner went offline while it was busy.
    RunnerLost,
    /// The runner's registration is gone, as after a job, but its pod keeps running.
    RunnerGone,
    /// The node stopped answering, or is gone.
    NodeUnreachable,
    /// GitHub's limits forbade the registration.
    RateLimited,
    /// The App could not authenticate for the installation.
    AuthFailed,
    /// GitHub refused the JIT configuration.
    JitRejected,
    /// Self-hosted runners are disabled for the repository or organization.
    SelfHostedDisabled,
    /// GitHub refuses the runner version of the image.
    RunnerVersionRefused,
    /// The installation no longer exists.
    InstallationNotFound,
    /// An operator revoked the worker.
    Revoked,
    /// An operator drained its board or its pool before it had a job.
    Drained,
    /// The replica that reserved the worker stopped before creating anything for it.
    ReplicaStopped,
}

impl FailureReason {
    /// Every reason, for metrics and documentation.
    pub const ALL: [Self; 19] = [
        Self::PodAllocationFailure,
        Self::PodFailed,
        Self::PodStuckPending,
        Self::PodMissing,
        Self::RunnerNeverRegistered,
        Self::RunnerIdle,
        Self::RunnerSurplus,
        Self::RunnerLost,
        Self::RunnerGone,
        Self::NodeUnreachable,
        Self::RateLimited,
        Self::AuthFailed,
        Self::JitRejected,
        Self::SelfHostedDisabled,
        Self::RunnerVersionRefused,
        Self::InstallationNotFound,
        Self::Revoked,
        Self::Drained,
        Self::ReplicaStopped,
    ];

    /// The text used in tables, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PodAllocationFailure => "pod_allocation_failure",
            Self::PodFailed => "pod_failed",
            Self::PodStuckPending => "pod_stuck_pending",
            Self::PodMissing => "pod_missing",
            Self::RunnerNeverRegistered => "runner_never_registered",
            Self::RunnerIdle => "runner_idle",
            Self::RunnerSurplus => "runner_surplus",
            Self::RunnerLost => "runner_lost",
            Self::RunnerGone => "runner_gone",
            Self::NodeUnreachable => "node_unreachable",
            Self::RateLimited => "rate_limited",
            Self::AuthFailed => "auth_failed",
            Self::JitRejected => "jit_rejected",
            Self::SelfHostedDisabled => "self_hosted_disabled",
            Self::RunnerVersionRefused => "runner_version_refused",
            Self::InstallationNotFound => "installation_not_found",
            Self::Revoked => "revoked",
            Self::Drained => "drained",
            Self::ReplicaStopped => "replica_stopped",
        }
    }

    /// Whether the board may be to blame, so that it counts towards quarantine.
    #[must_use]
    pub const fn blames_board(self) -> bool {
        matches!(
            self,
            Self::PodStuckPending | Self::RunnerNeverRegistered | Self::NodeUnreachable | Self::PodFailed
        )
    }

    /// Whether the worker ended because it was not needed: nothing is broken, and nothing backs off.
    #[must_use]
    pub const fn is_routine(self) -> bool {
        matches!(
            self,
            Self::RunnerIdle
                | Self::RunnerSurplus
                | Self::RunnerGone
                | Self::InstallationNotFound
                | Self::Revoked
                | Self::Drained
                | Self::ReplicaStopped
        )
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The column `failure_info`: one of its two versions, or any other value as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FailureInfo {
    /// Version 2, with what was seen of the pod.
    V2(PodFailure),
    /// Version 1, a message.
    V1(PlainFailure),
    /// Details in another format, from another writer: they may contain logs and anything else.
    Other(serde_json::Value),
}

/// `failure_info` version 1: a failure without details of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainFailure {
    /// Always 1.
    pub version: Version<1>,
    /// What happened.
    pub message: String,
}

/// `failure_info` version 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFailure {
    /// Always 2.
    pub version: Version<2>,
    /// Why the worker failed.
    #[serde(default = "unknown_reason", deserialize_with = "known_reason")]
    pub reason: FailureReason,
    /// Who ended it and why, where an operator did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was seen of its pod.
    #[serde(flatten)]
    pub diagnostics: Diagnostics,
}

/// A version number that only accepts itself when read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version<const N: u8>;

impl<const N: u8> Serialize for Version<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(N)
    }
}

impl<'de, const N: u8> Deserialize<'de> for Version<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = u8::deserialize(deserializer)?;
        if found == N { Ok(Self) } else { Err(serde::de::Error::custom(format!("version {found}, not {N}"))) }
    }
}

/// What was seen of a pod when its worker failed; empty where nothing could be collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The pod's `status.reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_reason: Option<String>,
    /// The pod's `status.message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_message: Option<String>,
    /// By container name.
    #[serde(default, deserialize_with = "or_default")]
    pub containers: BTreeMap<String, ContainerEnd>,
    /// Kubernetes events of the pod, oldest first.
    #[serde(default, deserialize_with = "or_default")]
    pub events: Vec<PodEvent>,
    /// Why the collection is incomplete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_error: Option<String>,
}

/// The state in which a container was or ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// Exit code, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Kubernetes' reason, e.g. `OOMKilled` or `ImagePullBackOff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Kubernetes' message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The end of its log, at most [`MAX_LOG_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<String>,
}

/// One Kubernetes event of a pod. Events of the newer API lack what the older one always has, and the reference
/// service wrote them with `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// `Normal` or `Warning`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Short reason, e.g. `FailedScheduling`.
    #[serde(default, deserialize_with = "or_default")]
    pub reason: String,
    /// The message.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
    /// How often it was seen.
    #[serde(default = "once", deserialize_with = "at_least_once")]
    pub count: i32,
    /// First occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// Last occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// How a reason unknown to this version is read.
const fn unknown_reason() -> FailureReason {
    FailureReason::PodFailed
}

fn known_reason<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<FailureReason, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?;
    let known = FailureReason::ALL.into_iter().find(|reason| Some(reason.as_str()) == name.as_deref());
    Ok(known.unwrap_or_else(unknown_reason))
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

const fn once() -> i32 {
    1
}

fn at_least_once<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(once))
}

impl FailureInfo {
    /// Version 1 with this message.
    #[must_use]
    pub fn message(message: impl Into<String>) -> Self {
        Self::V1(PlainFailure { version: Version, message: message.into() })
    }

    /// Version 2.
    #[must_use]
    pub const fn pod(reason: FailureReason, diagnostics: Diagnostics) -> Self {
        Self::V2(PodFailure { version: Version, reason, note: None, diagnostics })
    }

    /// Version 2 for a worker that an operator ended: `note` says who, and why.
    #[must_use]
    pub const fn noted(reason: FailureReason, note: String, diagnostics: Diagnostics) -> Self {
        Self::V2(PodFailure { version: Version, reason, note: Some(note), diagnostics })
    }

    /// The reason, where the version carries one.
    #[must_use]
    pub const fn reason(&self) -> Option<FailureReason> {
        match self {
            Self::V2(pod) => Some(pod.reason),
            Self::V1(_) | Self::Other(_) => None,
        }
    }

    /// What a list shows of it: no logs, no events, and nothing longer than [`MAX_LISTED_BYTES`].
    #[must_use]
    pub fn for_list(mut self) -> Self {
        if let Self::V2(pod) = &mut self {
            pod.diagnostics.events.clear();
            pod.diagnostics.containers.values_mut().for_each(|end| end.logs = None);
        }
        let length = serde_json::to_string(&self).map_or(usize::MAX, |json| json.len());
        if length <= MAX_LISTED_BYTES { self } else { Self::message(TOO_LONG_FOR_A_LIST) }
    }
}

/// Keeps the last [`MAX_LOG_BYTES`] of a log, cut at a character boundary.
#[must_use]
pub fn tail_of_log(log: &str) -> &str {
    let mut start = log.len().saturating_sub(MAX_LOG_BYTES);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    &log[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let v1: FailureInfo = serde_json::from_str(r#"{"version":1,"message":"m"}"#).unwrap();
        assert_eq!(v1, FailureInfo::message("m"));
        let v2: FailureInfo = serde_json::from_str(
            r#"{"version":2,"reason":"pod_failed","containers":{"runner":{"exit_code":7}}}"#,
        )
        .unwrap();
        assert_eq!(v2.reason(), Some(FailureReason::PodFailed));
        let v3 = serde_json::json!({"version": 3, "message": "m"});
        let other: FailureInfo = serde_json::from_value(v3.clone()).unwrap();
        assert_eq!(other, FailureInfo::Other(v3.clone()), "a version of the future is kept as it is");
        assert_eq!(serde_json::to_value(&other).unwrap(), v3);
    }

    #[test]
    fn what_other_writers_leave_out_does_not_hide_the_rest() {
        let told = serde_json::json!({
            "version": 2, "reason": "of the future",
            "containers": {"runner": {"exit_code": 7, "logs": "l"}},
            "events": [{"type": "Normal", "reason": "Scheduled", "message": null, "count": null}],
        });
        let FailureInfo::V2(pod) = serde_json::from_value(told).unwrap() else {
            panic!("it is of version 2")
        };
        assert_eq!(pod.reason, FailureReason::PodFailed);
        assert_eq!(pod.diagnostics.containers["runner"].exit_code, Some(7));
        assert_eq!(pod.diagnostics.events[0].count, 1);
        let nothing = serde_json::json!({"version": 2, "containers": null, "events": null});
        assert!(matches!(serde_json::from_value(nothing).unwrap(), FailureInfo::V2(_)));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut diagnostics = Diagnostics { pod_reason: Some("Evicted".into()), ..Diagnostics::default() };
        diagnostics
            .containers
            .insert("runner".into(), ContainerEnd { exit_code: Some(1), ..ContainerEnd::default() });
        let info = FailureInfo::pod(FailureReason::RunnerLost, diagnostics);
        let text = serde_json::to_string(&info).unwrap();
        assert!(text.starts_with(r#"{"version":2,"reason":"runner_lost","pod_reason":"Evicted""#), "{text}");
        assert_eq!(serde_json::from_str::<FailureInfo>(&text).unwrap(), info);
    }

    #[test]
    fn the_name_in_tables_is_the_name_in_json() {
        for reason in FailureReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }

    #[test]
    fn logs_are_cut_between_characters() {
        let log = format!("x{}", "ü".repeat(MAX_LOG_BYTES));
        let tail = tail_of_log(&log);
        assert!(tail.len() <= MAX_LOG_BYTES && tail.len() >= MAX_LOG_BYTES - 1);
    }
}
