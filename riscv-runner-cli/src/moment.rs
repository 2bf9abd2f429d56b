//! One look at everything, for the commands that show what is going on.

use std::time::Duration;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::JobId,
    plan::{self, Plan},
    policy::Policy,
    ports::{Page, ReportWindow},
    scope::PoolKey,
    snapshot::Snapshot,
    why::{self, Reason},
};

use crate::{
    args::Listing,
    config::{self, Need, Sources},
    failure::Failure,
    platform::TokioPlatform,
    wire,
};

/// What is known, and what the planner would make of it.
pub(crate) struct Moment {
    /// What is known.
    pub(crate) snapshot: Snapshot,
    /// What would be done.
    pub(crate) plan: Plan,
    /// By which configuration.
    pub(crate) policy: Policy,
}

impl Moment {
    /// Since when a waiting job waits for a reason; `None` for a job that does not wait in this key.
    pub(crate) fn since(&self, key: &PoolKey, job: JobId, reason: &Reason) -> Option<Timestamp> {
        let job = self.snapshot.demand.get(key)?.waiting.iter().find(|waiting| waiting.id == job)?;
        Some(why::since(&self.snapshot, &self.policy, key, job, reason))
    }
}

/// Looks at the store and the cluster.
pub(crate) async fn look(sources: &Sources) -> Result<Moment, Failure> {
    let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
    let engine = wire::observer(&config).await?;
    let snapshot = engine.snapshot().await?;
    Ok(at(snapshot, config.policy))
}

/// What the planner would make of a snapshot.
pub(crate) fn at(snapshot: Snapshot, policy: Policy) -> Moment {
    let plan = plan::schedule(&snapshot, &policy);
    Moment { snapshot, plan, policy }
}

/// The rows that a listing asks for.
pub(crate) fn window(listing: Listing) -> (ReportWindow, Page) {
    use riscv_runner_core::ports::Platform;
    let end = TokioPlatform.now();
    let span = Duration::from_secs(u64::from(listing.days) * 24 * 3600);
    let start = end.checked_sub(span).unwrap_or(Timestamp::MIN);
    // Rows of this very moment belong to the listing.
    let end = end.checked_add(Duration::from_secs(1)).unwrap_or(end);
    (ReportWindow { start, end }, Page { page: listing.page, per_page: listing.per_page })
}

/// How long ago, or how long: `42s`, `7m`, `3h 20m`, `2d 4h`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {}m", minutes % 60),
        (days, hours, _) => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7200, "2h 0m"), (90_000, "1d 1h")] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
