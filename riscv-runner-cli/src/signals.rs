//! Signals: the first request to stop is graceful, the second ends at once, SIGHUP reloads.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::Failure;

/// What the operator asked of the process.
pub(crate) struct Signals {
    stop: watch::Receiver<bool>,
}

impl Signals {
    /// Begins to listen to SIGTERM and SIGINT.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
        let (sender, stop) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if sender.send_replace(true) {
                    tracing::warn!("asked to stop a second time: ending at once");
                    std::process::exit(1);
                }
                tracing::info!("asked to stop: finishing what is in flight");
            }
        });
        Ok(Self { stop })
    }

    /// Completes once the process is asked to stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.clone();
        async move {
            // The sender lives as long as the process.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }
}

/// A stream of one signal.
pub(crate) fn on(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::because("signals cannot be listened to", &error))
}
