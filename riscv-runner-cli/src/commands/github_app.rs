//! `rrctl github-app`: creates a GitHub App from a manifest, so that permissions need not be selected by
//! hand. The App's secrets go from GitHub into files and nowhere else.

mod files;
mod listener;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use riscv_runner_core::{entity::EntityKind, ids::Login};
use riscv_runner_github::{
    GithubConfig,
    app_manifest::{AppManifest, ConvertError, NewApp, convert_manifest},
};
use tokio::net::TcpListener;

use crate::{
    args::AppKind,
    config::{self, Config, Need, Origin, Sources},
    failure::Failure,
    platform::TokioPlatform,
    printer::Printer,
    signals::Signals,
};

use self::{files::Destination, listener::Question};

/// `rrctl github-app`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum GithubApp {
    /// Print the App's manifest, with the permissions and events that it needs
    Manifest(Wanted),
    /// Create the App: opens a page on this machine, on which you confirm it with GitHub
    Create(Create),
}

/// What the App should be.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    /// The kind of account that it serves
    #[arg(long, value_enum, value_name = "KIND")]
    kind: AppKind,
    /// Its name, unique on GitHub
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where GitHub reaches this installation: webhooks go to its root
    #[arg(long, value_name = "URL", value_parser = public_url)]
    url: String,
    /// Where users reach the pages, if that is another address; GitHub leads them there after installing
    /// [default: the same as --url]
    #[arg(long, value_name = "URL", value_parser = public_url)]
    pages_url: Option<String>,
}

/// `rrctl github-app create`
#[derive(Debug, Clone, Args)]
pub(crate) struct Create {
    /// What the App should be
    #[command(flatten)]
    wanted: Wanted,
    /// The organization that owns the App [default: your own account]
    #[arg(long, value_name = "LOGIN")]
    owner: Option<Login>,
    /// Where to write its private key and webhook secret
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
    /// Address and port of the page; the browser must be able to open it
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: SocketAddr,
}

fn public_url(text: &str) -> Result<String, String> {
    let text = text.trim().trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.to_owned()),
        Some(_) | None => Err("must be a URL that begins with https://".to_owned()),
    }
}

impl Wanted {
    const fn kind(&self) -> EntityKind {
        match self.kind {
            AppKind::Organization => EntityKind::Organization,
            AppKind::User => EntityKind::User,
        }
    }

    fn manifest(&self) -> AppManifest {
        AppManifest::new(self.kind(), &self.name, &self.url, self.pages_url.as_ref().unwrap_or(&self.url))
    }
}

/// Runs `rrctl github-app`.
pub(crate) async fn run(command: GithubApp, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    match command {
        GithubApp::Manifest(wanted) => printer.json(&wanted.manifest()),
        GithubApp::Create(create) => create_app(&create, sources, printer).await,
    }
}

async fn create_app(create: &Create, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    if !create.listen.ip().is_loopback() {
        let what = format!("--listen {} is not an address of this machine alone", create.listen);
        let hint = Some("use 127.0.0.1:PORT, and `ssh -L PORT:127.0.0.1:PORT` from elsewhere".to_owned());
        return Err(Failure::Usage { what, hint });
    }
    let config = config::load(sources, Need::Nothing).map_err(Failure::Configuration)?;
    let destination = Destination::prepare(&create.out, create.wanted.kind())?;
    let mut github = GithubConfig::new(Vec::new());
    github.api_url = config.github.api_url.clone();
    let signals = Signals::listen()?;
    let listener = TcpListener::bind(create.listen).await.map_err(|error| {
        Failure::because(&format!("cannot listen on {}", create.listen), &error)
            .hint("another process may use the port; set --listen")
    })?;
    let address = listener.local_addr().map_err(|error| Failure::because("no address", &error))?;
    let mut manifest = create.wanted.manifest();
    manifest.redirect_url = Some(format!("http://{address}/created"));
    let question = Question::new(&manifest, &confirm_url(&github.api_url, create.owner.as_ref()))?;
    printer.note(&format!("Open http://{address}/ in a browser, and confirm the App with GitHub."));
    let code = tokio::select! {
        code = listener::ask(listener, question) => code?,
        () = signals.stopped() => return Err(Failure::failed("stopped before GitHub created the App")),
    };
    let app = convert_manifest(&github, Arc::new(TokioPlatform), &code).await.map_err(not_made)?;
    let written = destination.write(&app)?;
    tell(create, &app, &written, &config, printer)
}

