//! Where pages and metrics get what the scheduler sees.

use async_trait::async_trait;
use riscv_runner_core::{engine::Engine, ports::PortResult, snapshot::Snapshot};

/// Shows what one cycle of the scheduler would see now. The engine is one; a host that keeps its engine
/// elsewhere brings its own.
#[async_trait]
pub trait SnapshotSource: Send + Sync {
    /// Everything that a cycle may know, with **all** waiting jobs: the pages explain each of them. The
    /// router asks at most about once a second, whatever the number of readers.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn snapshot(&self) -> PortResult<Snapshot>;
}

#[async_trait]
impl SnapshotSource for Engine {
    async fn snapshot(&self) -> PortResult<Snapshot> {
        Self::snapshot(self).await
    }
}
