//! How the adapter reaches its cluster: a kubeconfig given as text or file, or the pod's own service
//! account. Credentials never appear in an error.

use std::{env, io, path::PathBuf, time::Duration};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use secrecy::{ExposeSecret, SecretString};

use crate::watch::WATCH_SECONDS;

/// Kubernetes sets it in every container; with it the pod's own service account can be used.
const IN_CLUSTER_VARIABLE: &str = "KUBERNETES_SERVICE_HOST";
/// No byte for so long after a request means that the connection is dead: a watch is answered at
/// least once per watch period.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Where the credentials come from.
#[derive(Debug, Clone)]
pub enum KubeconfigSource {
    /// The kubeconfig itself, as `K8S_KUBECONFIG` carries it.
    Text(SecretString),
    /// A kubeconfig file.
    File(PathBuf),
    /// The service account of the pod that we run in.
    InCluster,
    /// The pod's service account if there is one, else `KUBECONFIG`, else `~/.kube/config`.
    Infer,
}

/// A client of one cluster, and the namespace in which the workers live.
#[derive(Clone)]
pub struct Connection {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Connection {
    /// The client, for checks beyond the port (`rrctl doctor`).
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The namespace in which the workers live.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Why no connection could be set up; nothing has been sent yet.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig is not one. The text is not repeated, since it may hold credentials.
    #[error(
        "{origin} is not a valid kubeconfig; it must be the YAML document itself, as `kubectl config view --raw` prints it"
    )]
    Unparsable {
        /// The origin of the kubeconfig.
        origin: String,
    },
    /// The kubeconfig cannot be read.
    #[error("the kubeconfig {} cannot be read", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The kubeconfig does not hold what is needed.
    #[error(
        "{origin} cannot be used: {problem}; `kubectl config get-contexts` lists its contexts, [cluster] context names one"
    )]
    Unusable {
        /// The origin of the kubeconfig.
        origin: String,
        /// What is missing, with its causes.
        problem: Box<KubeconfigError>,
    },
    /// We do not run in a pod, or it has no service account.
    #[error("no service account of a pod to connect with; set [cluster] kubeconfig or K8S_KUBECONFIG")]
    NotInCluster(#[source] InClusterError),
    /// The client cannot be built from it (certificates, keys, proxy).
    #[error("no client for the cluster of {origin}; check its certificates and keys")]
    Client {
        /// The origin of the kubeconfig.
        origin: String,
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Sets up a client; the first request is sent by its user. The namespace is the given one, else the
/// context's, else `default`. Must be called inside a tokio runtime.
///
/// # Errors
/// When the source is unusable; the error says what to fix.
pub async fn connect(
    source: &KubeconfigSource,
    context: Option<&str>,
    namespace: Option<&str>,
) -> Result<Connection, ConnectError> {
    let (origin, mut config) = load(source, context).await?;
    // Nobody retries below a port: the next cycle is the retry.
    config.default_retry = false;
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
    let client = Client::try_from(config)
        .map_err(|source| ConnectError::Client { origin, source: Box::new(source) })?;
    Ok(Connection { client, namespace })
}

async fn load(source: &KubeconfigSource, context: Option<&str>) -> Result<(String, Config), ConnectError> {
    let (origin, kubeconfig) = match source {
        KubeconfigSource::InCluster => return in_cluster(),
        KubeconfigSource::Infer if env::var_os(IN_CLUSTER_VARIABLE).is_some() => return in_cluster(),
        KubeconfigSource::Text(text) => {
            ("the kubeconfig text (K8S_KUBECONFIG)".to_owned(), Kubeconfig::from_yaml(text.expose_secret()))
        }
        KubeconfigSource::File(path) => {
            (format!("the kubeconfig {}", path.display()), Kubeconfig::read_from(path))
        }
        KubeconfigSource::Infer => {
            ("the kubeconfig of KUBECONFIG or ~/.kube/config".to_owned(), Kubeconfig::read())
        }
    };
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let kubeconfig = kubeconfig.map_err(|error| unusable(&origin, error))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| unusable(&origin, error))?;
    Ok((origin, config))
}

fn in_cluster() -> Result<(String, Config), ConnectError> {
    let config = Config::incluster().map_err(ConnectError::NotInCluster)?;
    Ok(("the pod's service account".to_owned(), config))
}

/// A parser's error may quote the document, so it is dropped.
fn unusable(origin: &str, error: KubeconfigError) -> ConnectError {
    let origin = origin.to_owned();
    if let KubeconfigError::ReadConfig(source, path) = error {
        return ConnectError::Unreadable { path, source };
    }
    if matches!(error, KubeconfigError::Parse(_)) {
        return ConnectError::Unparsable { origin };
    }
    ConnectError::Unusable { origin, problem: Box::new(error) }
}
