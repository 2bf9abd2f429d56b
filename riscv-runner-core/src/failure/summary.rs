//! A failure in one line.

use super::{Diagnostics, FailureInfo};

impl FailureInfo {
    /// The most informative fact about the failure, for lists: an operator's note, how a container ended, or
    /// what the pod or its last warning says. `None` where nothing is known.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        match self {
            Self::V1(plain) => Some(plain.message.clone()),
            Self::V2(pod) => pod.note.clone().or_else(|| pod.diagnostics.summary()),
            Self::Other(_) => None,
        }
    }
}

impl Diagnostics {
    fn summary(&self) -> Option<String> {
        let ended = self.containers.iter().find_map(|(name, end)| {
            let detail = [end.reason.as_deref(), end.message.as_deref()];
            let detail: Vec<_> = detail.into_iter().flatten().collect();
            match end.exit_code {
                Some(0) | None if detail.is_empty() => None,
                Some(code) => Some(joined(&format!("container {name}: exit code {code}"), &detail)),
                None => Some(joined(&format!("container {name}"), &detail)),
            }
        });
        let pod = || {
            let detail = [self.pod_reason.as_deref(), self.pod_message.as_deref()];
            let detail: Vec<_> = detail.into_iter().flatten().collect();
            (!detail.is_empty()).then(|| joined("pod", &detail))
        };
        let warning = || {
            let last = self.events.iter().rev().find(|event| event.kind == "Warning")?;
            Some(joined(&last.reason, &[&last.message]))
        };
        ended.or_else(pod).or_else(warning).or_else(|| self.collect_error.clone())
    }
}

fn joined(begin: &str, detail: &[&str]) -> String {
    [&[begin], detail].concat().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{ContainerEnd, FailureReason, PodEvent};

    fn summary(diagnostics: Diagnostics) -> Option<String> {
        FailureInfo::pod(FailureReason::PodFailed, diagnostics).summary()
    }

    #[test]
    fn the_most_telling_thing_is_said() {
        let end = |exit_code, reason: Option<&str>| ContainerEnd {
            exit_code,
            reason: reason.map(str::to_owned),
            ..ContainerEnd::default()
        };
        let with =
            |end| Diagnostics { containers: [("runner".into(), end)].into(), ..Diagnostics::default() };
        assert_eq!(
            summary(with(end(Some(137), Some("OOMKilled")))).as_deref(),
            Some("container runner: exit code 137: OOMKilled")
        );
        assert_eq!(
            summary(with(end(None, Some("ImagePullBackOff")))).as_deref(),
            Some("container runner: ImagePullBackOff")
        );
        assert_eq!(summary(with(end(Some(0), None))), None);
        let warning = PodEvent {
            kind: "Warning".into(),
            reason: "FailedScheduling".into(),
            message: "0/3 nodes are available".into(),
            count: 1,
            first_seen: None,
            last_seen: None,
        };
        let pending = Diagnostics { events: vec![warning], ..Diagnostics::default() };
        assert_eq!(summary(pending.clone()).as_deref(), Some("FailedScheduling: 0/3 nodes are available"));
        let evicted = Diagnostics { pod_reason: Some("Evicted".into()), ..pending };
        assert_eq!(summary(evicted).as_deref(), Some("pod: Evicted"));
        let note = FailureInfo::noted(FailureReason::Revoked, "by ann".into(), Diagnostics::default());
        assert_eq!(note.summary().as_deref(), Some("by ann"));
    }
}
