//! The names of our objects in the cluster. Operators' dashboards and queries use them, so none is ever
//! changed.

/// The label that all our pods and secrets carry.
pub const APP_LABEL: &str = "app";
/// Its value.
pub const APP_VALUE: &str = "rise-riscv-runner";
pub use riscv_runner_core::pod::BOARD_LABEL;

/// The provider of the machine, on nodes and on pods.
pub const PROVIDER_LABEL: &str = "riseproject.dev/provider";
/// The account that the worker serves, by id.
pub const ENTITY_ID_LABEL: &str = "riseproject.dev/entity_id";
/// The account that the worker serves, by login, as far as a label value can hold it.
pub const ENTITY_NAME_LABEL: &str = "riseproject.dev/entity_name";
/// The pool that the worker belongs to.
pub const POOL_LABEL: &str = "riseproject.dev/pool";
/// Kubernetes' own label for the program that created an object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value on the objects that we create; pods of other programs may carry [`APP_LABEL`] too.
pub const MANAGED_BY_VALUE: &str = "riscv-runner";
/// The annotation with the worker's identity as JSON, from which its row can be written again.
pub const IDENTITY_ANNOTATION: &str = "riseproject.dev/worker";
/// One unit of a board, advertised by the device plugin.
pub const RUNNER_RESOURCE: &str = "riseproject.com/runner";
/// The container in which the job runs.
pub const RUNNER_CONTAINER: &str = "runner";
/// The variable from which the runner takes its JIT configuration.
pub const JIT_VARIABLE: &str = "RUNNER_JITCONFIG";
/// The key of the secret under which the JIT configuration is kept.
pub const JIT_KEY: &str = "jitconfig";
/// The variable that says how many seconds the runner waits for its Docker daemon.
pub(crate) const DOCKER_WAIT_VARIABLE: &str = "RUNNER_WAIT_FOR_DOCKER_IN_SECONDS";
/// The taint that the control plane sets when a kubelet does not answer.
pub(crate) const UNREACHABLE_TAINT: &str = "node.kubernetes.io/unreachable";

/// The label selector of our pods and secrets.
pub(crate) fn ours() -> String {
    format!("{APP_LABEL}={APP_VALUE}")
}

/// The nearest valid label value: at most 63 of `[A-Za-z0-9._-]`, alphanumeric at both ends.
pub(crate) fn label_value(text: &str) -> String {
    let replaced: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(63)
        .collect();
    replaced.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Whether Kubernetes accepts the text as a label's value.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.len() <= 63 && label_value(text) == text
}

/// Whether Kubernetes accepts the text as the key of a label or an annotation.
pub(crate) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let prefix_fits = prefix.is_none_or(|prefix| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'))
    });
    prefix_fits && !name.is_empty() && is_label_value(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_login_becomes_a_label_value() {
        for (login, value) in [
            ("riscv", "riscv"),
            ("dependabot[bot]", "dependabot-bot"),
            ("-dash-", "dash"),
            ("ü", ""),
            (&*"a".repeat(80), &*"a".repeat(63)),
        ] {
            assert_eq!(label_value(login), value);
            assert!(is_label_value(value), "{value}");
        }
    }

    #[test]
    fn keys_are_checked_as_kubernetes_does() {
        for good in ["app", "riseproject.dev/board", "a_b.c"] {
            assert!(is_label_key(good), "{good}");
        }
        for bad in ["", "/x", "x/", "a/b/c", "Upper.example/x", "-x"] {
            assert!(!is_label_key(bad), "{bad}");
        }
    }
}
