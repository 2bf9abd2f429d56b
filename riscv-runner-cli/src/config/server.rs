//! `[server]`: where to listen, who may read pages, where staging is, and what is logged.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use bytesize::ByteSize;
use riscv_runner_core::ids::RepoName;
use secrecy::SecretString;

use super::{
    environment::Variables,
    problem::Origin,
    reader::Section,
    setting::{Fault, Read, Setting, from_text, quoted, text},
    tree::Node,
};

/// GitHub sends no larger body.
const BODY_LIMIT: ByteSize = ByteSize::mib(25);
/// Each may hold a body in memory; GitHub opens some dozens.
const MAX_CONNECTIONS: u32 = 1024;
/// A page that reloads itself and its parts stay far below.
const PAGES_PER_MINUTE: u32 = 600;
/// The address that containers are reached at.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// Where to listen, and who may read.
#[derive(Debug)]
pub(crate) struct Server {
    /// Address and port of the one listener.
    pub(crate) listen: SocketAddr,
    /// The largest webhook body.
    pub(crate) body_limit: ByteSize,
    /// Connections at a time.
    pub(crate) max_connections: u32,
    /// How many pages one address may request in a minute; 0 is no limit.
    pub(crate) pages_per_minute: u32,
    /// Whether a proxy passes on clients' addresses in `X-Forwarded-For`.
    pub(crate) behind_proxy: bool,
    /// Certificate chain and private key, where TLS is spoken.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// Whether pages may be read without the token.
    pub(crate) public_pages: bool,
    /// The bearer token of readers.
    pub(crate) trace_secret: Option<SecretString>,
    /// The bearer token of programs that give orders.
    pub(crate) admin_secret: Option<SecretString>,
    /// Where deliveries of staging accounts go.
    pub(crate) staging_url: Option<String>,
    /// Repositories whose deliveries go to staging.
    pub(crate) staging_repositories: BTreeSet<RepoName>,
    /// What is logged, as `tracing`'s filter.
    pub(crate) log: String,
    /// How it is written.
    pub(crate) log_format: LogFormat,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// Text, for reading.
    Human,
    /// One JSON object per line.
    Json,
}

impl Setting for LogFormat {
    fn read(node: &Node) -> Read<Self> {
        match text(node, "\"human\" or \"json\"")? {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(vec![Fault::new(format!("must be \"human\" or \"json\", not {other:?}"))]),
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Human => "human",
            Self::Json => "json",
        })
    }
}

/// A filter such as `info` or `info,riscv_runner_core=debug`.
struct LogFilter(String);

impl Setting for LogFilter {
    fn read(node: &Node) -> Read<Self> {
        from_text(node, "a log filter", |text| check_filter(text).map(Self))
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// An address that requests can be sent to.
pub(crate) struct HttpUrl(pub(crate) String);

impl Setting for HttpUrl {
    fn read(node: &Node) -> Read<Self> {
        let text = text(node, "a URL")?.trim();
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let authority = host.and_then(|host| host.split(['/', '?', '#', '\\']).next());
        if authority.is_some_and(|authority| authority.contains('@')) {
            return Err(vec![Fault::new("must not hold a user or a password: URLs are shown")]);
        }
        match host {
            Some(host)
                if !host.is_empty() && !host.starts_with('/') && !text.contains(char::is_whitespace) =>
            {
                Ok(Self(text.to_owned()))
            }
            Some(_) | None => Err(vec![Fault::new("must be a URL that begins with https:// or http://")]),
        }
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
    fn kind() -> &'static str {
        "URL"
    }
}

impl Server {
    /// Reads `[server]`.
    pub(crate) fn read(section: Section<'_>, variables: &Variables) -> Self {
        let trace_secret = section.secret("trace_secret", "trace_secret_file").get();
        let admin_secret = section.secret("admin_secret", "admin_secret_file").get();
        let server = Self {
            listen: section.or("listen", LISTEN),
            body_limit: section.or("body_limit", BODY_LIMIT),
            max_connections: section.or("max_connections", MAX_CONNECTIONS),
            pages_per_minute: section.or("pages_per_minute", PAGES_PER_MINUTE),
            behind_proxy: section.or("behind_proxy", false),
            tls: tls(&section),
            public_pages: section.or("public_pages", true),
            trace_secret,
            admin_secret,
            staging_url: section.get("staging_url").map(|HttpUrl(url)| url),
            staging_repositories: section
                .or::<Vec<RepoName>>("staging_repositories", Vec::new())
                .into_iter()
                .collect(),
            log: log_filter(&section, variables),
            log_format: section.or("log_format", LogFormat::Human),
        };
        if server.body_limit.as_u64() == 0 {
            section.error("body_limit", "must not be zero", None);
        }
        if server.max_connections == 0 {
            section.error("max_connections", "must not be zero", None);
        }
        section.done();
        server
    }
}

/// Both files of TLS, or neither.
fn tls(section: &Section<'_>) -> Option<(PathBuf, PathBuf)> {
    let path = |key: &'static str| section.get::<String>(key).map(|path| section.resolve(key, &path));
    match (path("tls_certificate"), path("tls_private_key_file")) {
        (Some(certificate), Some(key)) => {
            section.warn_if_open("tls_private_key_file", "", &key);
            Some((certificate, key))
        }
        (None, None) => None,
        (Some(_), None) => {
            section.error("tls_private_key_file", "is missing beside tls_certificate", None);
            None
        }
        (None, Some(_)) => {
            section.error("tls_certificate", "is missing beside tls_private_key_file", None);
            None
        }
    }
}

/// `RRCTL_LOG`, then `RRCTL_SERVER__LOG` or the file, then the reference service's `LOGLEVEL`.
fn log_filter(section: &Section<'_>, variables: &Variables) -> String {
    let by_variable = |name: &str| {
        let found = variables.get(name).filter(|text| !text.trim().is_empty())?;
        match check_filter(found) {
            Ok(filter) => {
                section.show("log", quoted(&filter), Origin::Variable(name.into()));
                Some(filter)
            }
            Err(problem) => {
                let origin = Origin::Variable(name.into());
                section.problems().error(&origin, "server.log", problem, None);
                None
            }
        }
    };
    section.mark_used("log");
    if let Some(filter) = by_variable("RRCTL_LOG") {
        return filter;
    }
    if section.has("log") {
        return section.get("log").map_or_else(|| "info".to_owned(), |LogFilter(filter)| filter);
    }
    by_variable("LOGLEVEL").unwrap_or_else(|| section.or("log", LogFilter("info".to_owned())).0)
}

/// What `tracing` knows.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn is_word(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn check_filter(text: &str) -> Result<String, String> {
    let filter = match text.trim().to_lowercase().as_str() {
        // The reference service's names, which `tracing` does not know.
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        "notset" => "trace".to_owned(),
        // `tracing` takes any other word for a part of some program, and would log nothing of ours.
        word if !LEVELS.contains(&word) && is_word(word) && !word.starts_with("riscv_runner") => {
            return Err(format!("is no level; levels are {}", LEVELS.join(", ")));
        }
        filter => filter.to_owned(),
    };
    match tracing_subscriber::EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(error) => Err(format!("is not a log filter such as info or debug: {error}")),
    }
}
