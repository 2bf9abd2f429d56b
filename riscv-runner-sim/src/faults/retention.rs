//! Removal of rows, going wrong.

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    ports::{PortResult, Remover, RetentionStore, Store},
    retention::{Expiring, Keepsake, Kept},
};

use super::Faulty;

#[async_trait]
impl<T: Store + ?Sized> RetentionStore for Faulty<T> {
    async fn count_expired(&self, kind: Expiring, before: Timestamp) -> PortResult<u64> {
        self.call("count old rows", self.inner.count_expired(kind, before)).await
    }

    async fn remove_expired(
        &self,
        by: Remover<'_>,
        kind: Expiring,
        before: Timestamp,
        limit: u32,
    ) -> PortResult<u64> {
        self.call("remove old rows", self.inner.remove_expired(by, kind, before, limit)).await
    }

    async fn keep(&self, row: &Keepsake, keep: bool) -> PortResult<Kept> {
        self.call("keep a row", self.inner.keep(row, keep)).await
    }
}
