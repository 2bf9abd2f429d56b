//! What an anonymous reader may not learn: the names of private repositories, and what reveals them.
//!
//! Whether the repository of a personal account's worker is private is not known, so it counts as private.
//! What a job wrote, to its log or to its container's termination log, may say anything about it, so it is
//! for authenticated readers; so are details of a failure that cannot be separated.

use riscv_runner_core::{
    failure::{Diagnostics, FailureInfo, PodFailure},
    ids::RunnerName,
    job::JobFacts,
    policy::NamePrefix,
    scope::Target,
    worker::Worker,
};

/// Whether a reader has shown the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// Anyone.
    Anonymous,
    /// The holder of the token, or a process that reads the store itself.
    Authenticated,
}

/// What stands where a text is withheld.
const WITHHELD: &str = "withheld from anonymous readers";

/// Whether this reader may know which repository the job is of.
pub(crate) fn knows_repository(reader: Reader, facts: &JobFacts) -> bool {
    reader == Reader::Authenticated || !facts.private
}

/// The runner that took a job, as this reader may know it; `ours` begins the names of our runners. Tenants name
/// their own runners, after whatever they do with them.
pub(crate) fn runner<'a>(
    reader: Reader,
    facts: &JobFacts,
    runner: Option<&'a RunnerName>,
    ours: &NamePrefix,
) -> Option<&'a RunnerName> {
    runner.filter(|runner| knows_repository(reader, facts) || ours.owns(runner.as_str()))
}

/// Whether this reader may know which repository the worker is for.
pub(crate) fn knows_target(reader: Reader, worker: &Worker) -> bool {
    reader == Reader::Authenticated || matches!(worker.scope.target, Target::Organization)
}

/// The failure as this reader may see it.
pub(crate) fn failure(reader: Reader, worker: &Worker, info: &FailureInfo) -> FailureInfo {
    if reader == Reader::Authenticated {
        return info.clone();
    }
    let texts = knows_target(reader, worker);
    match info {
        FailureInfo::V1(_) if texts => info.clone(),
        FailureInfo::V1(_) | FailureInfo::Other(_) => FailureInfo::message(WITHHELD),
        FailureInfo::V2(pod) => FailureInfo::V2(PodFailure {
            version: pod.version,
            reason: pod.reason,
            note: text(texts, &pod.note),
            diagnostics: without_texts(&pod.diagnostics, texts),
        }),
    }
}

/// What is known of the worker's pod as this reader may see it.
pub(crate) fn diagnostics(reader: Reader, worker: &Worker, seen: &Diagnostics) -> Diagnostics {
    match reader {
        Reader::Authenticated => seen.clone(),
        Reader::Anonymous => without_texts(seen, knows_target(reader, worker)),
    }
}

fn withheld(text: &Option<String>) -> Option<String> {
    text.as_ref().map(|_| WITHHELD.to_owned())
}

fn text(texts: bool, text: &Option<String>) -> Option<String> {
    if texts { text.clone() } else { withheld(text) }
}

fn without_texts(diagnostics: &Diagnostics, texts: bool) -> Diagnostics {
    let text = |told: &Option<String>| text(texts, told);
    let mut shown = Diagnostics {
        pod_reason: diagnostics.pod_reason.clone(),
        pod_message: text(&diagnostics.pod_message),
        containers: diagnostics.containers.clone(),
        events: if texts { diagnostics.events.clone() } else { Vec::new() },
        collect_error: text(&diagnostics.collect_error),
    };
    for end in shown.containers.values_mut() {
        // The kubelet's words while it waits; once it has ended, what the job wrote to its termination log.
        end.message = if end.exit_code.is_some() { withheld(&end.message) } else { text(&end.message) };
        end.logs = withheld(&end.logs);
    }
    shown
}
