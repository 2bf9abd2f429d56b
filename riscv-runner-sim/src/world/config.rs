//! What a world is made of: boards, accounts, jobs, faults, and the policy that the engine runs under.

use std::{collections::BTreeMap, time::Duration};

use riscv_runner_core::{
    entity::EntityKind,
    ids::{ImageRef, PoolName},
    labels::LabelSet,
    pod::BOARD_LABEL,
    policy::{Cap, Limits, NamePrefix, Policy, PoolPolicy, Sharing, Timeouts},
    routing::{LabelMatch, Route},
};

use crate::{chance::Stream, faults::FaultProfile};

/// Kinds of boards, with the labels that jobs ask for them by.
const KINDS: [(&str, &[&str]); 3] = [
    ("scaleway-em-rv1", &["ubuntu-24.04-riscv"]),
    ("spacemit-k1", &["ubuntu-24.04-riscv", "spacemit-k1"]),
    ("spacemit-k3", &["ubuntu-24.04-riscv", "rva23"]),
];

/// Boards of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardSpec {
    /// Their kind, which is also their pool's name.
    pub kind: PoolName,
    /// The labels that jobs ask for them by.
    pub labels: LabelSet,
    /// How many.
    pub count: u32,
}

/// An account with its repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountSpec {
    /// Organization or personal account.
    pub kind: EntityKind,
    /// How many repositories.
    pub repositories: u32,
}

/// When jobs arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// All at once, after the first second.
    Burst,
    /// One by one, this far apart on average.
    Poisson {
        /// The mean time between two.
        mean: Duration,
    },
    /// As many at once, after the first second, and from then on a run whenever fewer are not over.
    Level {
        /// How many jobs are not over, about.
        jobs: u32,
    },
}

/// What a world is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldConfig {
    /// Seed of everything random.
    pub seed: u64,
    /// The boards.
    pub boards: Vec<BoardSpec>,
    /// The accounts.
    pub accounts: Vec<AccountSpec>,
    /// How many jobs arrive.
    pub jobs: u32,
    /// When.
    pub arrival: Arrival,
    /// How long a job's work takes, at least and at most.
    pub work: (Duration, Duration),
    /// How many replicas of the engine run.
    pub replicas: u32,
    /// What goes wrong.
    pub profile: FaultProfile,
    /// For how long things go wrong.
    pub faults_for: Duration,
    /// How long an answer of GitHub takes, at least and at most.
    pub github_latency: (Duration, Duration),
    /// How long an answer of the cluster takes, at least and at most.
    pub cluster_latency: (Duration, Duration),
    /// The engine's limits.
    pub limits: Limits,
    /// The engine's periods and deadlines.
    pub timeouts: Timeouts,
}

impl WorldConfig {
    /// A small world for the simulation test: everything about it follows from the seed.
    #[must_use]
    pub fn drawn(seed: u64, profile: FaultProfile) -> Self {
        let mut luck = Stream::new(seed, "world");
        let mut boards = board_kinds();
        boards.truncate(1 + luck.below(KINDS.len()));
        for spec in &mut boards {
            spec.count = number(4 / u32_of(KINDS.len()), 4, &mut luck);
        }
        let accounts = (0..number(1, 4, &mut luck)).map(|_| drawn_account(&mut luck)).collect();
        let arrival = if luck.happens(0.3) {
            Arrival::Burst
        } else {
            Arrival::Poisson { mean: luck.between(Duration::from_secs(2), Duration::from_secs(20)) }
        };
        let sharing = if luck.happens(0.5) { Sharing::Fair } else { Sharing::Fifo };
        let cap = Cap::AtMost(number(2, 12, &mut luck));
        Self {
            seed,
            boards,
            accounts,
            jobs: number(15, 45, &mut luck),
            arrival,
            work: (Duration::from_secs(10), Duration::from_secs(number(30, 300, &mut luck).into())),
            replicas: number(1, 2, &mut luck),
            profile,
            faults_for: Duration::from_secs(1200),
            github_latency: (Duration::from_millis(30), Duration::from_millis(400)),
            cluster_latency: (Duration::from_millis(1), Duration::from_millis(20)),
            limits: Limits { default_max_workers: cap, sharing, provision_concurrency: 16 },
            timeouts: Timeouts { pod_grace: Duration::from_secs(300), ..Timeouts::default() },
        }
    }

