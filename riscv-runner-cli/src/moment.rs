//! One observation of store and cluster, for the commands that show the state, and how durations are written.

use std::{sync::Arc, time::Duration};

use riscv_runner_http::views::Picture;

use crate::{config::Config, failure::Failure, wire};

/// Observes the store and the cluster, and works out what the planner would do.
pub(crate) async fn look(config: &Config) -> Result<Picture, Failure> {
    let snapshot = wire::observer(config).await?.snapshot().await?;
    Ok(Picture::new(snapshot, &Arc::new(config.policy.clone())))
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
