//! A small language for worlds: jobs, workers, pods, boards and registrations by name, in seconds.

#![allow(dead_code, reason = "each test binary uses its own part of the language")]
#![expect(clippy::unwrap_used, reason = "a test's world that cannot be built fails its test")]
#![expect(unreachable_pub, reason = "shared by several test binaries")]

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use riscv_runner_core::{
    controls::Note,
    ids::{
        EntityId, InstallationId, JobId, Login, NodeName, PoolName, RepoId, RepoName, RunnerId, RunnerName,
        WorkerName,
    },
    job::{JobPhase, Placement},
    labels::LabelSet,
    observed::{Observed, Why},
    plan::{self, Action, Plan, audit::audit},
    pod::{Node, Pod, PodIdentity, PodPhase},
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    runner::{Group, Runner, Sightings},
    scope::{PoolKey, Scope, ScopeRef, Target},
    snapshot::{PendingJob, Snapshot},
    worker::{KnownJob, Worker, WorkerStatus},
};

pub const NOW: i64 = 1_000_000;

pub fn at(ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - ago).unwrap()
}

pub fn labels(text: &str) -> LabelSet {
    LabelSet::new(text.split(',')).unwrap()
}

/// `org` is an organization's number, `user/repo` a personal account's and its repository's.
pub fn scope(text: &str) -> ScopeRef {
    let (entity, repo) = text.split_once('/').map_or((text, None), |(entity, repo)| (entity, Some(repo)));
    let entity: i64 = entity.parse().unwrap();
    let target = repo.map_or(Target::Organization, |repo| Target::Repository {
        id: RepoId::new(repo.parse().unwrap()).unwrap(),
        name: RepoName::new(format!("e{entity}/r{repo}")).unwrap(),
    });
    ScopeRef {
        installation: InstallationId::new(entity * 10).unwrap(),
        entity: EntityId::new(entity).unwrap(),
        login: Login::new(format!("e{entity}")).unwrap(),
        target,
    }
}

pub fn key(scope_text: &str, label_text: &str) -> PoolKey {
    PoolKey { scope: scope(scope_text).scope(), labels: labels(label_text) }
}

pub fn worker_name(text: &str) -> WorkerName {
    WorkerName::new(format!("rr-{text:z<9}")).unwrap()
}

pub fn note() -> Note {
    Note { reason: "maintenance".into(), actor: "op".into(), since: at(60) }
}

/// A world to plan in. The pool of a label set is named like its first label.
#[derive(Debug, Clone)]
pub struct World {
    pub snapshot: Snapshot,
    pub policy: Policy,
}

impl World {
    /// Pools with their numbers of boards: `"a:2 b:1"`.
    pub fn new(pools: &str) -> Self {
        let mut world = Self {
            snapshot: Snapshot::empty(at(0)),
            policy: Policy {
                pools: BTreeMap::new(),
                routes: Vec::new(),
                entities: BTreeMap::new(),
                banned_senders: Default::default(),
                staging_repositories: Default::default(),
                limits: Limits::default(),
                timeouts: Timeouts::default(),
                name_prefix: NamePrefix::new("rr-").unwrap(),
            },
        };
        for pool in pools.split_whitespace() {
            let (name, boards) = pool.split_once(':').unwrap();
            let selector = BTreeMap::from([("board".to_owned(), name.to_owned())]);
            world = world.pool(name, selector);
            for n in 0..boards.parse().unwrap() {
                world = world.node(&format!("{name}{n}"), &[("board", name)]);
            }
        }
        world
    }

    pub fn pool(mut self, name: &str, node_selector: BTreeMap<String, String>) -> Self {
        let pool = PoolPolicy { node_selector, image: "image:1".parse().unwrap(), max_workers: None };
        self.policy.pools.insert(PoolName::new(name).unwrap(), pool);
        self
    }

    pub fn node(mut self, name: &str, node_labels: &[(&str, &str)]) -> Self {
        let node = Node {
            name: NodeName::new(name).unwrap(),
            labels: node_labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ready: true,
            cordoned: false,
            unreachable_since: None,
            slots: 1,
        };
        if let Observed::Present(nodes) = &mut self.snapshot.nodes {
            nodes.insert(node.name.clone(), node);
        }
        self
    }

    pub fn edit_node(mut self, name: &str, edit: impl FnOnce(&mut Node)) -> Self {
        if let Observed::Present(nodes) = &mut self.snapshot.nodes {
            edit(nodes.get_mut(&NodeName::new(name).unwrap()).unwrap());
        }
        self
    }

