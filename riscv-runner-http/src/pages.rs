//! The pages and their JSON twins: one reading, two ways to show it.
//!
//! Server-rendered, readable without script, without outside assets. Everything that comes from outside
//! is escaped.

mod boards;
mod chart;
mod check;
mod controls;
mod failure;
mod jobs;
pub(crate) mod lately;
mod layout;
pub(crate) mod listing;
mod overview;
mod paging;
mod pools;
mod queue;
mod reason;
mod representation;
mod setup;
mod text;
mod unrouted;
mod usage;
pub(crate) mod visitor;
mod weekly;
mod why;
mod worker;
mod workers;

use axum::{Router, response::Response, routing::get};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};

use crate::{answer, state::AppState};

const STYLE: &str = include_str!("pages/style.css");
const ICON: &str = include_str!("pages/icon.svg");
const LIVE: &str = include_str!("pages/live.js");

/// The routes of all pages.
pub(crate) fn routes() -> Router<AppState> {
    let mut router = Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(visitor::sign_in))
        .route("/live", get(overview::watch))
        .route("/icon.svg", get(|| asset("image/svg+xml", ICON)))
        .route("/live.js", get(|| asset("text/javascript; charset=utf-8", LIVE)))
        .route("/style.css", get(|| asset("text/css; charset=utf-8", STYLE)));
    for path in ["/usage", "/usage.json"] {
        router = router.route(path, get(usage::show));
    }
    for path in ["/jobs", "/jobs.json", "/history", "/history.json"] {
        router = router.route(path, get(jobs::show));
    }
    for path in ["/workers", "/workers.json"] {
        router = router.route(path, get(workers::show));
    }
    for path in ["/stats/weekly-usage", "/stats/weekly-usage.json"] {
        router = router.route(path, get(weekly::show));
    }
    for path in ["/queue", "/queue.json"] {
        router = router.route(path, get(queue::show));
    }
    for path in ["/controls", "/controls.json"] {
        router = router.route(path, get(controls::show));
    }
    for path in ["/status", "/status.json"] {
        router = router.route(path, get(overview::show));
    }
    for path in ["/pools", "/pools.json"] {
        router = router.route(path, get(pools::show));
    }
    for path in ["/boards", "/boards.json"] {
        router = router.route(path, get(boards::show));
    }
    for path in ["/check", "/check.json"] {
        router = router.route(path, get(check::show));
    }
    for path in ["/setup/org", "/setup/org.json", "/setup/personal", "/setup/personal.json"] {
        router = router.route(path, get(setup::show));
    }
    // A parameter ends at a slash, so it takes `.json` with it.
    router.route("/why/{job_id}", get(why::show)).route("/worker/{name}", get(worker::show))
}

async fn asset(content_type: &'static str, text: &'static str) -> Response {
    let mut response = answer::typed(StatusCode::OK, content_type, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
