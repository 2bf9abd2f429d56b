//! The store on PostgreSQL keeps the contract that the simulated one keeps.

mod common;

use std::panic::AssertUnwindSafe;

use common::store;
use futures::{FutureExt, StreamExt, stream};
use riscv_runner_sim::contract::store::{CHECKS, EVENT_CHECKS};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_postgresql() {
    let broken: Vec<&str> = stream::iter(CHECKS)
        .map(|(name, check)| async move {
            let store = store().await;
            let result = AssertUnwindSafe(check(&store)).catch_unwind().await;
            store.close().await;
            (name, result)
        })
        .buffer_unordered(3)
        .filter_map(|(name, result)| async move { result.is_err().then_some(*name) })
        .collect()
        .await;
    assert!(broken.is_empty(), "broken: {broken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_on_postgresql_is_read_as_the_contract_says() {
    for (name, check) in EVENT_CHECKS {
        let store = store().await;
        let result = AssertUnwindSafe(check(&store)).catch_unwind().await;
        store.close().await;
        assert!(result.is_ok(), "broken: {name}");
    }
}