    /// A waiting job, this many seconds old.
    pub fn job(mut self, id: i64, scope_text: &str, label_text: &str, age: i64) -> Self {
        let label_set = labels(label_text);
        let pool = PoolName::new(label_set.labels()[0].canonical()).unwrap();
        let demand = self.snapshot.demand.entry(key(scope_text, label_text)).or_default();
        demand.pending += 1;
        *demand.pending_by_pool.entry(pool.clone()).or_default() += 1;
        demand.oldest = Some(demand.oldest.unwrap_or(at(age)).min(at(age)));
        let scope_ref = scope(scope_text);
        let job = PendingJob {
            id: JobId::new(id).unwrap(),
            created_at: at(age),
            repo: match &scope_ref.target {
                Target::Organization => RepoName::new(format!("{}/main", scope_ref.login)).unwrap(),
                Target::Repository { name, .. } => name.clone(),
            },
            scope: scope_ref,
            placement: Placement { pool, image: "image:1".parse().unwrap() },
        };
        if demand.front.as_ref().is_none_or(|front| (job.created_at, job.id) < (front.created_at, front.id)) {
            demand.front = Some(Box::new(job.clone()));
        }
        demand.waiting.push(job);
        demand.waiting.sort_by_key(|job| (job.created_at, job.id));
        self
    }

    pub fn running_jobs(mut self, scope_text: &str, label_text: &str, count: u32) -> Self {
        self.snapshot.demand.entry(key(scope_text, label_text)).or_default().running += count;
        self
    }

    /// A live worker without a pod, reserved this many seconds ago.
    pub fn worker(mut self, name: &str, scope_text: &str, label_text: &str, age: i64) -> Self {
        let label_set = labels(label_text);
        let worker = Worker {
            name: worker_name(name),
            scope: scope(scope_text),
            pool: PoolName::new(label_set.labels()[0].canonical()).unwrap(),
            labels: label_set,
            image: "image:1".parse().unwrap(),
            status: WorkerStatus::Pending,
            node: None,
            pod_uid: None,
            runner: Some(RunnerId::new(7).unwrap()),
            created_at: at(age),
            running_at: None,
            completed_at: None,
            online_at: None,
            gone_at: None,
            failure: None,
            job: None,
        };
        self.snapshot.workers.insert(worker.name.clone(), worker);
        self
    }

    pub fn edit_worker(mut self, name: &str, edit: impl FnOnce(&mut Worker)) -> Self {
        edit(self.snapshot.workers.get_mut(&worker_name(name)).unwrap());
        self
    }

    /// The worker is named by a job in this phase.
    pub fn runs(self, name: &str, job: i64, phase: JobPhase) -> Self {
        self.edit_worker(name, |worker| worker.job = Some(KnownJob { id: JobId::new(job).unwrap(), phase }))
    }

    /// The worker's row moves to the ended ones.
    pub fn ended(mut self, name: &str, status: WorkerStatus, ago: i64) -> Self {
        let mut worker = self.snapshot.workers.remove(&worker_name(name)).unwrap();
        worker.status = status;
        worker.completed_at = Some(at(ago));
        self.snapshot.ended.insert(worker.name.clone(), worker);
        self
    }

    pub fn pod(mut self, name: &str, node: Option<&str>, phase: PodPhase, age: i64) -> Self {
        let worker = self
            .snapshot
            .workers
            .get(&worker_name(name))
            .or_else(|| self.snapshot.ended.get(&worker_name(name)));
        let identity = worker.map(|worker| PodIdentity {
            scope: worker.scope.clone(),
            labels: worker.labels.clone(),
            pool: worker.pool.clone(),
            image: worker.image.clone(),
        });
        let pod = Pod {
            name: worker_name(name),
            uid: format!("uid-{name}").parse().unwrap(),
            phase,
            node: node.map(|node| NodeName::new(node).unwrap()),
            pool: worker.map(|worker| worker.pool.clone()),
            created_at: at(age),
            deleting: false,
            killed: false,
            identity,
        };
        if let Observed::Present(pods) = &mut self.snapshot.pods {
            pods.insert(pod.name.clone(), pod);
        }
        self
    }

    /// A worker whose pod runs on the node since `age` seconds.
    pub fn running_worker(
        self,
        name: &str,
        scope_text: &str,
        label_text: &str,
        node: &str,
        age: i64,
    ) -> Self {
        self.worker(name, scope_text, label_text, age)
            .pod(name, Some(node), PodPhase::Running { since: at(age) }, age)
            .edit_worker(name, |worker| {
                worker.status = WorkerStatus::Running;
                worker.running_at = Some(at(age));
                worker.node = Some(NodeName::new(node).unwrap());
            })
    }

