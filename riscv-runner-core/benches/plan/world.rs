//! Large worlds to plan in, built from a handful of numbers; equal numbers, equal world.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{SignedDuration, Timestamp};
use riscv_runner_core::{
    ids::{EntityId, InstallationId, JobId, Login, NodeName, PodUid, PoolName, RepoId, RepoName, WorkerName},
    job::{JobPhase, Placement},
    labels::LabelSet,
    observed::Observed,
    plan::{
        self,
        names::{Chance, worker_name},
    },
    pod::{Node, Pod, PodPhase},
    policy::{Cap, Limits, NamePrefix, Policy, PoolPolicy, Sharing, Timeouts},
    scope::{PoolKey, ScopeRef, Target},
    snapshot::{Demand, PendingJob, Snapshot},
    worker::{KnownJob, Worker, WorkerStatus},
};

const POOLS: usize = 20;
const MOST_KEYS: usize = 10_000;
const KEYS_PER_ACCOUNT: usize = 5;
const NOW: i64 = 1_800_000_000;

/// What stands in the way of the waiting jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Every board is taken.
    NoCapacity,
    /// Every board is taken, and rows that say the same share one text.
    NoCapacityShared,
    /// Fifty boards are free, the oldest job goes first.
    FiftyFree,
    /// Fifty boards are free, the account with the fewest workers goes first.
    FiftyFreeFair,
    /// A thousand boards are free, and every account is at its cap.
    AtCap,
    /// A board is free for one job in ten.
    TenthFree,
    /// There are no workers and no boards: the cost of the jobs alone.
    JobsAlone,
    /// No job waits.
    Nothing,
}

/// One world: how many jobs wait, and for what. There are a tenth as many workers as jobs, and a tenth
/// as many keys, at most 10,000.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) mix: Mix,
    pub(crate) jobs: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mix = match self.mix {
            Mix::NoCapacity => "no capacity",
            Mix::NoCapacityShared => "no capacity, shared texts",
            Mix::FiftyFree => "50 free",
            Mix::FiftyFreeFair => "50 free, fair",
            Mix::AtCap => "at cap",
            Mix::TenthFree => "a tenth free",
            Mix::JobsAlone => "jobs alone",
            Mix::Nothing => "nothing waits",
        };
        write!(f, "{mix}: {}", self.jobs)
    }
}

/// Every mix with every number of jobs.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let mixes = [
        Mix::NoCapacity,
        Mix::NoCapacityShared,
        Mix::FiftyFree,
        Mix::FiftyFreeFair,
        Mix::AtCap,
        Mix::TenthFree,
        Mix::JobsAlone,
        Mix::Nothing,
    ];
    let sizes = [1_000, 10_000, 100_000, 1_000_000];
    mixes.into_iter().flat_map(move |mix| sizes.map(|jobs| Case { mix, jobs }))
}

/// What a planner is given.
pub(crate) struct World {
    pub(crate) snapshot: Snapshot,
    pub(crate) policy: Policy,
}

impl World {
    /// The world of a case. Unless the case says so no two rows share a text, as if each had been read by
    /// itself.
    pub(crate) fn of(case: Case) -> Self {
        let workers = if case.mix == Mix::JobsAlone { 0 } else { case.jobs / 10 };
        let free = match case.mix {
            Mix::NoCapacity | Mix::NoCapacityShared | Mix::JobsAlone | Mix::Nothing => 0,
            Mix::FiftyFree | Mix::FiftyFreeFair => 50,
            Mix::AtCap => 1_000,
            Mix::TenthFree => case.jobs / 10,
        };
        let mut world = Self { snapshot: Snapshot::empty(at(0)), policy: policy(case.mix) };
        let keys = (case.jobs / 10).clamp(1, MOST_KEYS);
        world.boards(workers + free);
        world.workers(workers, keys);
        if case.mix != Mix::Nothing {
            world.jobs(case.jobs, keys);
        }
        if case.mix == Mix::NoCapacityShared {
            world.share_texts();
        }
        world
    }

