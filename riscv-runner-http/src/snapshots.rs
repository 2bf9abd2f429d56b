//! Where pages and metrics get what the scheduler sees.

use async_trait::async_trait;
use riscv_runner_core::{engine::Engine, ports::PortResult, snapshot::Snapshot};

/// Shows what one cycle of the scheduler would see now. The engine is one; a host that keeps its engine
/// elsewhere brings its own.
#[async_trait]
pub trait SnapshotSource: Send + Sync {
    /// Everything that a cycle may know, with **all** waiting jobs: asked for to explain one that [`overview`]
    /// does not hold. The router asks at most about once a second, whatever the number of readers.
    ///
    /// [`overview`]: Self::overview
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn snapshot(&self) -> PortResult<Snapshot>;

    /// The same with at least the `most` oldest waiting jobs of each key: for all other pages and the metrics,
    /// so that a long queue costs them no more than a short one. Asked for as often.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn overview(&self, most: u32) -> PortResult<Snapshot> {
        let _ = most;
        self.snapshot().await
    }
}

#[async_trait]
impl SnapshotSource for Engine {
    async fn snapshot(&self) -> PortResult<Snapshot> {
        Self::snapshot(self).await
    }

    async fn overview(&self, most: u32) -> PortResult<Snapshot> {
        Self::overview(self, most).await
    }
}
