//! What in a template the cluster would refuse, or would break our own rules: all of it is found at once when
//! the configuration is read, and never by trial.

use std::collections::BTreeSet;

use crate::{
    names::{
        APP_LABEL, BOARD_LABEL, ENTITY_ID_LABEL, ENTITY_NAME_LABEL, IDENTITY_ANNOTATION, JIT_VARIABLE,
        MANAGED_BY_LABEL, POOL_LABEL, PROVIDER_LABEL, RUNNER_RESOURCE, is_label_key, is_label_value,
    },
    pod_template::{PodTemplate, VolumeSource},
    read_pod::KILL_DEADLINE_SECONDS,
};

/// Labels and annotations that we set ourselves.
const OURS: [&str; 8] = [
    APP_LABEL,
    BOARD_LABEL,
    PROVIDER_LABEL,
    ENTITY_ID_LABEL,
    ENTITY_NAME_LABEL,
    POOL_LABEL,
    MANAGED_BY_LABEL,
    IDENTITY_ANNOTATION,
];

/// Something in a template that the cluster would refuse, found before any pod is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// The key below `[pools.pod]`, e.g. `env.RUNNER_JITCONFIG`.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

impl PodTemplate {
    /// Everything in the template that the cluster would refuse or that would break our own rules.
    #[must_use]
    pub fn problems(&self) -> Vec<TemplateProblem> {
        let mut found = Problems(Vec::new());
        self.check_env(&mut found);
        self.check_quantities(&mut found);
        self.check_volumes(&mut found);
        self.check_labels(&mut found);
        if self.active_deadline_seconds <= KILL_DEADLINE_SECONDS {
            found.add("active_deadline_seconds", "must be at least 2: a deadline of 1 marks a pod as killed");
        }
        if self.termination_grace_seconds.is_some_and(|seconds| seconds < 0) {
            found.add("termination_grace_seconds", "must not be negative");
        }
        if self.mount_service_account_token && self.service_account.is_none() {
            found.add("mount_service_account_token", "needs a service_account");
        }
        found.0
    }

    fn check_env(&self, found: &mut Problems) {
        for name in self.env.keys() {
            if name == JIT_VARIABLE {
                found.add(format!("env.{name}"), "is set from the worker's own secret; remove it");
            } else if name.is_empty() || name.contains('=') || !name.bytes().all(|b| b.is_ascii_graphic()) {
                found.add(format!("env.{name}"), "is not a valid name of an environment variable");
            }
        }
    }

    fn check_quantities(&self, found: &mut Problems) {
        for (table, quantities) in
            [("requests", &self.resources.requests), ("limits", &self.resources.limits)]
        {
            for (name, quantity) in quantities {
                let key = format!("resources.{table}.{name}");
                if name == RUNNER_RESOURCE {
                    found.add(&*key, "is always 1: a job owns its board; remove it");
                }
                if !is_quantity(quantity) {
                    found.add(key, format!("{quantity:?} is not a quantity such as 2, 500m or 8Gi"));
                }
            }
        }
        if let Some(quantity) = self.ephemeral_storage.as_ref().filter(|text| !is_quantity(text)) {
            found.add("ephemeral_storage", format!("{quantity:?} is not a quantity such as 90Gi"));
        }
    }

    fn check_volumes(&self, found: &mut Problems) {
        let (mut names, mut mounts) = (BTreeSet::new(), BTreeSet::new());
        for (n, volume) in self.volumes.iter().enumerate() {
            if !is_dns_label(&volume.name) {
                found.add(format!("volumes[{n}].name"), "must be lower-case letters, digits and '-'");
            }
            if !names.insert(&volume.name) {
                found.add(format!("volumes[{n}].name"), format!("{:?} is used twice", volume.name));
            }
            if !volume.mount.starts_with('/') {
                found.add(format!("volumes[{n}].mount"), "must be an absolute path");
            }
            if !mounts.insert(&volume.mount) {
                found.add(format!("volumes[{n}].mount"), format!("{:?} is used twice", volume.mount));
            }
            let size = match &volume.source {
                VolumeSource::EmptyDir(dir) => dir.size_limit.as_ref(),
                VolumeSource::HostPath(_) | VolumeSource::ConfigMap(_) | VolumeSource::Claim(_) => None,
            };
            if let Some(size) = size.filter(|size| !is_quantity(size)) {
                let problem = format!("{size:?} is not a quantity such as 10Gi");
                found.add(format!("volumes[{n}].empty_dir.size_limit"), problem);
            }
        }
    }

