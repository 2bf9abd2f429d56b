//! The metrics of the process: counted from the engine's events, scraped as OpenMetrics text.
//!
//! Label values come from enums and from the configured pools only, never from jobs, repositories or
//! accounts, so the number of series is bounded whatever the load.

mod exposition;
mod labels;
mod readings;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use riscv_runner_core::{
    delivery::Outcome,
    failure::FailureReason,
    ports::{EngineEvent, LoopName, Observer, PanicPlace, ProvisionStep, Recovery},
    retention::Expiring,
};
use riscv_runner_github::{Answer, GithubObserver};

pub use exposition::Exposition;
use labels::{
    CONTROLS, ControlLabels, CycleLabels, EndpointLabels, JobLabels, KindLabels, LoopLabels, NoticeLabels,
    OutcomeLabels, PlaceLabels, PoolLabels, ReasonLabels, SlotLabels, StepLabels, WebhookLabels,
    WorkerLabels,
};
pub use labels::{RequestOutcome, WebhookEvent};
pub use readings::Readings;

/// From a millisecond to the ten seconds that GitHub waits for an answer.
const REQUEST_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// A cycle without work takes milliseconds; one that provisions a burst takes tens of seconds.
const WORK_SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// From a warm runner's seconds to the day after which GitHub cancels a queued job.
const WAIT_SECONDS: [f64; 13] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 43200.0, 86400.0];

/// How a cycle may end.
const CYCLE_RESULTS: [&str; 2] = ["ok", "failed"];

type Count = Gauge<u64, AtomicU64>;
/// Of a metric that is one series at most: a family, so that it may be absent.
type NoLabels = [(&'static str, &'static str); 0];
type Seconds = Gauge<f64, AtomicU64>;
type Timings<L> = Family<L, Histogram, fn() -> Histogram>;

/// What other parts of the process count themselves; read at every scrape.
pub trait Counted: Send + Sync {
    /// Fewest requests to GitHub that any installation or App has left of its hourly budget; `None` where
    /// none is known.
    fn github_budget_remaining_min(&self) -> Option<u64>;
    /// Statements sent to the store since the process started.
    fn store_statements(&self) -> u64;
}