    /// GitHub's listing of the scope was read; it has these: `name`, `name!` busy, `name-` offline.
    pub fn listing(mut self, scope_text: &str, runners: &str) -> Self {
        let mut listing = BTreeMap::new();
        for (n, text) in runners.split_whitespace().enumerate() {
            let name = RunnerName::from(&worker_name(text.trim_end_matches(['!', '-'])));
            let runner = Runner {
                id: RunnerId::new(100 + i64::try_from(n).unwrap()).unwrap(),
                name: name.clone(),
                online: !text.ends_with('-') && !text.ends_with("-!"),
                busy: text.ends_with('!'),
                group: Group::Ours,
            };
            listing.insert(name, runner);
        }
        let scope_ref = scope(scope_text);
        self.snapshot.runners.insert(scope_ref.scope(), Observed::Present(listing));
        self.snapshot.scopes.push(scope_ref);
        self
    }

    pub fn listing_failed(mut self, scope_text: &str) -> Self {
        let scope: Scope = scope(scope_text).scope();
        self.snapshot.runners.insert(scope, Observed::Unknown(Why::Failed));
        self
    }

    pub fn sightings(mut self, name: &str, sightings: Sightings) -> Self {
        self.snapshot.sightings.insert(worker_name(name), sightings);
        self
    }

    /// An operator drains the board.
    pub fn drained(mut self, node: &str) -> Self {
        self.snapshot.controls.drained_nodes.insert(NodeName::new(node).unwrap(), note());
        self
    }

    /// GitHub refused the image of every pool as too old, this many seconds ago.
    pub fn image_refused(mut self, ago: i64) -> Self {
        self.snapshot.refused_images.insert("image:1".parse().unwrap(), at(ago));
        self
    }

    pub fn edit(mut self, edit: impl FnOnce(&mut Self)) -> Self {
        edit(&mut self);
        self
    }

    pub fn timeouts(mut self, edit: impl FnOnce(&mut Timeouts)) -> Self {
        edit(&mut self.policy.timeouts);
        self
    }

    pub fn schedule(&self) -> Plan {
        self.audited(plan::schedule(&self.snapshot, &self.policy))
    }

    pub fn reconcile(&self) -> Plan {
        self.audited(plan::reconcile(&self.snapshot, &self.policy))
    }

    fn audited(&self, plan: Plan) -> Plan {
        assert_eq!(audit(&self.snapshot, &self.policy, &plan), []);
        plan
    }

    /// Plans the fast path and compares what comes of it, one line each.
    #[track_caller]
    pub fn schedules(&self, expected: &str) {
        let plan = self.schedule();
        let mut lines: Vec<String> = plan.steps.iter().map(|step| line(&step.action)).collect();
        lines.extend(plan.held.iter().map(|(job, hold)| format!("hold {job} {}", hold.name())));
        compare(&lines, expected);
    }

    /// Plans the reconciling passes and compares what comes of it, one line each.
    #[track_caller]
    pub fn reconciles(&self, expected: &str) {
        let lines: Vec<String> = self.reconcile().steps.iter().map(|step| line(&step.action)).collect();
        compare(&lines, expected);
    }
}

#[track_caller]
fn compare(lines: &[String], expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, expected);
}

fn line(action: &Action) -> String {
    let name = action.worker().as_str().trim_start_matches("rr-").trim_end_matches('z').to_owned();
    match action {
        Action::Provision(new) => {
            let job = new.job.map_or_else(|| "warm".to_owned(), |job| job.to_string());
            format!("provision {} for {job}", new.key())
        }
        Action::End(end) => format!("end {name} {} {}", end.reason, pod_end(&end.pod)),
        Action::NoteBound { node, .. } => format!("note_bound {name} {node}"),
        Action::MarkRunning { .. }
        | Action::MarkCompleted { .. }
        | Action::MarkGone { .. }
        | Action::LiftRefusal { .. }
        | Action::Adopt { .. }
        | Action::KillPod { .. }
        | Action::DeletePod { .. }
        | Action::DeleteSecret { .. }
        | Action::Deregister { .. } => format!("{} {name}", action.name()),
    }
}

fn pod_end(end: &plan::PodEnd) -> &'static str {
    match end {
        plan::PodEnd::Nothing => "nothing",
        plan::PodEnd::Kill { .. } => "kill",
        plan::PodEnd::ForceDelete { .. } => "force_delete",
    }
}

pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
