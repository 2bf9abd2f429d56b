//! The simulated cluster keeps the contract that the real one keeps.

use std::sync::Arc;

use jiff::Timestamp;
use riscv_runner_core::{
    ids::{Epoch, PoolName},
    ports::LeaderProof,
};
use riscv_runner_sim::{
    cluster::Bench,
    contract::cluster::{CHECKS, Subject},
};

#[test]
fn the_simulated_cluster_keeps_the_contract() {
    for (name, check) in CHECKS {
        let bench = Bench::default();
        let subject = Subject {
            cluster: Arc::new(bench.cluster()),
            stage: Arc::new(bench.clone()),
            platform: bench.platform(),
            prefix: "contract-".to_owned(),
            pool: PoolName::new("spacemit-k1").unwrap(),
            proof: LeaderProof::issued_by_lease_store(Epoch::new(1).unwrap(), Timestamp::MAX),
        };
        tracing::debug!(name, "contract");
        bench.run(async move { check(&subject).await });
    }
}
