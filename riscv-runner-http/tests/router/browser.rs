//! The pages in a real browser: they load without an error, change while one looks at them, keep what is
//! hostile as text, and can be read and used by everybody.

use std::{net::SocketAddr, time::Duration};

use http::StatusCode;
use riscv_runner_core::{
    controls::{Controls, Note},
    ids::{NodeName, PoolName},
    pod::PodPhase,
    scope::Target,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    devtools::Browser,
    pages::{failed_worker, pod_failure},
    payloads::Job,
    serving::{Serving, Stores},
};

/// It would show itself as an image, as a title, or by stopping the page.
const HOSTILE: &str = "</script><img src=x onerror=\"document.title='taken'\">\u{202e}&amp;";

/// A router on a port of its own.
struct Site {
    serving: Serving,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Site {
    async fn new(watchers: usize) -> Self {
        let serving = Serving::made(
            riscv_runner_http::Role::All,
            riscv_runner_http::IntakeLimits::default(),
            |builder, looking| builder.snapshots(looking).live(watchers, Duration::from_millis(100)),
            |store| Stores { deliveries: store.clone(), reports: store.clone(), lease: store },
        );
        serving.looking.add_boards("k1", 3);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = serving.router.clone();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { serving, address, server }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn deliver(&self, job: Job, guid: &str) {
        assert_eq!(self.serving.send(job.request(guid)).await.status, StatusCode::OK);
    }

    /// Something on every page, all of it hostile.
    async fn fill(&self) {
        let serving = &self.serving;
        for id in 1..=4 {
            self.deliver(Job { id, name: HOSTILE, ..Job::default() }, &format!("q{id}")).await;
        }
        let running = Job { action: "in_progress", runner: Some("rr-abc"), name: HOSTILE, ..Job::default() };
        self.deliver(Job { id: 1, ..running }, "r1").await;
        let ended = Job { action: "completed", runner: Some("rr-gone"), name: HOSTILE, ..Job::default() };
        self.deliver(Job { id: 2, ..ended }, "e2").await;
        self.deliver(Job { id: 5, labels: vec![HOSTILE, "ubunut-24.04-riscv"], ..Job::default() }, "q5")
            .await;
        let since = serving.clock.now();
        serving.looking.worker("rr-abc", "k1-1", PodPhase::Running { since }, Some(1)).await;
        let reason = Some(HOSTILE.to_owned());
        serving.looking.worker("rr-boots", "k1-2", PodPhase::Pending { reason }, None).await;
        failed_worker(serving, "rr-failed", Target::Organization, pod_failure(HOSTILE)).await;
        let note = Note { reason: HOSTILE.into(), actor: HOSTILE.into(), since };
        let controls = Controls {
            drained_nodes: [(NodeName::new("k1-3").unwrap(), note.clone())].into(),
            drained_pools: [(PoolName::new("k1").unwrap(), note)].into(),
            ..Controls::default()
        };
        serving.store.set_controls(controls.clone());
        serving.controls.send_replace(std::sync::Arc::new(controls));
        serving.clock.advance_to(since + Duration::from_secs(90 * 60));
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

const PAGES: [&str; 12] = [
    "/",
    "/queue",
    "/boards",
    "/jobs",
    "/workers",
    "/usage",
    "/controls",
    "/stats/weekly-usage",
    "/why/1",
    "/why/3",
    "/worker/rr-failed",
    "/worker/rr-abc",
];

/// Texts whose contrast with what is behind them is below what WCAG 2.2 AA asks for.
const FAINT: &str = r#"(() => {
  const channel = (value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = colour(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (!text.length || ["SCRIPT", "NOSCRIPT", "TITLE", "DESC"].includes(element.tagName.toUpperCase())) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(colour(ink)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text[0].data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return faint;
})()"#;

/// What somebody misses who reads with a screen reader.
const UNSAID: &str = r#"(() => {
  const missing = [];
  const must = (holds, what) => holds || missing.push(what);
  must(document.documentElement.lang === "en", "a language");
  must(document.title.length > 5, "a title");
  for (const one of ["main", "header", "nav[aria-label]", "h1"]) {
    must(document.querySelectorAll(one).length === 1 || (one.startsWith("nav") && document.querySelector(one)), one);
  }
  must(document.querySelector("nav a[aria-current=page]") || !/^.(queue|boards|jobs|workers|usage)?$/.test(location.pathname), "where we are");
  let last = 1;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const level = Number(heading.tagName[1]);
    must(level <= last + 1, `a heading before ${heading.textContent}`);
    last = level;
  }
  for (const table of document.querySelectorAll("table")) {
    must(table.caption?.textContent.trim(), "a caption");
    must([...table.querySelectorAll("th")].every((cell) => cell.scope), "a scope");
    must(table.closest("[role=region][aria-label][tabindex='0']"), "a box that scrolls by keyboard");
  }
  for (const chart of document.querySelectorAll("svg[role=img]")) {
    const said = chart.getAttribute("aria-labelledby").split(" ").map((id) => document.getElementById(id)?.textContent);
    must(said.length === 2 && said.every(Boolean), "title and description of a chart");
  }
  for (const link of document.querySelectorAll("a")) must(link.textContent.trim(), "the text of a link");
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  must(new Set(ids).size === ids.length, "distinct ids");
  return missing;
})()"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_loads_without_an_error_and_keeps_what_is_hostile_as_text() {
    let site = Site::new(9).await;
    site.fill().await;
    let mut browser = Browser::start().await;
    for path in PAGES {
        browser.open(&site.url(path)).await;
        if path == "/" {
            browser.wait_until("document.getElementById('live-status').textContent === 'Live'").await;
        }
        assert_eq!(browser.problems().await, Vec::<String>::new(), "{path}");
        let foreign = "document.querySelectorAll('img, iframe, object, form:not(.filter), script:not([src$=\"/live.js\"])').length";
        assert_eq!(browser.evaluate(foreign).await, 0, "{path}");
        let title = browser.evaluate("document.title").await;
        assert!(title.as_str().unwrap().ends_with("RISC-V runners"), "{path}: {title}");
        assert_eq!(browser.evaluate(UNSAID).await, json!([]), "{path} does not say");
    }
    browser.open(&site.url("/jobs")).await;
    let shown = format!("document.body.textContent.includes({})", Value::from(HOSTILE));
    assert_eq!(browser.evaluate(&shown).await, true, "what is hostile is shown as it was written");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_can_be_read_in_light_and_dark_and_on_a_phone() {
    let site = Site::new(9).await;
    site.fill().await;
    let mut browser = Browser::start().await;
    for path in PAGES {
        for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light")] {
            browser.look(width, scheme).await;
            browser.open(&site.url(path)).await;
            assert_eq!(browser.evaluate(FAINT).await, json!([]), "{path} is faint in {scheme}");
            let wide = browser.evaluate("document.documentElement.scrollWidth").await;
            let beyond = "[...document.querySelectorAll('main *')].filter((one) => !one.closest('.scroll') && \
                          one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 120))";
            let beyond = browser.evaluate(beyond).await;
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{path} is {wide} wide on {width}: {beyond}");
        }
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_changes_while_one_looks_at_it_and_leaves_the_focus_where_it_is() {
    let site = Site::new(9).await;
    let mut browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    let waiting = |n: u32| format!("document.querySelector('.figures dd').textContent === '{n}'");
    browser.wait_until(&waiting(0)).await;
    browser.wait_until("document.getElementById('live-status').textContent === 'Live'").await;
    browser.evaluate("window.same = true; document.querySelector('.figures a').focus()").await;
    site.deliver(Job { name: HOSTILE, ..Job::default() }, "g1").await;
    browser.wait_until(&waiting(1)).await;
    assert_eq!(browser.evaluate("window.same").await, true, "the page was loaded anew");
    let focused = "document.activeElement.textContent";
    assert_eq!(browser.evaluate(focused).await, "Jobs waiting");
    assert_eq!(browser.problems().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_place_to_watch_is_told_how_the_page_is_kept_up_to_date() {
    let site = Site::new(0).await;
    let mut browser = Browser::start().await;
    browser.open(&site.url("/")).await;
    browser
        .wait_until("document.getElementById('live-status').textContent.startsWith('Updated every')")
        .await;
    let fallback = browser.evaluate("document.querySelector('noscript').textContent").await;
    assert!(fallback.as_str().unwrap().contains("http-equiv=\"refresh\""), "without script: {fallback}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_reached_by_keyboard_and_the_focus_is_seen() {
    const TAB: u32 = 9;
    const ENTER: u32 = 13;
    let site = Site::new(9).await;
    site.fill().await;
    let mut browser = Browser::start().await;
    browser.open(&site.url("/workers")).await;
    let focus = "document.activeElement.textContent.trim().slice(0, 40)";
    browser.press("Tab", TAB).await;
    assert_eq!(browser.evaluate(focus).await, "Skip to the content");
    let seen = "(() => { const box = document.activeElement.getBoundingClientRect(); \
                const within = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight; \
                return within && getComputedStyle(document.activeElement).outlineStyle !== 'none'; })()";
    assert_eq!(browser.evaluate(seen).await, true, "the link shows itself when it has the focus");
    browser.press("Enter", ENTER).await;
    browser.wait_until("location.hash === '#content'").await;
    let all = "[...document.querySelectorAll('main a[href], main [tabindex=\"0\"], main summary')] \
               .filter((one) => one.checkVisibility()).length";
    let all = browser.evaluate(all).await.as_u64().unwrap();
    browser.evaluate("window.reached = new Set()").await;
    for _ in 0..all {
        browser.press("Tab", TAB).await;
        let note = format!("reached.add(document.activeElement); {seen}");
        let focused = "document.activeElement.outerHTML.slice(0, 200)";
        let is_seen = browser.evaluate(&note).await == true;
        assert!(is_seen, "the focus is not seen: {}", browser.evaluate(focused).await);
    }
    assert_eq!(browser.evaluate("reached.size").await, all, "not everything is reached");
    browser.close().await;
}
