//! Why jobs wait, as a reader may see it: name, sentence, since when, evidence.

use jiff::Timestamp;
use riscv_runner_core::{controls::ControlTarget, ids::WorkerName, plan::Hold, why::Reason};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Reader;

/// Tags of the two enums; what they say is the name.
const TAGS: [&str; 2] = ["reason", "hold"];

/// A reason in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReasonView {
    /// Its name, one of a closed list.
    pub name: String,
    /// The same in words.
    pub sentence: String,
    /// Since when the reason has held.
    pub since: Timestamp,
    /// When it ends by itself, where that is known.
    pub until: Option<Timestamp>,
    /// The evidence for it.
    pub evidence: Value,
}

impl ReasonView {
    /// The reason with everything, for a reader who may know all about its job.
    pub(super) fn whole(reason: &Reason, since: Timestamp) -> Self {
        let until = match reason {
            Reason::Held(hold) => hold.until(),
            Reason::Provision
            | Reason::Provisioning { .. }
            | Reason::PodPending { .. }
            | Reason::RunnerBooting { .. }
            | Reason::RunnerIdleGithubNotDispatching { .. } => None,
        };
        Self {
            name: reason.name().to_owned(),
            sentence: reason.to_string(),
            since,
            until,
            evidence: evidence(reason),
        }
    }

    /// The reason among those of other jobs: what is said of one repository is for its readers.
    pub(super) fn shown(reason: &Reason, since: Timestamp, reader: Reader) -> Self {
        let whole = Self::whole(reason, since);
        let of_repository =
            matches!(reason, Reason::Held(Hold::Paused { target: ControlTarget::Repository(_), .. }));
        if reader == Reader::Authenticated || !of_repository {
            return whole;
        }
        let sentence = "an operator has paused the repository".to_owned();
        Self { sentence, evidence: Value::Null, ..whole }
    }
}

fn evidence(reason: &Reason) -> Value {
    let mut value = serde_json::to_value(reason).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.retain(|name, _| !TAGS.contains(&name.as_str()));
    }
    value
}

/// The worker that the reason speaks of.
pub(super) const fn worker(reason: &Reason) -> Option<&WorkerName> {
    match reason {
        Reason::Provisioning { worker, .. }
        | Reason::PodPending { worker, .. }
        | Reason::RunnerBooting { worker, .. }
        | Reason::RunnerIdleGithubNotDispatching { worker, .. } => Some(worker),
        Reason::Held(_) | Reason::Provision => None,
    }
}

#[cfg(test)]
mod tests {
    use riscv_runner_core::{controls::Note, ids::RepoName};
    use serde_json::json;

    use super::*;

    #[test]
    fn evidence_is_what_the_verdict_holds() {
        let hold = Hold::NoCapacity {
            pool: "k1".parse().unwrap(),
            total: 3,
            active: 3,
            quarantined: 0,
            drained: 0,
            drained_boards: std::sync::Arc::default(),
        };
        let since = Timestamp::UNIX_EPOCH;
        let told = ReasonView::whole(&Reason::Held(hold), since);
        assert_eq!(told.name, "no_capacity");
        assert_eq!(
            told.evidence,
            json!({ "pool": "k1", "total": 3, "active": 3, "quarantined": 0, "drained": 0 })
        );
        assert_eq!(ReasonView::whole(&Reason::Held(Hold::DemandMet), since).evidence, json!({}));
        let booting = Reason::RunnerBooting { worker: "rr-abc".parse().unwrap(), since };
        let told = ReasonView::whole(&booting, since);
        assert_eq!(told.evidence["worker"], "rr-abc");
        assert_eq!(told.since, since);
    }

    #[test]
    fn a_pause_of_a_repository_is_told_to_its_readers() {
        let note = Note { reason: "bob/diary".into(), actor: "eve".into(), since: Timestamp::UNIX_EPOCH };
        let target = ControlTarget::Repository(RepoName::new("bob/diary").unwrap());
        let reason = Reason::Held(Hold::Paused { target, note });
        let shown = |reader| {
            serde_json::to_string(&ReasonView::shown(&reason, Timestamp::UNIX_EPOCH, reader)).unwrap()
        };
        assert!(!shown(Reader::Anonymous).contains("diary"), "{}", shown(Reader::Anonymous));
        assert!(shown(Reader::Authenticated).contains("bob/diary"));
    }
}
