//! Waking the scheduler when another process recorded work for it, or an operator gave an order.
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

/// The wake-ups that notifications trigger.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// Woken when there is new work.
    pub work: Wake,
    /// Woken, all of them, when an operator gave an order.
    pub orders: Vec<Wake>,
}

impl Listeners {
    fn wake_all(&self) {
        self.work.wake();
        self.wake_for_orders();
    }

    fn wake_for_orders(&self) {
        for wake in &self.orders {
            wake.wake();
        }
    }
}

/// Wakes at every notification of the schema's channels, and once after every connection, because
/// notifications may have passed before it. Runs until it is dropped.
pub async fn listen(config: PgConfig, listeners: Listeners) {
    let mut wait = FIRST_WAIT;
    loop {
        match listen_once(&config, &listeners, &mut wait).await {
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
async fn listen_once(config: &PgConfig, listeners: &Listeners, wait: &mut Duration) -> Result<(), String> {
    let options = config.connect_options().map_err(|error| error.chain())?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(LONGEST_WAIT)
        .connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await.map_err(|error| error.to_string())?;
    listener.eager_reconnect(false);
    let (work, orders) = (config.schema.channel(), config.schema.orders_channel());
    listener.listen_all([work.as_str(), orders.as_str()]).await.map_err(|error| error.to_string())?;
    *wait = FIRST_WAIT;
    listeners.wake_all();
    while let Some(notification) = listener.try_recv().await.map_err(|error| error.to_string())? {
        if notification.channel() == orders {
            listeners.wake_for_orders();
        } else {
            listeners.work.wake();
        }
    }
    Ok(())
}
