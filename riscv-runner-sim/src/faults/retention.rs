//! Removal of rows, going wrong.

use async_trait::async_trait;
use riscv_runner_core::{
    ports::{PortResult, Remover, RetentionStore, Store},
    retention::{Cutoff, Expiring, Keepsake, Kept},
};

use super::Faulty;

#[async_trait]
impl<T: Store + ?Sized> RetentionStore for Faulty<T> {
    async fn count_expired(&self, kind: Expiring, cutoff: Cutoff) -> PortResult<u64> {
        self.call("count old rows", self.inner.count_expired(kind, cutoff)).await
    }

    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        cutoff: Cutoff,
        limit: u32,
    ) -> PortResult<u64> {
        self.call("remove old rows", self.inner.remove_expired(by, kind, cutoff, limit)).await
    }

    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept> {
        self.call("keep a row", self.inner.keep(row, keep)).await
    }
}
