//! Reading from a running server instead of the database: `--server` and its token.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::{StatusCode, Url, header::ACCEPT};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    config::{self, Need, Sources},
    failure::Failure,
    visible::one_line,
};

/// The server reads its store within five seconds, or says that it cannot.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where a token may come from.
const NAME_A_TOKEN: &str = "name a file with --token-file, or set TRACE_API_SECRET";

/// Where a command that reads gets its answer from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Remote {
    /// Ask this server (`https://runners.example`) instead of the database
    #[arg(long, value_name = "URL", value_parser = server_url)]
    pub(crate) server: Option<Url>,
    /// The file with the reader's token [default: server.trace_secret, or TRACE_API_SECRET]; without one,
    /// names of private repositories are withheld
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) token_file: Option<PathBuf>,
}

/// A running server, and the token that it knows us by.
pub(crate) struct Server {
    root: Url,
    token: Option<SecretString>,
    client: reqwest::Client,
}

/// A fault as the server reports it.
#[derive(Deserialize)]
struct Told {
    error: String,
    hint: Option<String>,
}

fn server_url(text: &str) -> Result<Url, String> {
    let form = || "must begin with https:// or http://, as in https://runners.example".to_owned();
    let url: Url = text.parse().map_err(|_| form())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(form()) }
}

impl Remote {
    /// The server, if there is one to ask, for answers that need the token.
    pub(crate) fn connect(&self, sources: &Sources) -> Result<Option<Server>, Failure> {
        let server = self.connect_as_anybody(sources)?;
        if server.as_ref().is_some_and(|server| server.token.is_none()) {
            return Err(Failure::usage("the server asks for a token, and there is none").hint(NAME_A_TOKEN));
        }
        Ok(server)
    }

    /// The server, if there is one to ask; without a token it is asked for what anyone may see.
    pub(crate) fn connect_as_anybody(&self, sources: &Sources) -> Result<Option<Server>, Failure> {
        let Some(root) = self.server.clone() else { return Ok(None) };
        let token = self.token(sources)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("rrctl/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Failure::because("no HTTP client can be created", &error))?;
        Ok(Some(Server { root, token, client }))
    }

    fn token(&self, sources: &Sources) -> Result<Option<SecretString>, Failure> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::because(&format!("{} cannot be read", path.display()), &error))?;
            let token = text.trim();
            // A header takes no other characters.
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let what =
                    if token.is_empty() { "is empty" } else { "holds no token: it has more than one word" };
                return Err(Failure::usage(format!("--token-file {}: {what}", path.display())));
            }
            return Ok(Some(SecretString::from(token.to_owned())));
        }
        let config = config::load(sources, Need::Nothing).map_err(Failure::Configuration)?;
        Ok(config.server.trace_secret)
    }
}

impl Server {
    /// Reads a path below the server's root.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let mut address = self.root.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        address.query_pairs_mut().extend_pairs(query);
        let mut request = self.client.get(address).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unreachable(error))?;
        if !status.is_success() {
            return Err(self.refused(status, &body, segments));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::because(&format!("the answer of {} is not understood", self.name()), &error)
                .hint("is it a server of this version?")
        })
    }

    fn refused(&self, status: StatusCode, body: &[u8], segments: &[&str]) -> Failure {
        let name = self.name();
        let told: Option<Told> = serde_json::from_slice(body).ok();
        // A server must not seem to say what rrctl says.
        let (error, theirs) = match told {
            Some(told) => {
                (one_line(&told.error).into_owned(), told.hint.map(|hint| one_line(&hint).into_owned()))
            }
            None => ("nothing that is understood".to_owned(), None),
        };
        let hint = match (status, segments) {
            (StatusCode::UNAUTHORIZED, _) if self.token.is_none() => Some(NAME_A_TOKEN.to_owned()),
            (StatusCode::UNAUTHORIZED, _) => {
                Some("the token is not the one of [server] trace_secret there".to_owned())
            }
            // Pages speak of signing in; what does that here is a token.
            (StatusCode::NOT_FOUND, ["why", ..]) if self.token.is_none() => Some(format!(
                "GitHub's job id, not the run's; for jobs of private repositories {NAME_A_TOKEN}"
            )),
            (StatusCode::NOT_FOUND, ["why", job]) => Some(format!(
                "GitHub's job id, not the run's; `rrctl trace --job-id {}` shows what was delivered about it",
                job.trim_end_matches(".json")
            )),
            (StatusCode::NOT_FOUND, ["trace", ..]) => {
                theirs.or_else(|| Some("traces are served where [server] trace_secret is set".to_owned()))
            }
            _ => theirs,
        };
        let failure = Failure::failed(format!("{name} answers {status}: {error}"));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        Failure::because(&format!("{} cannot be queried", self.name()), &error.without_url())
            .hint("check --server; /health there shows whether it is up")
    }

    /// The address without a password that it may hold.
    fn name(&self) -> String {
        self.root.origin().ascii_serialization()
    }
}
