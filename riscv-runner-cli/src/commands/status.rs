//! `rrctl status`: leader, queue, workers and boards at a glance.

mod watch;

use std::sync::Arc;

use riscv_runner_core::{
    backoff::age,
    engine::Engine,
    ports::{ControlStore, LeaseStore, Platform, ReportStore},
};
use riscv_runner_http::views::{BoardState, Picture, Reader, StatusView};
use riscv_runner_pg::PgStore;

use super::{
    controls::{Names, names, target, words},
    pools::{UNOBSERVED, table},
};
use crate::{
    args::{self, Format},
    config::{self, Config, Need, Sources},
    failure::Failure,
    moment::short,
    platform::TokioPlatform,
    printer::Printer,
    remote::Server,
    visible::visible,
    wire,
};

/// Where the status is read.
enum Place {
    Server(Server),
    Store(Box<Direct>),
}

/// The store and the cluster themselves.
struct Direct {
    store: Arc<PgStore>,
    engine: Arc<Engine>,
    config: Config,
}

/// Runs `rrctl status`.
pub(crate) async fn run(status: &args::Status, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let format = status.reading.output.format;
    if status.watch && format == Format::Json {
        let hint = "programs can poll `rrctl status --format json`";
        return Err(Failure::usage("--watch cannot be combined with --format json").hint(hint));
    }
    let place = match status.reading.remote.connect_as_anybody(sources)? {
        Some(server) => Place::Server(server),
        None => Place::Store(Box::new(Direct::open(sources).await?)),
    };
    if status.watch {
        let look = async || place.look().await.map(|(status, names)| text(&status, &names, printer));
        return watch::watch(status.every, look, printer).await;
    }
    let (now, names) = place.look().await?;
    printer.data(format, &now, || {
        printer.raw(&text(&now, &names, printer))?;
        if now.boards.is_none() {
            printer.warning(UNOBSERVED);
        }
        Ok(())
    })
}

impl Place {
    /// The status, and the logins of accounts as far as they are known here.
    async fn look(&self) -> Result<(StatusView, Names), Failure> {
        match self {
            Self::Server(server) => Ok((server.get(&["status.json"], &[]).await?, Names::new())),
            Self::Store(direct) => direct.look().await,
        }
    }
}

impl Direct {
    async fn open(sources: &Sources) -> Result<Self, Failure> {
        let config = config::load(sources, Need::All).map_err(Failure::Configuration)?;
        let store = wire::store(&wire::store_config(&config, false)?).await?;
        Ok(Self { store, engine: wire::observer(&config).await?, config })
    }

    async fn look(&self) -> Result<(StatusView, Names), Failure> {
        let known = names(&self.store.known_accounts().await?);
        let usage = self.store.usage().await?;
        let policy = Arc::new(self.config.policy.clone());
        let picture = Picture::new(self.engine.overview(Picture::MOST_OF_A_KEY).await?, &policy);
        let controls = &picture.snapshot.controls;
        // A cluster that is away takes longer to be looked at than a lease lasts: whether somebody leads is asked
        // last, and judged by the time of asking.
        let (leader, now) = (self.store.leader().await?, TokioPlatform.now());
        let reader = Reader::Authenticated;
        Ok((StatusView::of(&usage, leader, &policy, controls, Some(&picture), reader, now), known))
    }
}

fn text(status: &StatusView, names: &Names, printer: &Printer) -> String {
    let mut lines = vec![match &status.leader {
        Some(leader) => format!("leader   {} (epoch {})", leader.name, leader.epoch),
        None => "leader   none: nothing is scheduled".to_owned(),
    }];
    let oldest = status.oldest().map(|at| format!(", the oldest for {}", short(age(status.now, at))));
    let totals = status.totals;
    let (waiting, running) = (totals.jobs_pending, totals.jobs_running);
    lines.push(format!("jobs     {waiting} waiting{}, {running} running", oldest.unwrap_or_default()));
    lines.push(format!("workers  {} starting, {} running", totals.workers_pending, totals.workers_running));
    lines.push(boards(status));
    lines.extend(status.controls.iter().map(|one| {
        let (what, whom) = (words(one), target(&one.target, names));
        format!("held     {what}, {whom}, by {}: {}", one.actor, one.reason)
    }));
    format!("{}\n\n{}", visible(&lines.join("\n")), table(&status.pools, printer))
}

/// How many boards are in each state, those at work first.
fn boards(status: &StatusView) -> String {
    let Some(counts) = &status.boards else { return "boards   unknown".to_owned() };
    let told = BoardState::ALL.into_iter().filter_map(|state| {
        let count = counts.get(&state)?;
        Some(format!("{count} {}", state.words()))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    format!("boards   {}", if told.is_empty() { "none" } else { &told })
}