/// All metrics; observes the engine ([`Observer`]) and the requests to GitHub ([`GithubObserver`]), and is
/// shared with the router.
pub struct Metrics {
    registry: Registry,
    scrape: Mutex<()>,
    webhook_requests: Family<WebhookLabels, Counter>,
    webhook_duration: Histogram,
    deliveries: Family<OutcomeLabels, Counter>,
    worker_failures: Family<ReasonLabels, Counter>,
    cycle_duration: Timings<LoopLabels>,
    cycles: Family<CycleLabels, Counter>,
    leader: Gauge,
    provision_duration: Timings<StepLabels>,
    job_wait: Histogram,
    recoveries: Family<KindLabels, Counter>,
    panics: Family<PlaceLabels, Counter>,
    deliveries_given_up: Counter,
    retention_removed: Family<KindLabels, Counter>,
    store_statements: Counter,
    github_budget: Family<NoLabels, Count>,
    github_requests: Family<EndpointLabels, Counter>,
    notifications: Family<NoticeLabels, Counter>,
    queue_depth: Family<PoolLabels, Count>,
    queue_oldest: Family<PoolLabels, Seconds>,
    queue_oldest_dispatchable: Family<PoolLabels, Seconds>,
    queue_withheld: Family<ReasonLabels, Count>,
    jobs: Family<JobLabels, Count>,
    workers: Family<WorkerLabels, Count>,
    slots: Family<SlotLabels, Count>,
    controls: Family<ControlLabels, Count>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// All metrics at zero; series whose labels are known beforehand exist from the start.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("rrctl"),
            scrape: Mutex::new(()),
            webhook_requests: Family::default(),
            webhook_duration: request_seconds(),
            deliveries: Family::default(),
            worker_failures: Family::default(),
            cycle_duration: Family::new_with_constructor(work_seconds),
            cycles: Family::default(),
            leader: Gauge::default(),
            provision_duration: Family::new_with_constructor(work_seconds),
            job_wait: Histogram::new(WAIT_SECONDS),
            recoveries: Family::default(),
            panics: Family::default(),
            deliveries_given_up: Counter::default(),
            retention_removed: Family::default(),
            store_statements: Counter::default(),
            github_budget: Family::default(),
            github_requests: Family::default(),
            notifications: Family::default(),
            queue_depth: Family::default(),
            queue_oldest: Family::default(),
            queue_oldest_dispatchable: Family::default(),
            queue_withheld: Family::default(),
            jobs: Family::default(),
            workers: Family::default(),
            slots: Family::default(),
            controls: Family::default(),
        };
        metrics.register_counters();
        metrics.register_timings();
        metrics.register_gauges();
        metrics.start_known_series();
        metrics
    }

    fn register_counters(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "webhook_requests",
            "Webhook requests answered, by event and outcome",
            self.webhook_requests.clone(),
        );
        registry.register(
            "deliveries",
            "Deliveries committed to the store, replays included, by outcome",
            self.deliveries.clone(),
        );
        registry.register(
            "worker_failures",
            "Workers that ended without completing, by reason",
            self.worker_failures.clone(),
        );
        registry.register("cycles", "Cycles of the engine's loops, by result", self.cycles.clone());
        registry.register(
            "recoveries",
            "Faults that were repaired automatically, by kind",
            self.recoveries.clone(),
        );
        registry.register("panics", "Panics that were caught; each is a bug, by place", self.panics.clone());
        registry.register(
            "deliveries_given_up",
            "Lost deliveries that are no longer redelivered, because we reject them every time",
            self.deliveries_given_up.clone(),
        );
        registry.register(
            "github_requests",
            "Requests to GitHub's REST API, by operation and status",
            self.github_requests.clone(),
        );
        registry.register(
            "retention_removed",
            "Old rows that retention removed, by kind",
            self.retention_removed.clone(),
        );
        registry.register(
            "store_statements",
            "SQL statements sent to the store, excluding transaction control",
            self.store_statements.clone(),
        );
        registry.register(
            "notifications",
            "Notifications to operators, by notifier and outcome",
            self.notifications.clone(),
        );
    }

    fn register_timings(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "webhook_duration",
            "Time from a webhook's first byte to its answer",
            Unit::Seconds,
            self.webhook_duration.clone(),
        );
        registry.register_with_unit(
            "cycle_duration",
            "How long one cycle of a loop took",
            Unit::Seconds,
            self.cycle_duration.clone(),
        );
        registry.register_with_unit(
            "provision_duration",
            "How long one step of provisioning a worker took",
            Unit::Seconds,
            self.provision_duration.clone(),
        );
        registry.register_with_unit(
            "job_wait",
            "How long jobs were queued before a runner took them",
            Unit::Seconds,
            self.job_wait.clone(),
        );
    }

    fn register_gauges(&mut self) {
        let registry = &mut self.registry;
        registry.register("leader", "1 while this process leads, else 0", self.leader.clone());
        registry.register(
            "github_budget_remaining_min",
            "Fewest requests to GitHub that any installation or App has left this hour; absent while none is known",
            self.github_budget.clone(),
        );
        registry.register("queue_depth", "Jobs waiting for a runner, by pool", self.queue_depth.clone());
        registry.register("jobs", "Jobs waiting for a runner or holding one, by status", self.jobs.clone());
        registry.register("workers", "Live workers, by status and pool", self.workers.clone());
        registry.register(
            "slots",
            "Slots of the boards, by state; a board shared by pools counts in each",
            self.slots.clone(),
        );
        registry.register(
            "controls",
            "Operator orders in force, by action and kind of target",
            self.controls.clone(),
        );
        registry.register(
            "queue_withheld",
            "Waiting jobs that no worker is being provided for, by reason",
            self.queue_withheld.clone(),
        );
        registry.register_with_unit(
            "queue_oldest",
            "How long the oldest waiting job has been waiting, by pool",
            Unit::Seconds,
            self.queue_oldest.clone(),
        );
        registry.register_with_unit(
            "queue_oldest_dispatchable",
            "How long the oldest waiting job not held back by a cap or pause has been waiting, by pool",
            Unit::Seconds,
            self.queue_oldest_dispatchable.clone(),
        );
    }

    /// A rate over a series that begins at 1 misses its first event, so they begin at 0.
    fn start_known_series(&self) {
        for reason in FailureReason::ALL {
            let _ = self.worker_failures.get_or_create(&ReasonLabels { reason: reason.as_str() });
        }
        for name in LoopName::ALL {
            let _ = self.cycle_duration.get_or_create(&LoopLabels { r#loop: name.as_str() });
            for result in CYCLE_RESULTS {
                let _ = self.cycles.get_or_create(&CycleLabels { r#loop: name.as_str(), result });
            }
        }
        for outcome in Outcome::ALL {
            let _ = self.deliveries.get_or_create(&OutcomeLabels { outcome: outcome.as_str() });
        }
        for kind in Recovery::ALL {
            let _ = self.recoveries.get_or_create(&KindLabels { kind: kind.as_str() });
        }
        for control in CONTROLS {
            let _ = self.controls.get_or_create(&control);
        }
        for place in PanicPlace::ALL {
            let _ = self.panics.get_or_create(&PlaceLabels { place: place.as_str() });
        }
        for kind in Expiring::ALL {
            let _ = self.retention_removed.get_or_create(&KindLabels { kind: kind.as_str() });
        }
        for step in ProvisionStep::ALL {
            let _ = self.provision_duration.get_or_create(&StepLabels { step: step.as_str() });
        }
    }

    /// Counts one answered webhook request.
    pub fn webhook(&self, event: WebhookEvent, outcome: RequestOutcome, took: Duration) {
        let labels = WebhookLabels { event: event.as_str(), outcome: outcome.as_str() };
        self.webhook_requests.get_or_create(&labels).inc();
        self.webhook_duration.observe(took.as_secs_f64());
    }

    /// Takes over what other parts of the process count themselves.
    pub(crate) fn take_over(&self, counted: &dyn Counted) {
        self.store_statements.inner().store(counted.store_statements(), Ordering::Relaxed);
        match counted.github_budget_remaining_min() {
            Some(remaining) => {
                self.github_budget.get_or_create(&[]).set(remaining);
            }
            None => self.github_budget.clear(),
        }
    }

    /// The OpenMetrics text of a scrape, with the gauges set from these readings; without readings (the store
    /// cannot be read) the gauges keep their last values.
    ///
    /// # Errors
    /// When the text cannot be formatted.
    pub fn scrape(&self, readings: Option<&Readings>) -> Result<String, fmt::Error> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(readings) = readings {
            self.show(readings);
        }
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }

    /// The same text in one of the formats that scrapers ask for.
    ///
    /// # Errors
    /// When the text cannot be formatted.
    pub fn scrape_as(&self, form: Exposition, readings: Option<&Readings>) -> Result<String, fmt::Error> {
        let text = self.scrape(readings)?;
        Ok(match form {
            Exposition::OpenMetrics => text,
            Exposition::Plain => exposition::plain(&text),
        })
    }

    fn show(&self, readings: &Readings) {
        self.queue_depth.clear();
        for (pool, count) in &readings.queues {
            self.queue_depth.get_or_create(&PoolLabels { pool: pool.clone() }).set(*count);
        }
        for (phase, count) in &readings.jobs {
            self.jobs.get_or_create(&JobLabels { status: phase.as_str() }).set(*count);
        }
        self.workers.clear();
        for ((status, pool), count) in &readings.workers {
            let labels = WorkerLabels { status: status.as_str(), pool: pool.clone() };
            self.workers.get_or_create(&labels).set(*count);
        }
        for ((action, target_kind), count) in &readings.controls {
            self.controls.get_or_create(&ControlLabels { action, target_kind }).set(*count);
        }
        let Some(seen) = &readings.seen else { return };
        for (family, ages) in
            [(&self.queue_oldest, &seen.oldest), (&self.queue_oldest_dispatchable, &seen.oldest_dispatchable)]
        {
            family.clear();
            for (pool, age) in ages {
                family.get_or_create(&PoolLabels { pool: pool.clone() }).set(*age);
            }
        }
        self.queue_withheld.clear();
        for (reason, count) in &seen.withheld {
            self.queue_withheld.get_or_create(&ReasonLabels { reason }).set(*count);
        }
        self.slots.clear();
        for ((pool, state), count) in &seen.slots {
            let labels = SlotLabels { pool: pool.clone(), state: state.as_str() };
            self.slots.get_or_create(&labels).set(*count);
        }
    }
}

impl Observer for Metrics {
    fn observe(&self, event: EngineEvent) {
        match event {
            EngineEvent::Cycle { name, took, ok } => {
                let [good, bad] = CYCLE_RESULTS;
                let result = if ok { good } else { bad };
                self.cycles.get_or_create(&CycleLabels { r#loop: name.as_str(), result }).inc();
                self.cycle_duration
                    .get_or_create(&LoopLabels { r#loop: name.as_str() })
                    .observe(took.as_secs_f64());
            }
            EngineEvent::Provisioned { step, took } => self
                .provision_duration
                .get_or_create(&StepLabels { step: step.as_str() })
                .observe(took.as_secs_f64()),
            EngineEvent::WorkerFailed { reason } => {
                self.worker_failures.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
            }
            EngineEvent::JobStarted { waited } => self.job_wait.observe(waited.as_secs_f64()),
            EngineEvent::Delivered { outcome } => {
                self.deliveries.get_or_create(&OutcomeLabels { outcome: outcome.as_str() }).inc();
            }
            EngineEvent::Recovered { kind } => {
                self.recoveries.get_or_create(&KindLabels { kind: kind.as_str() }).inc();
            }
            EngineEvent::Panicked { place } => {
                self.panics.get_or_create(&PlaceLabels { place: place.as_str() }).inc();
            }
            EngineEvent::DeliveryGivenUp => {
                self.deliveries_given_up.inc();
            }
            EngineEvent::Removed { kind, rows } => {
                self.retention_removed.get_or_create(&KindLabels { kind: kind.as_str() }).inc_by(rows);
            }
            EngineEvent::Leading(leading) => {
                self.leader.set(i64::from(leading));
            }
            EngineEvent::Noticed { notifier, outcome } => {
                let labels = NoticeLabels { notifier, outcome: outcome.as_str() };
                self.notifications.get_or_create(&labels).inc();
            }
        }
    }
}

impl GithubObserver for Metrics {
    fn answered(&self, answer: Answer) {
        let labels = EndpointLabels { endpoint: answer.endpoint.template(), status: answer.status_label() };
        self.github_requests.get_or_create(&labels).inc();
    }
}

fn request_seconds() -> Histogram {
    Histogram::new(REQUEST_SECONDS)
}

fn work_seconds() -> Histogram {
    Histogram::new(WORK_SECONDS)
}