    /// The same world as it is before any waiting job was read.
    pub(crate) fn counted(case: Case) -> Self {
        let mut world = Self::of(case);
        for demand in world.snapshot.demand.values_mut() {
            demand.waiting = Vec::new();
        }
        world
    }

    /// The same world when as many waiting jobs were read as [`plan::heads`] asks for.
    pub(crate) fn as_read(case: Case) -> Self {
        let mut world = Self::of(case);
        let counted = Self::counted(case);
        let reading = plan::heads(&counted.snapshot, &counted.policy);
        let mut asked: BTreeMap<_, _> = reading
            .heads
            .into_iter()
            .map(|head| (head.key, (head.skip as usize, head.limit as usize)))
            .collect();
        for (key, demand) in &mut world.snapshot.demand {
            let (skip, limit) = asked.remove(key).unwrap_or_default();
            demand.skipped = u32::try_from(skip).unwrap();
            demand.waiting = std::mem::take(&mut demand.waiting).into_iter().skip(skip).take(limit).collect();
        }
        world
    }

    fn boards(&mut self, count: usize) {
        let node = |n: usize| Node {
            name: node_name(n),
            labels: node_labels(n),
            ready: true,
            cordoned: false,
            unreachable_since: None,
            slots: 1,
        };
        let nodes = (0..count).map(node).map(|node| (node.name.clone(), node));
        self.snapshot.nodes = Observed::Present(nodes.collect());
    }

    /// Workers that run a job each, one on each of the first boards.
    fn workers(&mut self, count: usize, keys: usize) {
        let prefix = NamePrefix::new("rise-riscv-runner-").unwrap();
        let mut chance = Chance::new(7);
        let mut pods = BTreeMap::new();
        for n in 0..count {
            let name = worker_name(&prefix, &mut chance).unwrap();
            let key = n % keys;
            let since = at(3_600);
            let pod = Pod {
                name: WorkerName::new(name.as_str()).unwrap(),
                uid: pod_uid(n),
                phase: PodPhase::Running { since },
                node: Some(node_name(n)),
                pool: Some(pool_name(n)),
                created_at: since,
                deleting: false,
                killed: false,
                identity: None,
            };
            pods.insert(pod.name.clone(), pod);
            let worker = Worker {
                name: name.clone(),
                scope: scope(key),
                labels: labels(key),
                pool: pool_name(n),
                image: "registry.example/runner:1".parse().unwrap(),
                status: WorkerStatus::Running,
                node: Some(node_name(n)),
                pod_uid: Some(pod_uid(n)),
                runner: None,
                created_at: since,
                running_at: Some(since),
                completed_at: None,
                online_at: Some(since),
                gone_at: None,
                failure: None,
                job: Some(KnownJob { id: job_id(100_000_000 + n), phase: JobPhase::Running }),
            };
            let demand = self.snapshot.demand.entry(pool_key(key)).or_default();
            demand.running += 1;
            self.snapshot.workers.insert(name, worker);
        }
        self.snapshot.pods = Observed::Present(pods);
    }

    fn jobs(&mut self, count: usize, keys: usize) {
        for key in 0..keys {
            let demand = self.snapshot.demand.entry(pool_key(key)).or_default();
            demand.waiting.reserve_exact(count / keys);
            for n in (key..count).step_by(keys) {
                wait(demand, n, key, count);
            }
        }
    }
}

impl World {
    fn share_texts(&mut self) {
        let (mut pools, mut images, mut labels) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for worker in self.snapshot.workers.values_mut() {
            share(&mut pools, &mut worker.pool);
            share(&mut images, &mut worker.image);
            share(&mut labels, &mut worker.labels);
        }
        for job in self.snapshot.demand.values_mut().flat_map(|demand| &mut demand.waiting) {
            share(&mut pools, &mut job.placement.pool);
            share(&mut images, &mut job.placement.image);
        }
        let mut nodes: BTreeSet<NodeName> =
            self.snapshot.nodes.present().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        if let Observed::Present(pods) = &mut self.snapshot.pods {
            pods.values_mut().filter_map(|pod| pod.node.as_mut()).for_each(|node| share(&mut nodes, node));
        }
    }
}

