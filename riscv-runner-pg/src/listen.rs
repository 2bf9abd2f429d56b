//! Waking the scheduler when another process recorded work for it.
//!
//! A notification only wakes; one that was missed costs no more than the time to the next tick.

use std::time::Duration;

use riscv_runner_core::engine::wake::Wake;
use sqlx::postgres::{PgListener, PgPoolOptions};

use crate::config::PgConfig;

/// The wait after the first failure to connect; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait: a tick comes about as often.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Wakes at every notification of the schema's channel, and once after every connection, for
/// notifications may have passed before it. Runs until it is dropped.
pub async fn listen(config: PgConfig, wake: Wake) {
    let mut wait = FIRST_WAIT;
    loop {
        match listen_once(&config, &wake, &mut wait).await {
            Ok(()) => {
                tracing::info!(channel = config.schema.channel(), "the connection that listens was lost");
            }
            Err(error) => {
                tracing::warn!(
                    channel = config.schema.channel(),
                    error,
                    "cannot listen for work; trying again"
                );
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Listens until the connection is lost.
async fn listen_once(config: &PgConfig, wake: &Wake, wait: &mut Duration) -> Result<(), String> {
    let options = config.connect_options().map_err(|error| error.chain())?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(LONGEST_WAIT)
        .connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await.map_err(|error| error.to_string())?;
    listener.eager_reconnect(false);
    listener.listen(&config.schema.channel()).await.map_err(|error| error.to_string())?;
    *wait = FIRST_WAIT;
    wake.wake();
    while listener.try_recv().await.map_err(|error| error.to_string())?.is_some() {
        wake.wake();
    }
    Ok(())
}
