//! The fold: rows of the log, in the order in which they were received, into the state at a time.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RepoSaid, Says, Selection, TraceEvent};
use crate::{
    entity::EntityKind,
    ids::{AppId, EntityId, EventId, InstallationId, JobId, Login, RepoId, RepoName},
};

/// A row of the log, as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// When it was received.
    pub at: Timestamp,
    /// The row.
    pub event: EventId,
}

/// Whether an installation exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Standing {
    /// Nothing has been recorded about it but failed authentications.
    Unknown,
    /// Its installation is older than the log, but a delivery for it was recorded.
    Seen(Mark),
    /// It was installed, or its suspension was lifted.
    Installed(Mark),
    /// It was suspended.
    Suspended(Mark),
    /// It was uninstalled; only another installation changes that.
    Deleted(Mark),
}

/// A failed attempt of an App to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthFailure {
    /// The row.
    pub mark: Mark,
    /// The App that tried.
    pub app: Option<AppId>,
    /// GitHub's status; `None` when no answer came.
    pub status: Option<u16>,
}

impl AuthFailure {
    /// Whether GitHub said that there is no such installation of that App.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }
}

/// Which repositories an installation may see, as far as the log says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repositories {
    /// All or chosen ones; `None` when no row says.
    pub selection: Option<Selection>,
    /// The chosen ones that rows name, each with the row.
    pub chosen: BTreeMap<RepoId, (RepoName, Mark)>,
    /// Those that were removed and not added again.
    pub removed: BTreeMap<RepoId, (RepoName, Mark)>,
    /// The row that lists all chosen ones; without it there may be others.
    pub complete_since: Option<Mark>,
}

/// What is known of one installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationState {
    /// The App that it belongs to, as its payloads say.
    pub app: Option<AppId>,
    /// The kind of its account.
    pub entity_type: Option<EntityKind>,
    /// Whether it exists.
    pub standing: Standing,
    /// The repositories that it may see.
    pub repositories: Repositories,
    /// The last failed authentication since it was installed or unsuspended.
    pub failure: Option<AuthFailure>,
    /// The first row that names it.
    pub first: Mark,
    /// The last delivery that names it.
    pub last_delivery: Option<Mark>,
    /// The outcome of the last `workflow_job.queued` of each job in question.
    pub queued: BTreeMap<JobId, (Mark, String)>,
}

/// The account was renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The row.
    pub mark: Mark,
    /// Its name before.
    pub from: Option<Login>,
    /// Its name from then on.
    pub to: Login,
}

/// What is known of an account and its installations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountState {
    /// The account, as the rows name it.
    pub entity_id: Option<EntityId>,
    /// Its name, from the last row that has one.
    pub name: Option<Login>,
    /// The last rename.
    pub renamed: Option<Rename>,
    /// Its installations, of either App, including those that are gone.
    pub installations: BTreeMap<InstallationId, InstallationState>,
}

/// The state at `at`, that moment included: later rows change nothing. The order of `events` does not matter,
/// and a duplicate row counts once.
#[must_use]
pub fn state_at<'a>(events: impl IntoIterator<Item = &'a TraceEvent>, at: Timestamp) -> AccountState {
    let past = events.into_iter().filter(|event| event.row.received_at <= at);
    let ordered: BTreeMap<(Timestamp, EventId), &TraceEvent> =
        past.map(|event| ((event.row.received_at, event.row.id), event)).collect();
    let mut state = AccountState::default();
    for event in ordered.into_values() {
        state.learn(event);
    }
    state
}

impl AccountState {
    fn learn(&mut self, event: &TraceEvent) {
        let TraceEvent { row, says } = event;
        let mark = Mark { at: row.received_at, event: row.id };
        self.entity_id = row.entity_id.or(self.entity_id);
        self.name = row.entity_name.clone().or(self.name.take());
        if let Says::Renamed { from, to } = says {
            self.renamed = Some(Rename { mark, from: from.clone(), to: to.clone() });
            self.name = Some(to.clone());
        }
        if let Some(id) = row.installation_id {
            let known = self.installations.entry(id).or_insert_with(|| InstallationState::new(mark));
            known.entity_type = row.entity_type.or(known.entity_type);
            known.learn(event, mark);
        }
    }
}

impl InstallationState {
    fn new(first: Mark) -> Self {
        Self {
            app: None,
            entity_type: None,
            standing: Standing::Unknown,
            repositories: Repositories::default(),
            failure: None,
            first,
            last_delivery: None,
            queued: BTreeMap::new(),
        }
    }

    fn learn(&mut self, event: &TraceEvent, mark: Mark) {
        let TraceEvent { row, says } = event;
        if let Says::AuthFailed { status } = says {
            self.failure = Some(AuthFailure { mark, app: row.app_id, status: *status });
            return;
        }
        self.last_delivery = Some(mark);
        if let Some(job) = row.job_id.filter(|_| row.event == "workflow_job.queued") {
            self.queued.insert(job, (mark, row.outcome.clone()));
        }
        if let Says::Created { app, selection, repositories } = says {
            self.app = app.or(row.app_id).or(self.app);
            self.standing = Standing::Installed(mark);
            self.failure = None;
            self.repositories = Repositories::told(*selection, repositories, mark);
            return;
        }
        if matches!(self.standing, Standing::Deleted(_)) {
            return;
        }
        self.app = self.app.or(row.app_id);
        match says {
            Says::Deleted => self.standing = Standing::Deleted(mark),
            Says::Suspended => self.standing = Standing::Suspended(mark),
            Says::Unsuspended => {
                self.standing = Standing::Installed(mark);
                self.failure = None;
            }
            Says::Repositories { selection, added, removed } => {
                self.seen(mark);
                self.repositories.change(*selection, added, removed, mark);
            }
            Says::Renamed { .. } | Says::Job(_) | Says::Stands => self.seen(mark),
            Says::Created { .. } | Says::AuthFailed { .. } | Says::Nothing => {}
        }
    }

    fn seen(&mut self, mark: Mark) {
        if self.standing == Standing::Unknown {
            self.standing = Standing::Seen(mark);
        }
    }
}

impl Repositories {
    fn told(selection: Option<Selection>, chosen: &[RepoSaid], mark: Mark) -> Self {
        Self {
            selection,
            chosen: chosen.iter().map(|repo| (repo.id, (repo.name.clone(), mark))).collect(),
            removed: BTreeMap::new(),
            complete_since: (selection == Some(Selection::Selected)).then_some(mark),
        }
    }

    fn change(&mut self, selection: Option<Selection>, added: &[RepoSaid], removed: &[RepoSaid], mark: Mark) {
        match selection {
            Some(Selection::All) => {
                *self = Self { selection, ..Self::default() };
                return;
            }
            // Of those that were kept when all became some, nobody tells.
            Some(Selection::Selected) if self.selection != selection => self.complete_since = None,
            Some(Selection::Selected) | None => {}
        }
        self.selection = selection.or(self.selection);
        for repo in removed {
            self.chosen.remove(&repo.id);
            self.removed.insert(repo.id, (repo.name.clone(), mark));
        }
        for repo in added {
            self.removed.remove(&repo.id);
            self.chosen.insert(repo.id, (repo.name.clone(), mark));
        }
    }
}
