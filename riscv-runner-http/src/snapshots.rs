//! Where pages and metrics get the scheduler's view from.

use async_trait::async_trait;
use riscv_runner_core::{engine::Engine, ports::PortResult, snapshot::Snapshot};

/// Shows what one cycle of the scheduler would see now. The engine is one source; a host that keeps its
/// engine elsewhere brings its own.
#[async_trait]
pub trait SnapshotSource: Send + Sync {
    /// Everything that a cycle may know, with at least the `most` oldest waiting jobs of each key: a long queue
    /// costs a page no more than a short one. The router asks at most about once a second, whatever the number of
    /// readers.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn overview(&self, most: u32) -> PortResult<Snapshot>;
}

#[async_trait]
impl SnapshotSource for Engine {
    async fn overview(&self, most: u32) -> PortResult<Snapshot> {
        Self::overview(self, most).await
    }
}
