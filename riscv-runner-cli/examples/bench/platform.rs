//! Time and chance of the operating system, for an engine inside this program.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use riscv_runner_core::ports::Platform;

/// The real platform.
pub(crate) struct RealPlatform;

impl Platform for RealPlatform {
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
