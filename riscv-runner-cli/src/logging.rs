//! The log: to standard error, as text or as JSON.

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

use crate::{
    config::{LogFormat, Server},
    printer::Printer,
};

/// Begins to log as configured; the configuration has checked the filter.
pub(crate) fn start(server: &Server, printer: &Printer) {
    let filter = EnvFilter::try_new(&server.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE)
        .with_ansi(printer.colors_talk());
    // A second start, as in tests, keeps the first.
    let _ = match server.log_format {
        LogFormat::Human => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
