//! A double of the Kubernetes API over HTTP, for what a control plane of runners uses of it: versions,
//! watches, selectors, preconditions, patches, status, logs. It has no scheduler, no kubelet and no
//! controllers; [`Kubelet`] plays them through the same API as everybody else.

mod address;
mod answer;
mod autopilot;
mod faults;
mod kubelet;
mod objects;
mod patch;
mod pods;
mod refusal;
mod rights;
mod selector;
mod server;
mod stage;
#[cfg(test)]
mod tests;
mod watching;

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

pub use autopilot::{Autopilot, Behaviour, Course};
pub use faults::{Fault, FaultKind, Recorded, Verb};
pub use kubelet::{Kubelet, KubeletError, NodeSpec};
pub use rights::Caller;

use objects::World;
use rights::Grants;

/// What the server's requests share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// The latest version; watches wait for it to grow.
    version: watch::Sender<u64>,
    /// Changes when every open watch is to end.
    cut: watch::Sender<Cut>,
    outage: watch::Sender<bool>,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
    denied: Mutex<BTreeSet<(String, String)>>,
    granted: Mutex<Option<Grants>>,
}

/// How open watches end.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// In the middle of the stream.
    Off,
    /// As if their time were over.
    Ended,
}

/// Locks, also after a panic of another test thread.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running double; it stops when this is dropped.
#[derive(Debug)]
pub struct KubeDouble {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

impl KubeDouble {
    /// Starts a server on a free port of the loopback interface, with the namespace `default`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new()),
            version: watch::Sender::new(1),
            cut: watch::Sender::new(Cut::Off),
            outage: watch::Sender::new(false),
            faults: Mutex::default(),
            requests: Mutex::default(),
            violations: Mutex::default(),
            denied: Mutex::default(),
            granted: Mutex::default(),
        });
        let router = server::router(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, shared, server: serving.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig for it, as YAML.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_with(rights::PROGRAM_TOKEN)
    }

    /// A kubeconfig of an operator, who may do everything.
    #[must_use]
    pub fn operator_kubeconfig(&self) -> String {
        self.kubeconfig_with(rights::OPERATOR_TOKEN)
    }

    fn kubeconfig_with(&self, token: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: double\n\
             clusters:\n- name: double\n  cluster:\n    server: {}\n\
             users:\n- name: tester\n  user:\n    token: {token}\n\
             contexts:\n- name: double\n  context:\n    cluster: double\n    user: tester\n    namespace: default\n",
            self.url()
        )
    }

    /// Every request so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.shared.requests).clone()
    }

    /// What clients did that a control plane of runners must not do.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        locked(&self.shared.violations).clone()
    }

    /// Lets requests fail from now on; the first fault that fits a request is used up by it.
    pub fn inject(&self, fault: Fault) {
        locked(&self.shared.faults).push(fault);
    }

    /// Forgets all faults that are left.
    pub fn heal(&self) {
        locked(&self.shared.faults).clear();
    }

    /// Whether the server is down: everything is answered 503, and watches are cut off.
    pub fn outage(&self, down: bool) {
        self.shared.outage.send_replace(down);
        if down {
            self.drop_watches();
        }
    }

    /// Cuts off every open watch in the middle of its stream.
    pub fn drop_watches(&self) {
        self.shared.cut.send_replace(Cut::Off);
    }

    /// Ends every open watch as a server does when its time is over.
    pub fn end_watches(&self) {
        self.shared.cut.send_replace(Cut::Ended);
    }

    /// Forgets the history: a watch from an earlier version is answered 410.
    pub fn compact(&self) {
        locked(&self.shared.world).compact();
    }

    /// Answers access reviews for `verb` on `resource` with "not allowed".
    pub fn deny(&self, verb: &str, resource: &str) {
        locked(&self.shared.denied).insert((verb.to_owned(), resource.to_owned()));
    }

    /// Refuses the program everything but these verbs on these resources; those marked so hold in this
    /// namespace alone. A refusal is a violation too.
    pub fn allow_only<'a>(
        &self,
        namespace: &str,
        rights: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
    ) {
        *locked(&self.shared.granted) = Some(Grants::new(namespace, rights));
    }

    /// The verbs that the program used so far, with their resources.
    #[must_use]
    pub fn used_rights(&self) -> BTreeSet<(&'static str, String)> {
        let requests = locked(&self.shared.requests);
        let ours = requests.iter().filter(|asked| asked.by == Caller::Program);
        ours.map(|asked| (asked.verb.as_str(), asked.resource.clone())).collect()
    }

    /// What the container has written so far.
    pub fn write_log(&self, pod: &str, container: &str, text: impl Into<String>) {
        locked(&self.shared.world).logs.insert((pod.to_owned(), container.to_owned()), text.into());
    }

    /// One stored object, for assertions. Cluster-wide kinds have the namespace "".
    #[must_use]
    pub fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        locked(&self.shared.world).get(resource, namespace, name).map(|object| (*object).clone())
    }

    /// The names of the stored objects of a kind in all namespaces, for assertions.
    #[must_use]
    pub fn names(&self, resource: &str) -> Vec<String> {
        locked(&self.shared.world).names(resource)
    }
}

impl Drop for KubeDouble {
    fn drop(&mut self) {
        self.server.abort();
        self.outage(true);
    }
}
