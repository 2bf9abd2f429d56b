#![doc = include_str!("../README.md")]

mod attributes;
mod collector;
mod courier;
mod headers;
mod identity;
mod settings;
mod tracer;
mod wire;

use std::sync::Arc;

use riscv_runner_core::ports::Platform;

pub use self::{
    courier::OtlpCourier,
    identity::{root_span_id, trace_id},
    settings::{OtlpConfig, Pace, SetupError},
    tracer::OtlpTracer,
};

/// A tracer, and the courier that sends its spans to the collector while [`OtlpCourier::run`] runs.
///
/// # Errors
/// When the configuration cannot be worked with; nothing is sent yet.
pub fn otlp(
    config: &OtlpConfig,
    platform: Arc<dyn Platform>,
) -> Result<(OtlpTracer, OtlpCourier), SetupError> {
    courier::pair(config, platform)
}
