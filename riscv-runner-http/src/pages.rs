//! The pages and their JSON twins: one reading, two ways to show it.
//!
//! Server-rendered, without script or outside assets. Everything that comes from outside is escaped.

mod boards;
mod concealment;
mod failure;
mod jobs;
pub(crate) mod lately;
mod layout;
mod listing;
mod overview;
mod queue;
mod reason;
mod representation;
mod text;
mod usage;
mod visitor;
mod why;
mod workers;

use axum::{Router, response::Response, routing::get};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};

use crate::{answer, state::AppState};

const STYLE: &str = include_str!("pages/style.css");

/// The routes of all pages.
pub(crate) fn routes() -> Router<AppState> {
    let mut router = Router::new()
        .route("/", get(overview::show))
        .route("/sign-in", get(visitor::sign_in))
        .route("/style.css", get(style));
    for path in ["/usage", "/usage.json"] {
        router = router.route(path, get(usage::show));
    }
    for path in ["/jobs", "/jobs.json", "/history", "/history.json"] {
        router = router.route(path, get(jobs::show));
    }
    for path in ["/workers", "/workers.json"] {
        router = router.route(path, get(workers::show));
    }
    for path in ["/queue", "/queue.json"] {
        router = router.route(path, get(queue::show));
    }
    for path in ["/boards", "/boards.json"] {
        router = router.route(path, get(boards::show));
    }
    // A parameter ends at a slash, so it takes `.json` with it.
    router.route("/why/{job_id}", get(why::show))
}

async fn style() -> Response {
    let mut response = answer::typed(StatusCode::OK, "text/css; charset=utf-8", STYLE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