fn share<T: Ord + Clone>(known: &mut BTreeSet<T>, value: &mut T) {
    match known.get(value) {
        Some(first) => *value = first.clone(),
        None => drop(known.insert(value.clone())),
    }
}

fn wait(demand: &mut Demand, n: usize, key: usize, count: usize) {
    let scope = scope(key);
    let job = PendingJob {
        id: job_id(1 + n),
        created_at: at(i64::try_from(count - n).unwrap()),
        repo: RepoName::new(format!("account-{}/repository-{}", scope.entity, n % 7)).unwrap(),
        scope,
        placement: Placement { pool: pool_name(key), image: "registry.example/runner:1".parse().unwrap() },
    };
    demand.pending += 1;
    *demand.pending_by_pool.entry(job.placement.pool.clone()).or_default() += 1;
    demand.oldest = Some(demand.oldest.unwrap_or(job.created_at).min(job.created_at));
    demand.waiting.push(job);
}

fn policy(mix: Mix) -> Policy {
    let pool = |n: usize| {
        let node_selector = BTreeMap::from([("riseproject.dev/board".to_owned(), format!("board-{n}"))]);
        let image = "registry.example/runner:1".parse().unwrap();
        (pool_name(n), PoolPolicy { node_selector, image, max_workers: None })
    };
    let default_max_workers = if mix == Mix::AtCap { Cap::AtMost(1) } else { Cap::Unlimited };
    let sharing = if mix == Mix::FiftyFreeFair { Sharing::Fair } else { Sharing::Fifo };
    Policy {
        pools: (0..POOLS).map(pool).collect(),
        routes: Vec::new(),
        entities: BTreeMap::new(),
        banned_senders: Default::default(),
        staging_repositories: Default::default(),
        limits: Limits { default_max_workers, sharing, ..Limits::default() },
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("rise-riscv-runner-").unwrap(),
    }
}

fn at(ago: i64) -> Timestamp {
    Timestamp::from_second(NOW).unwrap() - SignedDuration::from_secs(ago)
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap()
}

fn job_id(n: usize) -> JobId {
    JobId::new(number(n)).unwrap()
}

fn pod_uid(n: usize) -> PodUid {
    PodUid::new(format!("6f1e6c1e-0000-4000-8000-{n:012}")).unwrap()
}

fn pool_name(n: usize) -> PoolName {
    PoolName::new(format!("pool-{:02}", n % POOLS)).unwrap()
}

fn node_name(n: usize) -> NodeName {
    NodeName::new(format!("riscv-node-{n:06}.example.org")).unwrap()
}

fn node_labels(n: usize) -> BTreeMap<String, String> {
    let labels = [
        ("beta.kubernetes.io/arch", "riscv64".to_owned()),
        ("kubernetes.io/arch", "riscv64".to_owned()),
        ("kubernetes.io/hostname", node_name(n).to_string()),
        ("kubernetes.io/os", "linux".to_owned()),
        ("riseproject.dev/board", format!("board-{}", n % POOLS)),
    ];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Every other key belongs to an organization, the rest to repositories of people.
fn scope(key: usize) -> ScopeRef {
    let account = 1 + key / KEYS_PER_ACCOUNT;
    let target = if account.is_multiple_of(2) {
        Target::Organization
    } else {
        let name = RepoName::new(format!("account-{account}/repository-{key}")).unwrap();
        Target::Repository { id: RepoId::new(number(1 + key)).unwrap(), name }
    };
    ScopeRef {
        installation: InstallationId::new(number(1_000 + account)).unwrap(),
        entity: EntityId::new(number(account)).unwrap(),
        login: Login::new(format!("account-{account}")).unwrap(),
        target,
    }
}

fn labels(key: usize) -> LabelSet {
    let of_the_account = format!("flavour-{}", key % KEYS_PER_ACCOUNT);
    LabelSet::new(["ubuntu-24.04-riscv", "rva23", &of_the_account]).unwrap()
}

fn pool_key(key: usize) -> PoolKey {
    PoolKey { scope: scope(key).scope(), labels: labels(key) }
}
