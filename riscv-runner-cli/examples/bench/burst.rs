//! Jobs that arrive together, from the webhook to the request that creates the pod, against doubles of
//! GitHub and Kubernetes over HTTP.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::stream::{self, StreamExt};
use riscv_runner_core::entity::EntityKind;
use riscv_runner_pg::testing::ThrowAwayPostgres;
use riscv_runner_sim::doubles::{
    github::{Config, GithubDouble, NewJob, Webhook},
    kube::{KubeDouble, Kubelet, NodeSpec},
};

use crate::{
    Outcome,
    figures::Sorted,
    http::Connection,
    payload::{APP, LABEL, SECRET},
    server::{Server, Settings},
};

/// How often the cluster is looked at for new pods: the resolution of what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Webhooks in flight at once, as from GitHub in a burst.
const SENDERS: usize = 32;
/// Longer than any burst takes.
const LIMIT: Duration = Duration::from_secs(180);

/// A server with everything around it.
pub(crate) struct Setting {
    pub(crate) github: Arc<GithubDouble>,
    pub(crate) kube: KubeDouble,
    pub(crate) server: Server,
    repositories: Vec<String>,
}

/// What a setting is made of.
pub(crate) struct Scale {
    /// Organizations with an installation each.
    pub(crate) installations: usize,
    /// Boards with one slot each.
    pub(crate) boards: u32,
    /// Workers made at the same time.
    pub(crate) concurrency: u32,
    /// How long each call to GitHub takes.
    pub(crate) github_latency: Duration,
}

/// What became of a burst.
pub(crate) struct Burst {
    /// From the first webhook sent to the last pod.
    pub(crate) took: Duration,
    /// From each webhook's answer to its pod, in the order of both.
    pub(crate) waits: Sorted,
    /// Calls to GitHub, by operation.
    pub(crate) calls: BTreeMap<String, usize>,
}

impl Setting {
    /// Starts the doubles and the server.
    pub(crate) async fn start(postgres: &ThrowAwayPostgres, schema: &str, scale: &Scale) -> Outcome<Self> {
        // Calls are counted, and none of this is about running out of the hour's budget.
        let github = GithubDouble::start(Config { hourly_limit: 1_000_000, ..Config::default() }).await?;
        let mut repositories = Vec::new();
        for n in 0..scale.installations {
            let login = format!("organization-{n}");
            github.add_account(&login, EntityKind::Organization);
            let repository = format!("{login}/project");
            github.add_repo(&repository, false);
            github.install(APP, &login);
            repositories.push(repository);
        }
        let kube = KubeDouble::start().await?;
        let kubelet = Kubelet::connect(&kube.kubeconfig(), "default").await?;
        // One machine with many slots stands for as many boards.
        let node = NodeSpec { slots: Some(scale.boards), ..NodeSpec::board("board", "board") };
        kubelet.set_node(&node).await?;
        github.set_latency(scale.github_latency);
        let limits =
            format!("default_max_workers = \"unlimited\"\nprovision_concurrency = {}", scale.concurrency);
        let server = Server::start(&Settings {
            role: "all",
            store: postgres.url(),
            schema,
            outside: Some((github.url(), &kube.kubeconfig())),
            limits: &limits,
        })
        .await?;
        Ok(Self { github: Arc::new(github), kube, server, repositories })
    }

    /// Queues one job for each installation in turn, so that tokens and runner groups are known.
    pub(crate) async fn warm_up(&self) -> Outcome<()> {
        self.burst(self.repositories.len()).await.map(drop)
    }

    /// Queues so many jobs at once and waits for as many pods.
    pub(crate) async fn burst(&self, jobs: usize) -> Outcome<Burst> {
        let webhooks: Vec<Webhook> =
            (0..jobs).map(|n| self.queue(n)).collect::<Option<_>>().ok_or("no webhook")?;
        let (before, calls) = (self.pods(), self.github.requests().len());
        let begun = Instant::now();
        let sent = async {
            let answers: Vec<Outcome<Instant>> = stream::iter(webhooks)
                .map(|webhook| self.send(webhook))
                .buffer_unordered(SENDERS)
                .collect()
                .await;
            answers.into_iter().collect::<Outcome<Vec<_>>>()
        };
        let (answered, created) = futures::join!(sent, self.created(before, jobs, begun));
        let (mut answered, created) = (answered?, created?);
        answered.sort_unstable();
        // Any runner of an account serves any of its jobs, so the n-th pod is the n-th job's.
        let waits = answered.iter().zip(&created).map(|(from, to)| to.saturating_duration_since(*from));
        let took = created.last().map_or(Duration::ZERO, |last| last.duration_since(begun));
        let mut by_operation = BTreeMap::new();
        for request in self.github.requests().split_off(calls) {
            *by_operation.entry(request.template).or_insert(0) += 1;
        }
        Ok(Burst { took, waits: Sorted::new(waits.collect()), calls: by_operation })
    }

    fn queue(&self, n: usize) -> Option<Webhook> {
        let repository = &self.repositories[n % self.repositories.len()];
        let job = self.github.queue(&NewJob::new(repository, &[LABEL]));
        self.github.webhook(job, "queued")
    }

    async fn send(&self, webhook: Webhook) -> Outcome<Instant> {
        let mut request = String::from("POST / HTTP/1.1\r\nHost: bench\r\n");
        for (name, value) in webhook.headers(SECRET) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{}", webhook.body.len(), webhook.body));
        let (status, _) = Connection::open(self.server.address()).await?.exchange(request.as_bytes()).await?;
        if status == 200 {
            Ok(Instant::now())
        } else {
            Err(format!("a webhook was answered {status}").into())
        }
    }

    /// When each of so many more pods was there.
    async fn created(&self, before: usize, jobs: usize, begun: Instant) -> Outcome<Vec<Instant>> {
        let mut created = Vec::with_capacity(jobs);
        while created.len() < jobs {
            let pods = self.pods() - before;
            created.resize(pods.min(jobs).max(created.len()), Instant::now());
            if begun.elapsed() > LIMIT {
                let log = self.server.log();
                return Err(format!("{} of {jobs} pods after {LIMIT:?}:\n{log}", created.len()).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(created)
    }

    fn pods(&self) -> usize {
        self.kube.names("pods").len()
    }
}
