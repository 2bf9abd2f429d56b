//! A double of GitHub's REST API over HTTP, for what a control plane of runners uses of it: Apps and
//! tokens, runner groups, registrations, jobs, deliveries, limits. Tests play GitHub's users and its
//! runners through [`GithubDouble`]; it moves nothing by itself.

mod accounts;
mod auth;
mod deliveries;
mod faults;
mod jobs;
mod limits;
mod manifests;
mod paging;
mod payloads;
mod recorded;
mod reply;
mod routes;
mod runners;
mod server;
mod webhook;
mod world;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use riscv_runner_core::entity::EntityKind;
use tokio::{net::TcpListener, task::AbortHandle};

use self::{faults::Faults, world::World};
pub use self::{
    faults::{Effect, Fault},
    jobs::NewJob,
    recorded::Recorded,
    webhook::{Webhook, sign},
    world::{AppSpec, DoubleJob, DoubleRunner},
};

/// A private key for tests alone, as GitHub hands keys out (PKCS#1).
pub const TEST_APP_KEY_PKCS1: &str = include_str!("github/keys/test-app.pkcs1.pem");
/// The same key in PKCS#8.
pub const TEST_APP_KEY_PKCS8: &str = include_str!("github/keys/test-app.pkcs8.pem");
/// Its public half.
pub const TEST_APP_PUBLIC_KEY: &str = include_str!("github/keys/test-app.public.pem");
/// A private key that the double does not know.
pub const STRANGERS_KEY: &str = include_str!("github/keys/stranger.pkcs1.pem");
/// The id of the App for organizations, unless the configuration says otherwise.
pub const ORGANIZATION_APP: i64 = 101;
/// The id of the App for personal accounts, unless the configuration says otherwise.
pub const PERSONAL_APP: i64 = 102;

/// The time, as the double sees it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How the double behaves.
#[derive(Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The path that the API lives under: empty as on github.com, `/api/v3` as on Enterprise Server.
    pub prefix: String,
    /// Its Apps.
    pub apps: Vec<AppSpec>,
    /// The time.
    pub clock: Clock,
    /// How long a token of an installation lives.
    pub token_life: Duration,
    /// How many requests an installation has per hour.
    pub hourly_limit: u64,
    /// The most items on one page, whatever is asked for.
    pub page_limit: usize,
    /// How long every call takes.
    pub latency: Duration,
    /// Where and with which secret webhooks are sent; nothing is sent without it.
    pub webhook: Option<(String, String)>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            prefix: String::new(),
            apps: vec![
                AppSpec::new(ORGANIZATION_APP, EntityKind::Organization, TEST_APP_KEY_PKCS1),
                AppSpec::new(PERSONAL_APP, EntityKind::User, TEST_APP_KEY_PKCS1),
            ],
            clock: Arc::new(real_time),
            token_life: Duration::from_secs(3600),
            hourly_limit: 5000,
            page_limit: 100,
            latency: Duration::ZERO,
            webhook: None,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a server for tests of other processes, at the edge")]
fn real_time() -> Timestamp {
    Timestamp::now()
}

/// What the server's requests share.
struct Shared {
    config: Config,
    root: String,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    latency: Mutex<Duration>,
    requests: Mutex<Vec<Recorded>>,
    violations: Mutex<Vec<String>>,
}

impl Shared {
    fn now(&self) -> Timestamp {
        (self.config.clock)()
    }

    fn violation(&self, text: impl Into<String>) {
        locked(&self.violations).push(text.into());
    }
}

/// Locks, also after a panic of another test thread.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running double; it stops when this is dropped.
pub struct GithubDouble {
    shared: Arc<Shared>,
    server: AbortHandle,
}

impl fmt::Debug for GithubDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GithubDouble({})", self.shared.root)
    }
}

impl Drop for GithubDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl GithubDouble {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be bound, or a key of the configuration cannot be read.
    pub async fn start(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let root = format!("http://{}{}", listener.local_addr()?, config.prefix);
        let world = World::new(&config.apps).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            latency: Mutex::new(config.latency),
            config,
            root,
            world: Mutex::new(world),
            faults: Mutex::default(),
            requests: Mutex::default(),
            violations: Mutex::default(),
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, server })
    }

    /// The root of its API, for `github.api_url`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.root
    }

    /// The requests that it has taken so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        locked(&self.shared.requests).clone()
    }

    /// How many requests of this operation it has taken: `POST /orgs/{org}/actions/runners/generate-jitconfig`.
    #[must_use]
    pub fn count(&self, template: &str) -> usize {
        locked(&self.shared.requests).iter().filter(|request| request.template == template).count()
    }

    /// What clients did that GitHub's documentation forbids; a test asserts that there is nothing.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        locked(&self.shared.violations).clone()
    }

    /// Makes calls fail, or take their time.
    pub fn inject(&self, fault: Fault) {
        locked(&self.shared.faults).add(fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        locked(&self.shared.faults).clear();
    }

    /// Lets every call take this long from now on.
    pub fn set_latency(&self, latency: Duration) {
        *locked(&self.shared.latency) = latency;
    }

    fn world(&self) -> MutexGuard<'_, World> {
        locked(&self.shared.world)
    }
}
