//! `[telemetry]`: where traces of jobs are sent. A binary that was built without them refuses it.

use secrecy::{ExposeSecret, SecretString};

use super::{
    reader::Section,
    server::HttpUrl,
    setting::{Fault, Read, Setting, wrong_kind},
    tree::{Node, Value},
};

/// Whether this binary can send traces.
const CAN_TRACE: bool = cfg!(feature = "otel");
/// How to get one that can.
const BUILD: &str = "build rrctl with `--features otel`, or remove [telemetry]";

/// Where traces go; `None` where none are wanted.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// The collector.
    pub(crate) collector: Option<Collector>,
}

/// A collector of traces.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "otel", test)),
    expect(dead_code, reason = "only a binary built with tracing support reads them")
)]
pub(crate) struct Collector {
    /// Its base address.
    pub(crate) endpoint: String,
    /// The headers that it expects in each request: `name=value`, several with commas between them.
    pub(crate) headers: Option<SecretString>,
    /// The share of jobs whose traces are sent.
    pub(crate) sample_ratio: f64,
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy)]
struct Share(f64);

impl Setting for Share {
    fn read(node: &Node) -> Read<Self> {
        let found = match &node.value {
            Value::Integer(number) => number.to_string(),
            Value::Other(_, text) => text.trim().to_owned(),
            Value::Untyped(text) => text.trim().to_owned(),
            Value::Text(_) | Value::Boolean(_) | Value::Array(_) | Value::Table(_) => {
                return wrong_kind(node, "a number from 0 to 1");
            }
        };
        match found.parse() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(Self(share)),
            Ok(_) | Err(_) => Err(vec![Fault::new(format!("must be a number from 0 to 1, not {found}"))]),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn kind() -> &'static str {
        "number"
    }
}

impl Telemetry {
    /// Reads `[telemetry]`; `needed` says whether traces would be sent.
    pub(crate) fn read(section: Section<'_>, needed: bool) -> Self {
        let endpoint = section.get("otlp_endpoint").map(|HttpUrl(url)| url);
        let headers = section.secret("otlp_headers", "otlp_headers_file").get();
        let Share(sample_ratio) = section.or("sample_ratio", Share(1.0));
        if let Some(headers) = headers.as_ref().filter(|headers| !are_headers(headers)) {
            // Its length says enough to find the mistake, and its text would say too much.
            let problem =
                format!("must be name=value ({} characters were given)", headers.expose_secret().len());
            let at = if section.has("otlp_headers") { "otlp_headers" } else { "otlp_headers_file" };
            section.error(at, problem, Some("several with commas between them"));
        }
        let keys = ["otlp_endpoint", "otlp_headers", "otlp_headers_file", "sample_ratio"];
        let first = keys.into_iter().find(|key| section.has(key));
        if let Some(key) = first.filter(|_| needed && !CAN_TRACE) {
            section.error(key, "this rrctl was built without OpenTelemetry", Some(BUILD));
        } else if let Some(key) = first.filter(|_| !section.has("otlp_endpoint")) {
            section.warn(key, "nothing is sent without otlp_endpoint", None);
        }
        section.done();
        Self { collector: endpoint.map(|endpoint| Collector { endpoint, headers, sample_ratio }) }
    }
}

/// Whether each part has a name; the sender checks the rest.
fn are_headers(text: &SecretString) -> bool {
    let mut parts = text.expose_secret().split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.all(|part| part.split_once('=').is_some_and(|(name, _)| !name.trim().is_empty()))
}
