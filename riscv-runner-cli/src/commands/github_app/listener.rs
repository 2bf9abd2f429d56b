//! The page on this machine: it carries the manifest to GitHub in the reader's browser, and is where GitHub
//! sends the browser back to. Only the browser that was sent from here can come back.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, html};
use rand::RngExt;
use riscv_runner_github::app_manifest::AppManifest;
use subtle::ConstantTimeEq;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};

use crate::failure::Failure;

/// What the page asks GitHub.
pub(super) struct Question {
    manifest: String,
    confirm_url: String,
    /// Returned by GitHub as it is: proves that the browser was sent from here.
    state: String,
}

impl Question {
    pub(super) fn new(manifest: &AppManifest, confirm_url: &str) -> Result<Self, Failure> {
        let manifest = serde_json::to_string(manifest)
            .map_err(|error| Failure::because("the manifest cannot be written", &error))?;
        let state: u128 = rand::rng().random();
        Ok(Self { manifest, confirm_url: confirm_url.to_owned(), state: format!("{state:032x}") })
    }
}

struct Page {
    question: Question,
    code: mpsc::Sender<String>,
}

/// Serves the page until GitHub sends the browser back with a code.
pub(super) async fn ask(listener: TcpListener, question: Question) -> Result<String, Failure> {
    let (sender, mut codes) = mpsc::channel(1);
    let page = Arc::new(Page { question, code: sender });
    let router = Router::new().route("/", get(form)).route("/created", get(created)).with_state(page);
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(
        axum::serve(listener, router).with_graceful_shutdown(async { drop(stopped.await) }).into_future(),
    );
    let code = codes.recv().await;
    // The browser's page is answered before the server ends.
    let _ = stop.send(());
    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), serving).await;
    code.ok_or_else(|| Failure::failed("the page ended before GitHub created the App"))
}

async fn form(State(page): State<Arc<Page>>) -> Response {
    let Question { manifest, confirm_url, state } = &page.question;
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "A GitHub App for riscv-runner" } }
            body {
                h1 { "A GitHub App for riscv-runner" }
                p { "GitHub shows you what the App asks for; nothing is created until you confirm it there." }
                form action={ (confirm_url) "?state=" (state) } method="post" {
                    input type="hidden" name="manifest" value=(manifest);
                    button type="submit" { "Continue on GitHub" }
                }
                details { summary { "The manifest" } pre { (manifest) } }
            }
        }
    };
    answer(StatusCode::OK, body.into_string())
}

async fn created(State(page): State<Arc<Page>>, Query(query): Query<HashMap<String, String>>) -> Response {
    let given = query.get("state").map_or("", String::as_str);
    let code = query.get("code").filter(|code| is_code(code));
    let same: bool = given.as_bytes().ct_eq(page.question.state.as_bytes()).into();
    let (status, text) = match code {
        Some(code) if same => match page.code.try_send(code.clone()) {
            Ok(()) => {
                (StatusCode::OK, "GitHub created the App. Go back to the terminal; you may close this page.")
            }
            Err(_) => (StatusCode::CONFLICT, "The App has already been created."),
        },
        Some(_) | None => {
            (StatusCode::BAD_REQUEST, "This is not the answer to this page's question. Begin again at /.")
        }
    };
    answer(status, html! { (DOCTYPE) html lang="en" { body { p { (text) } } } }.into_string())
}

/// Codes become part of a path.
fn is_code(code: &str) -> bool {
    (1..=128).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn answer(status: StatusCode, body: String) -> Response {
    let mut response = (status, Html(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}
