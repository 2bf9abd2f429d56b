//! Clock and randomness of the operating system: the one place where the clock is read.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use riscv_runner_core::ports::Platform;

/// The real platform.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TokioPlatform;

impl Platform for TokioPlatform {
    #[expect(clippy::disallowed_methods, reason = "this is the edge at which time becomes a value")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn seed(&self) -> u64 {
        rand::random()
    }
}
