//! What the scheduler sees: the demand and the workers of the store, with boards and pods as a test
//! needs them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use riscv_runner_core::{
    failure::Diagnostics,
    ids::{EntityId, ImageRef, InstallationId, JobId, Login, NodeName, PoolName, ReplicaName, WorkerName},
    job::JobPhase,
    labels::LabelSet,
    observed::{Observed, Why},
    plan::heads::every_head,
    pod::{Node, Pod, PodPhase},
    ports::{Cas, LeaseStore, PortError, PortErrorKind, PortResult, SchedulingStore},
    scope::{ScopeRef, Target},
    snapshot::Snapshot,
    worker::{KnownJob, Worker, WorkerStatus},
};
use riscv_runner_http::{PodSource, SnapshotSource};
use riscv_runner_sim::{clock::SimClock, store::MemoryStore};

/// The boards, pods and the store beside them.
pub(crate) struct Looking {
    store: Arc<MemoryStore>,
    clock: SimClock,
    nodes: Mutex<BTreeMap<NodeName, Node>>,
    pods: Mutex<BTreeMap<WorkerName, Pod>>,
    told: Mutex<Diagnostics>,
    asked: AtomicU32,
    looks: AtomicU32,
    most_read: AtomicU32,
    blind: AtomicBool,
    broken: AtomicBool,
}

impl Looking {
    pub(crate) fn new(store: Arc<MemoryStore>, clock: SimClock) -> Self {
        Self {
            store,
            clock,
            nodes: Mutex::default(),
            pods: Mutex::default(),
            told: Mutex::default(),
            asked: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            most_read: AtomicU32::new(0),
            blind: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        }
    }

    /// The store that is looked at.
    pub(crate) fn store(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.store)
    }

    /// More boards of a kind: `k1-1`, `k1-2`, …
    pub(crate) fn add_boards(&self, kind: &str, count: u32) {
        for n in 1..=count {
            let node = Node {
                name: NodeName::new(format!("{kind}-{n}")).unwrap(),
                labels: BTreeMap::from([("riseproject.dev/board".to_owned(), kind.to_owned())]),
                ready: true,
                cordoned: false,
                unreachable_since: None,
                slots: 1,
            };
            self.nodes.lock().unwrap().insert(node.name.clone(), node);
        }
    }

    /// Changes a board.
    pub(crate) fn edit(&self, node: &str, edit: impl FnOnce(&mut Node)) {
        edit(self.nodes.lock().unwrap().get_mut(&NodeName::new(node).unwrap()).unwrap());
    }

    /// A live worker of `acme` for its ordinary labels, with a pod on this board.
    pub(crate) async fn worker(&self, name: &str, node: &str, phase: PodPhase, job: Option<i64>) {
        let now = self.clock.now();
        let name = WorkerName::new(name).unwrap();
        let worker = Worker {
            name: name.clone(),
            scope: ScopeRef {
                installation: InstallationId::new(60).unwrap(),
                entity: EntityId::new(500).unwrap(),
                login: Login::new("acme").unwrap(),
                target: Target::Organization,
            },
            labels: LabelSet::new(["ubuntu-24.04-riscv"]).unwrap(),
            pool: PoolName::new("k1").unwrap(),
            image: ImageRef::new("registry.example/runner:1").unwrap(),
            status: WorkerStatus::Running,
            node: Some(NodeName::new(node).unwrap()),
            pod_uid: None,
            runner: None,
            created_at: now,
            running_at: Some(now),
            completed_at: None,
            online_at: None,
            gone_at: None,
            failure: None,
            job: job.map(|id| KnownJob { id: JobId::new(id).unwrap(), phase: JobPhase::Running }),
        };
        let replica = ReplicaName::new("replica-1").unwrap();
        let proof = self.store.acquire_lease(&replica, Duration::from_secs(8), now).await.unwrap().unwrap();
        assert_eq!(self.store.adopt_worker(&proof, &worker).await.unwrap(), Cas::Done);
        let pod = Pod {
            name: name.clone(),
            uid: format!("uid-{name}").parse().unwrap(),
            phase,
            node: worker.node,
            pool: Some(worker.pool),
            created_at: now,
            deleting: false,
            killed: false,
            identity: None,
        };
        self.pods.lock().unwrap().insert(name, pod);
    }

    /// What the cluster says of any pod.
    pub(crate) fn tell(&self, told: Diagnostics) {
        *self.told.lock().unwrap() = told;
    }

    /// How often the cluster was asked about a pod.
    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How often somebody looked.
    pub(crate) fn looks(&self) -> u32 {
        self.looks.load(Ordering::Relaxed)
    }

    /// The cluster does not answer any more.
    pub(crate) fn lose_cluster(&self) {
        self.blind.store(true, Ordering::Relaxed);
    }

    /// How many jobs of one key were read at once, at most.
    pub(crate) fn most_read(&self) -> u32 {
        self.most_read.load(Ordering::Relaxed)
    }

    /// The store does not answer any more.
    pub(crate) fn lose_store(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl PodSource for Looking {
    async fn diagnose(&self, _: &WorkerName) -> Diagnostics {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl SnapshotSource for Looking {
    async fn overview(&self, most: u32) -> PortResult<Snapshot> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if self.broken.load(Ordering::Relaxed) {
            return Err(PortError::new(PortErrorKind::Transient, "read demand", "hush is down"));
        }
        let mut snapshot = Snapshot::empty(self.clock.now());
        snapshot.demand = self.store.demand().await?;
        let mut waiting = self.store.waiting(&every_head(&snapshot, most), &[], &[]).await?;
        for (key, demand) in &mut snapshot.demand {
            demand.waiting = waiting.remove(key).unwrap_or_default();
            let read = u32::try_from(demand.waiting.len()).unwrap();
            self.most_read.fetch_max(read, Ordering::Relaxed);
        }
        snapshot.workers = self.store.live_workers().await?;
        let standing = self.store.standing().await?;
        snapshot.controls = standing.controls;
        snapshot.quarantines = standing.quarantines;
        if self.blind.load(Ordering::Relaxed) {
            snapshot.nodes = Observed::Unknown(Why::Failed);
            snapshot.pods = Observed::Unknown(Why::Failed);
        } else {
            snapshot.nodes = Observed::Present(self.nodes.lock().unwrap().clone());
            snapshot.pods = Observed::Present(self.pods.lock().unwrap().clone());
        }
        Ok(snapshot)
    }
}
