//! The stores in memory keep the contract that PostgreSQL keeps: the simulation's, and the one that the core's
//! example `service` brings.

#[path = "../../riscv-runner-core/examples/service/store/mod.rs"]
#[expect(dead_code, reason = "only the example waits for the end of a worker")]
mod own_store;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;
use riscv_runner_core::ports::Platform;
use riscv_runner_sim::{
    clock::SimClock,
    contract::store::{CHECKS, EVENT_CHECKS},
    executor::run_alone,
    store::MemoryStore,
};

/// A platform on which every look at the clock takes a microsecond, as statements of a real store
/// never share a moment.
struct Ticking(SimClock);

impl Platform for Ticking {
    fn now(&self) -> Timestamp {
        self.0.advance_to(self.0.at(Duration::from_micros(1)));
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.0.sleep(duration))
    }

    fn seed(&self) -> u64 {
        0
    }
}

#[test]
fn the_store_in_memory_keeps_the_contract() {
    for (name, check) in CHECKS {
        tracing::debug!(name, "contract");
        let clock = SimClock::default();
        let store = MemoryStore::new(Arc::new(Ticking(clock.clone())));
        run_alone(&clock, async move { check(&store).await });
    }
}

#[test]
fn the_log_in_memory_is_read_as_the_contract_says() {
    for (name, check) in EVENT_CHECKS {
        tracing::debug!(name, "contract");
        let clock = SimClock::default();
        let store = MemoryStore::new(Arc::new(Ticking(clock.clone())));
        run_alone(&clock, async move { check(&store).await });
    }
}

#[test]
fn a_store_of_the_hosts_own_keeps_the_contract() {
    for (name, check) in CHECKS {
        tracing::debug!(name, "contract");
        let clock = SimClock::default();
        let store = own_store::OwnStore::new(Arc::new(Ticking(clock.clone())));
        run_alone(&clock, async move { check(&store).await });
    }
}
