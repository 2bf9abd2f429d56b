//! What the engine needs of its host beside the ports to the outside: time and chance, and what is wished for.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use riscv_runner_core::{
    ids::{ImageRef, PoolName},
    labels::LabelSet,
    policy::{Limits, NamePrefix, Policy, PoolPolicy, Timeouts},
    ports::Platform,
    routing::{LabelMatch, Route},
};

use super::{Outcome, lab::KIND};

/// The host's time and chance.
pub(crate) struct Clock;

impl Platform for Clock {
    #[expect(clippy::disallowed_methods, reason = "the edge of the host")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }

    fn seed(&self) -> u64 {
        // A host takes it from its source of chance; it decides the names of workers.
        7
    }
}

/// One pool, of every machine in the lab, for every job with the label `riscv`.
pub(crate) fn policy() -> Outcome<Policy> {
    let pool = PoolName::new("lab")?;
    let image: ImageRef = "registry.example/runner:24.04".parse()?;
    let machines = PoolPolicy {
        node_selector: BTreeMap::from([(KIND.0.to_owned(), KIND.1.to_owned())]),
        image,
        max_workers: None,
    };
    let route = Route {
        labels: LabelSet::new(["riscv"])?,
        label_match: LabelMatch::Exact,
        entities: Vec::new(),
        repositories: Vec::new(),
        app: None,
        pool: pool.clone(),
        image: None,
        max_workers: None,
        warm: 0,
    };
    Ok(Policy {
        pools: BTreeMap::from([(pool, machines)]),
        routes: vec![route],
        entities: BTreeMap::new(),
        banned_senders: [].into(),
        staging_repositories: [].into(),
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        name_prefix: NamePrefix::new("lab-")?,
    })
}