/// The page of GitHub on which a manifest is confirmed. The API of GitHub Enterprise Server lives below
/// `/api/v3` of the host that has the pages.
fn confirm_url(api_url: &str, owner: Option<&Login>) -> String {
    let api_url = api_url.trim_end_matches('/');
    let web = if api_url == "https://api.github.com" {
        "https://github.com"
    } else {
        api_url.strip_suffix("/api/v3").unwrap_or(api_url)
    };
    match owner {
        Some(owner) => format!("{web}/organizations/{owner}/settings/apps/new"),
        None => format!("{web}/settings/apps/new"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn not_made(error: ConvertError) -> Failure {
    Failure::because("the App's credentials could not be fetched", &error)
        .hint("the App may exist already: delete it in GitHub's settings, and begin again")
}

/// The webhook secrets of the file, if it has a table that may not be opened twice.
fn listed_secrets(config: &Config) -> Option<Vec<String>> {
    let mut of_table = config::with_paths(&config.shown)
        .into_iter()
        .filter(|(key, _, origin)| {
            key.starts_with("github.")
                && !key.starts_with(config::APPS)
                && matches!(origin, Origin::File { .. })
        })
        .peekable();
    of_table.peek()?;
    let files = of_table.find(|(key, ..)| key == "github.webhook_secrets_files");
    let listed =
        files.and_then(|(_, value, _)| toml::from_str::<toml::Table>(&format!("files = {value}")).ok());
    let listed = listed.and_then(|table| table.get("files").cloned()?.try_into().ok());
    Some(listed.unwrap_or_default())
}

fn tell(
    create: &Create,
    app: &NewApp,
    written: &files::Written,
    config: &Config,
    printer: &Printer,
) -> Result<(), Failure> {
    let kind = match create.wanted.kind {
        AppKind::Organization => "organization",
        AppKind::User => "user",
    };
    printer.note(&format!("GitHub created the App {} ({}).", create.wanted.name, app.id));
    printer.note(&format!("Private key and webhook secret are in {}.", create.out.display()));
    if let Some(secret) = &written.webhook_secret {
        let listed = listed_secrets(config);
        let is_there = listed.is_some();
        let all = listed.unwrap_or_default().into_iter().chain([secret.display().to_string()]);
        let all: Vec<_> = all.map(|file| toml::Value::String(file).to_string()).collect();
        let line = format!("webhook_secrets_files = [{}]\n", all.join(", "));
        if is_there {
            printer.note("Let [github] in rrctl.toml say this:");
            printer.line(&line)?;
        } else {
            printer.note("Add this to rrctl.toml:");
            printer.line(&format!("[github]\n{line}"))?;
        }
    }
    printer.note("Add this at the end of rrctl.toml:");
    let key = toml::Value::String(written.private_key.display().to_string());
    printer.line(&format!(
        "[[github.apps]]\nkind = \"{kind}\"\napp_id = {}\nprivate_key_file = {key}",
        app.id
    ))?;
    printer.note(&format!("Install it at {}/installations/new", app.html_url));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_added_fits_what_the_file_has() {
        let folder = tempfile::TempDir::new().unwrap();
        let listed = |text: &str| {
            let file = folder.path().join("rrctl.toml");
            std::fs::write(&file, text).unwrap();
            let sources = Sources { flag: Some(file), ..Sources::default() };
            listed_secrets(&config::load(&sources, Need::Nothing).unwrap())
        };
        assert_eq!(listed(""), None);
        assert_eq!(listed("[[github.apps]]\nkind = \"user\"\napp_id = 1\n"), None);
        assert_eq!(listed("[github]\nbanned_senders = []\n"), Some(Vec::new()));
        let one = "[github]\nwebhook_secrets_files = [\"a.secret\"]\n[[github.apps]]\nkind = \"user\"\napp_id = 1\n";
        assert_eq!(listed(one), Some(vec!["a.secret".to_owned()]));
    }

    #[test]
    fn the_page_is_on_the_host_of_the_api() {
        let owner = Login::new("acme").unwrap();
        assert_eq!(
            confirm_url("https://api.github.com", Some(&owner)),
            "https://github.com/organizations/acme/settings/apps/new"
        );
        assert_eq!(confirm_url("https://ghe.example/api/v3/", None), "https://ghe.example/settings/apps/new");
    }
}
