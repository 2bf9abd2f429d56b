//! `[cluster]`: which Kubernetes cluster the boards are in.

use std::{path::PathBuf, time::Duration};

use riscv_runner_k8s::{ClusterOptions, KubeconfigSource};

use super::reader::Section;

/// The cluster, and how patient to be with it.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Where the credentials come from.
    pub(crate) source: KubeconfigSource,
    /// The context of the kubeconfig.
    pub(crate) context: Option<String>,
    /// The namespace of the runner pods.
    pub(crate) namespace: Option<String>,
    /// How patient to be.
    pub(crate) options: ClusterOptions,
}

impl Cluster {
    /// Reads `[cluster]`.
    pub(crate) fn read(section: Section<'_>) -> Self {
        let file: Option<PathBuf> =
            section.get::<String>("kubeconfig").map(|path| section.resolve("kubeconfig", &path));
        let text = section.secret("kubeconfig_text", "kubeconfig_text_file");
        if section.has("kubeconfig") && !text.is_unset() {
            section.error("kubeconfig", "is set beside kubeconfig_text: keep one of them", None);
        }
        if let Some(path) = file.as_ref().filter(|path| !path.exists()) {
            let problem = format!("{} is not there", path.display());
            section.warn("kubeconfig", problem, Some("rrctl serve needs it"));
        }
        if let Some(path) = &file {
            section.warn_if_open("kubeconfig", "", path);
        }
        let source = match (text.get(), file) {
            (Some(text), _) => KubeconfigSource::Text(text),
            (None, Some(path)) => KubeconfigSource::File(path),
            (None, None) => KubeconfigSource::Infer,
        };
        let usual = ClusterOptions::default();
        let options = ClusterOptions {
            call_timeout: section.or::<Duration>("call_timeout", usual.call_timeout),
            stale_after: section.or::<Duration>("stale_after", usual.stale_after),
        };
        let cluster =
            Self { source, context: section.get("context"), namespace: section.get("namespace"), options };
        section.done();
        cluster
    }
}
