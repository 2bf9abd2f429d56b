//! `[telemetry]` put to work: what receives the spans of jobs, and what sends them.

use std::{sync::Arc, time::Duration};

use riscv_runner_core::{ids::ReplicaName, ports::Tracer};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{config::Config, failure::Failure};

/// The longest that a stopping process waits for a collector.
const LONGEST_FLUSH: Duration = Duration::from_secs(3);

/// Traces, where they are wanted.
#[derive(Default)]
pub(crate) struct Telemetry {
    tracer: Option<Arc<dyn Tracer>>,
    courier: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Telemetry {
    /// Begins to send, if a collector is configured.
    #[cfg(feature = "otel")]
    pub(crate) fn start(config: &Config, replica: &ReplicaName) -> Result<Self, Failure> {
        use riscv_runner_otel::{OtlpConfig, otlp};

        use crate::platform::TokioPlatform;

        let Some(collector) = &config.telemetry.collector else { return Ok(Self::default()) };
        let otlp_config = OtlpConfig {
            headers: collector.headers.clone(),
            sample_ratio: collector.sample_ratio,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..OtlpConfig::new(collector.endpoint.as_str(), replica.as_str())
        };
        let (tracer, courier) = otlp(&otlp_config, Arc::new(TokioPlatform)).map_err(|error| {
            Failure::because("traces cannot be sent", &error)
                .hint("fix [telemetry]; docs/telemetry.md explains it")
        })?;
        let (stop, stopping) = watch::channel(false);
        let sending = tokio::spawn(courier.run(stopping));
        tracing::info!(endpoint = collector.endpoint, "traces of jobs are sent to a collector");
        Ok(Self { tracer: Some(Arc::new(tracer)), courier: Some((stop, sending)) })
    }

    /// Nothing can be sent; a configuration that asks for it has been refused.
    #[cfg(not(feature = "otel"))]
    pub(crate) fn start(config: &Config, _: &ReplicaName) -> Result<Self, Failure> {
        match config.telemetry.collector {
            None => Ok(Self::default()),
            Some(_) => Err(Failure::failed("this rrctl was built without OpenTelemetry")),
        }
    }

    /// Receives spans.
    pub(crate) fn tracer(&self) -> Option<Arc<dyn Tracer>> {
        self.tracer.clone()
    }

    /// Sends what waits, for a short while and never beyond `end`.
    pub(crate) async fn flush(self, end: Instant) {
        let Some((stop, mut sending)) = self.courier else { return };
        stop.send_replace(true);
        let left = end.saturating_duration_since(Instant::now()).min(LONGEST_FLUSH);
        if timeout(left, &mut sending).await.is_err() {
            sending.abort();
            tracing::warn!("the collector did not accept the last spans in time; they are lost");
        }
    }
}