    fn check_labels(&self, found: &mut Problems) {
        for (table, pairs) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            for (name, value) in pairs {
                let key = format!("{table}.{name}");
                if OURS.contains(&&**name) {
                    found.add(&*key, "is set by riscv-runner itself; remove it");
                }
                if !is_label_key(name) {
                    found
                        .add(&*key, "is not a valid key: [prefix/]name of letters, digits, '-', '_' and '.'");
                }
                if table == "labels" && !is_label_value(value) {
                    found.add(key, format!("{value:?} is not a valid label value"));
                }
            }
        }
    }
}

struct Problems(Vec<TemplateProblem>);

impl Problems {
    fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(TemplateProblem { key: key.into(), problem: problem.into() });
    }
}

fn is_dns_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A number with an optional suffix of the SI, its binary kin, or an exponent.
fn is_quantity(text: &str) -> bool {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, suffix) = text.split_at(digits);
    let exponent = |rest: &str| {
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())
    };
    number.parse::<f64>().is_ok()
        && match suffix {
            "" | "n" | "u" | "m" | "k" | "M" | "G" | "T" | "P" | "E" | "Ki" | "Mi" | "Gi" | "Ti" | "Pi"
            | "Ei" => true,
            other => other.strip_prefix(['e', 'E']).is_some_and(exponent),
        }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pod_template::{EmptyDir, Resources, Volume};

    fn keys(template: &PodTemplate) -> Vec<String> {
        template.problems().into_iter().map(|problem| problem.key).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_default_template_has_no_problem() {
        assert_eq!(PodTemplate::default().problems(), []);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let template = PodTemplate {
            env: pairs(&[("RUNNER_JITCONFIG", "x"), ("A=B", "x"), ("FINE", "x")]),
            resources: Resources {
                requests: pairs(&[("cpu", "two")]),
                limits: pairs(&[("riseproject.com/runner", "2"), ("memory", "8Gi")]),
            },
            ephemeral_storage: Some("ninety".into()),
            active_deadline_seconds: 1,
            termination_grace_seconds: Some(-1),
            mount_service_account_token: true,
            labels: pairs(&[("app", "mine"), ("team", "not a value")]),
            annotations: pairs(&[("bad/key/s", "anything goes")]),
            ..PodTemplate::default()
        };
        assert_eq!(
            keys(&template),
            [
                "env.A=B",
                "env.RUNNER_JITCONFIG",
                "resources.requests.cpu",
                "resources.limits.riseproject.com/runner",
                "ephemeral_storage",
                "labels.app",
                "labels.team",
                "annotations.bad/key/s",
                "active_deadline_seconds",
                "termination_grace_seconds",
                "mount_service_account_token",
            ]
        );
    }

    #[test]
    fn volumes_must_not_collide() {
        let volume = |name: &str, mount: &str, size: Option<&str>| Volume {
            name: name.to_owned(),
            mount: mount.to_owned(),
            read_only: false,
            source: VolumeSource::EmptyDir(EmptyDir {
                size_limit: size.map(str::to_owned),
                ..EmptyDir::default()
            }),
        };
        let template = PodTemplate {
            volumes: vec![
                volume("cache", "/cache", Some("10Gi")),
                volume("cache", "/cache", Some("ten")),
                volume("Not a name", "relative", None),
            ],
            ..PodTemplate::default()
        };
        assert_eq!(
            keys(&template),
            [
                "volumes[1].name",
                "volumes[1].mount",
                "volumes[1].empty_dir.size_limit",
                "volumes[2].name",
                "volumes[2].mount",
            ]
        );
    }

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for good in ["1", "0.5", "500m", "90Gi", "1e3", "2E-3", "4k"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "Gi", "1.2.3", "90GB", "-", "1e", "1 Gi"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }
}