    /// The world of `rrctl demo`.
    #[must_use]
    pub fn demo(seed: u64, jobs: u32, boards: u32) -> Self {
        let mut kinds = board_kinds();
        let (each, rest) = (boards / u32_of(kinds.len()), boards % u32_of(kinds.len()));
        for (n, spec) in kinds.iter_mut().enumerate() {
            spec.count = each + u32::from(u32_of(n) < rest);
        }
        kinds.retain(|spec| spec.count > 0);
        let account = |kind, repositories| AccountSpec { kind, repositories };
        Self {
            seed,
            boards: kinds,
            accounts: vec![
                account(EntityKind::Organization, 3),
                account(EntityKind::Organization, 2),
                account(EntityKind::User, 2),
            ],
            jobs,
            arrival: Arrival::Poisson { mean: ARRIVALS },
            work: (Duration::from_secs(20), Duration::from_secs(120)),
            replicas: 1,
            profile: demo_profile(jobs),
            faults_for: ARRIVALS * jobs + Duration::from_secs(600),
            github_latency: (Duration::from_millis(50), Duration::from_millis(300)),
            cluster_latency: (Duration::from_millis(2), Duration::from_millis(20)),
            limits: Limits::default(),
            timeouts: Timeouts { pod_grace: Duration::from_secs(300), ..Timeouts::default() },
        }
    }

    /// The policy that the engine runs under in this world.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let pools = self.boards.iter().map(|spec| {
            let pool = PoolPolicy { node_selector: selector(&spec.kind), image: image(), max_workers: None };
            (spec.kind.clone(), pool)
        });
        let routes = self.boards.iter().map(|spec| Route {
            labels: spec.labels.clone(),
            label_match: LabelMatch::Exact,
            entities: Vec::new(),
            repositories: Vec::new(),
            app: None,
            pool: spec.kind.clone(),
            image: None,
            max_workers: None,
            warm: 0,
        });
        Policy {
            pools: pools.collect(),
            routes: routes.collect(),
            entities: BTreeMap::new(),
            banned_senders: [].into(),
            staging_repositories: [].into(),
            limits: self.limits.clone(),
            timeouts: self.timeouts.clone(),
            name_prefix: NamePrefix::new("rise-riscv-runner-").expect("a prefix of letters and dashes"),
        }
    }
}

/// How long after one job of the demo the next one comes, on average.
const ARRIVALS: Duration = Duration::from_secs(5);

/// The faults of the demo: one runner in the middle of it fails for certain, so that everybody sees how that
/// is mended.
fn demo_profile(jobs: u32) -> FaultProfile {
    let mut profile = FaultProfile::named("demo").unwrap_or_default();
    profile.boards.boot_fails_in = Some(u64::from(jobs / 2 + 1));
    profile
}

fn board_kinds() -> Vec<BoardSpec> {
    let spec = |(kind, labels): (&str, &[&str])| BoardSpec {
        kind: PoolName::new(kind).expect("a kind of letters and digits"),
        labels: LabelSet::new(labels).expect("labels of letters and digits"),
        count: 1,
    };
    KINDS.map(spec).into()
}

/// The node labels that a pool selects by.
pub(crate) fn selector(kind: &PoolName) -> BTreeMap<String, String> {
    [(BOARD_LABEL.to_owned(), kind.as_str().to_owned())].into()
}

fn image() -> ImageRef {
    newer_image(0)
}

/// The image after so many were refused as too old.
pub(super) fn newer_image(n: u32) -> ImageRef {
    let tag = if n == 0 { String::new() } else { format!("-{n}") };
    ImageRef::new(format!("ghcr.example/riscv-runner:24.04{tag}")).expect("an image without white space")
}

fn drawn_account(luck: &mut Stream) -> AccountSpec {
    let kind = if luck.happens(0.6) { EntityKind::Organization } else { EntityKind::User };
    AccountSpec { kind, repositories: number(1, 3, luck) }
}

/// A number between the two, both included.
fn number(from: u32, to: u32, luck: &mut Stream) -> u32 {
    from + u32_of(luck.below((to - from + 1) as usize))
}

fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
