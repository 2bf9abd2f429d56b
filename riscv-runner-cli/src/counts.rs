//! What the adapters count themselves, for a scrape of the metrics.

use std::sync::Arc;

use riscv_runner_github::GithubForge;
use riscv_runner_http::metrics::Counted;
use riscv_runner_pg::PgStore;

/// The adapters of this process that count.
pub(crate) struct Counts {
    /// Every connection pool.
    pub(crate) stores: Vec<Arc<PgStore>>,
    /// GitHub, where this process queries it.
    pub(crate) forge: Option<Arc<GithubForge>>,
}

impl Counted for Counts {
    fn github_budget_remaining_min(&self) -> Option<u64> {
        self.forge.as_ref()?.budget_remaining_min()
    }

    fn store_statements(&self) -> u64 {
        self.stores.iter().map(|store| store.statements()).sum()
    }
}
