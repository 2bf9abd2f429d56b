//! Labels to pool: the operator's rules in order, the first match wins, with an explanation.
//!
//! There is no rule in code.

use std::{collections::BTreeMap, fmt};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use crate::{
    admission::{IntakePolicy, is_served_account},
    controls::Controls,
    entity::{Entity, EntityKind},
    ids::{EntityId, ImageRef, Login, PoolName, RepoName},
    job::Placement,
    labels::LabelSet,
    policy::Policy,
    scope::{PoolKey, ScopeRef},
    snapshot::{Snapshot, Warm},
};

/// How a rule's labels are compared with a job's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelMatch {
    /// The job asks for exactly these labels.
    #[default]
    Exact,
    /// The job asks for some of these labels and for no other, as GitHub itself matches a job
    /// with a runner that carries more labels than the job names.
    Subset,
}

/// An account in a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EntityPattern {
    /// By its stable id.
    Id(EntityId),
    /// By its login, without regard to case.
    Login(Login),
}

impl EntityPattern {
    fn matches(&self, entity: &Entity) -> bool {
        match self {
            Self::Id(id) => *id == entity.id,
            Self::Login(login) => login.as_str().eq_ignore_ascii_case(entity.login.as_str()),
        }
    }
}

/// A pattern of `owner/name`, without regard to case; `*` does not cross the `/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPattern {
    text: String,
    matcher: GlobMatcher,
}

/// A pattern that is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("repository pattern {pattern:?} is invalid: {problem}")]
pub struct RepoPatternError {
    pattern: String,
    problem: String,
}

impl RepoPattern {
    /// Reads the pattern.
    ///
    /// # Errors
    /// Text that is not a glob.
    pub fn new(text: impl Into<String>) -> Result<Self, RepoPatternError> {
        let text = text.into();
        match GlobBuilder::new(&text).case_insensitive(true).literal_separator(true).build() {
            Ok(glob) => Ok(Self { matcher: glob.compile_matcher(), text }),
            Err(error) => Err(RepoPatternError { problem: error.kind().to_string(), pattern: text }),
        }
    }

    /// Whether a repository's name fits it.
    #[must_use]
    pub fn matches(&self, repo: &RepoName) -> bool {
        self.matcher.is_match(repo.as_str())
    }
}

impl PartialEq for RepoPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for RepoPattern {}
impl TryFrom<String> for RepoPattern {
    type Error = RepoPatternError;
    fn try_from(text: String) -> Result<Self, RepoPatternError> {
        Self::new(text)
    }
}
impl From<RepoPattern> for String {
    fn from(pattern: RepoPattern) -> Self {
        pattern.text
    }
}

/// One rule. A condition that is empty holds for every job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The labels that it is about.
    pub labels: LabelSet,
    /// How they are compared.
    pub label_match: LabelMatch,
    /// The accounts it is for.
    pub entities: Vec<EntityPattern>,
    /// The repositories it is for.
    pub repositories: Vec<RepoPattern>,
    /// The App it is for.
    pub app: Option<EntityKind>,
    /// Where its jobs run.
    pub pool: PoolName,
    /// Their image, instead of the pool's.
    pub image: Option<ImageRef>,
    /// The most workers that may live with its labels in its pool, whoever they are for.
    pub max_workers: Option<u32>,
    /// How many idle runners are kept per organization.
    pub warm: u32,
}

/// The facts that routing uses.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The job's labels.
    pub labels: &'a LabelSet,
    /// The job's account.
    pub entity: &'a Entity,
    /// The job's repository.
    pub repo: &'a RepoName,
}

/// Why one rule did not match, or that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleVerdict {
    /// This rule decides.
    Matched,
    /// An earlier rule decided.
    NotReached,
    /// The labels differ.
    LabelsDiffer,
    /// It is for other accounts.
    OtherEntity,
    /// It is for other repositories.
    OtherRepository,
    /// It is for the other App.
    OtherApp,
}

impl fmt::Display for RuleVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Matched => "matched",
            Self::NotReached => "not reached: an earlier rule matched",
            Self::LabelsDiffer => "labels differ",
            Self::OtherEntity => "is for other accounts",
            Self::OtherRepository => "is for other repositories",
            Self::OtherApp => "is for the other App",
        })
    }
}

/// The decision, and each rule's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Where the job goes; `None` when no rule matched.
    pub placement: Option<Placement>,
    /// One verdict for each rule, in order.
    pub rules: Vec<RuleVerdict>,
}

impl Route {
    /// Whether its labels match those that a job asks for.
    #[must_use]
    pub fn fits_labels(&self, asked: &LabelSet) -> bool {
        match self.label_match {
            LabelMatch::Exact => *asked == self.labels,
            LabelMatch::Subset => asked.is_subset(&self.labels),
        }
    }

    fn verdict(&self, query: &Query<'_>) -> RuleVerdict {
        if !self.fits_labels(query.labels) {
            return RuleVerdict::LabelsDiffer;
        }
        if self.app.is_some_and(|app| app != query.entity.kind) {
            return RuleVerdict::OtherApp;
        }
        if !self.entities.is_empty() && !self.entities.iter().any(|entity| entity.matches(query.entity)) {
            return RuleVerdict::OtherEntity;
        }
        if !self.repositories.is_empty() && !self.repositories.iter().any(|repo| repo.matches(query.repo)) {
            return RuleVerdict::OtherRepository;
        }
        RuleVerdict::Matched
    }
}

/// Where a job goes; `None` when no rule matches.
#[must_use]
pub fn route(policy: &Policy, query: &Query<'_>) -> Option<Placement> {
    let rule = policy.routes.iter().find(|rule| rule.verdict(query) == RuleVerdict::Matched)?;
    placement(policy, rule)
}

/// Where a job goes, with the verdict of every rule.
#[must_use]
pub fn explain(policy: &Policy, query: &Query<'_>) -> Explanation {
    let mut decided = None;
    let rules = policy
        .routes
        .iter()
        .map(|rule| {
            if decided.is_some() {
                return RuleVerdict::NotReached;
            }
            let verdict = rule.verdict(query);
            if verdict == RuleVerdict::Matched {
                decided = Some(rule);
            }
            verdict
        })
        .collect();
    Explanation { placement: decided.and_then(|rule| placement(policy, rule)), rules }
}

fn placement(policy: &Policy, rule: &Route) -> Option<Placement> {
    let pool = policy.pools.get(&rule.pool)?;
    Some(Placement {
        pool: rule.pool.clone(),
        image: rule.image.clone().unwrap_or_else(|| pool.image.clone()),
    })
}

/// The organizations for which idle runners are kept, by the labels of these.
pub type KeptWarm = BTreeMap<PoolKey, ScopeRef>;

/// Idle runners that rules keep: for every organization that has demand or workers of a rule's labels, or had
/// them before, unless its App is gone. None, but remembered, while GitHub would hand them jobs that we must not
/// run: the organization is banned, paused, or belongs to staging.
#[must_use]
pub fn warm(policy: &Policy, snapshot: &Snapshot, before: &KeptWarm) -> BTreeMap<PoolKey, Warm> {
    let rules: Vec<_> = policy.routes.iter().filter(|rule| rule.warm > 0).collect();
    if rules.is_empty() {
        return BTreeMap::new();
    }
    let waiting = snapshot.demand.iter().filter_map(|(key, demand)| {
        Some((key.clone(), &demand.waiting.first().or(demand.front.as_deref())?.scope))
    });
    let working = snapshot.workers.values().map(|worker| (worker.key(), &worker.scope));
    let before = before.iter().map(|(key, scope)| (key.clone(), scope));
    let mut known: BTreeMap<PoolKey, &ScopeRef> = before.chain(waiting).chain(working).collect();
    let is_gone = |scope: &ScopeRef| {
        let health = snapshot.installations.get(&scope.installation);
        health.is_some_and(|health| health.gone_since.is_some())
    };
    known.retain(|_, scope| !is_gone(scope));
    let organizations = known.into_iter().filter(|(key, _)| key.scope.kind() == EntityKind::Organization);
    let wish = |(key, scope): (PoolKey, &ScopeRef)| {
        let entity = Entity { id: scope.entity, kind: EntityKind::Organization, login: scope.login.clone() };
        let fits = |rule: &&&Route| {
            rule.labels == key.labels
                && rule.repositories.is_empty()
                && rule.app.is_none_or(|app| app == EntityKind::Organization)
                && (rule.entities.is_empty() || rule.entities.iter().any(|pattern| pattern.matches(&entity)))
        };
        let rule = rules.iter().find(fits)?;
        let placement = placement(policy, rule)?;
        let count = if may_be_warm(policy, &snapshot.controls, scope.entity) { rule.warm } else { 0 };
        Some((key, Warm { count, scope: scope.clone(), placement }))
    };
    organizations.filter_map(wish).collect()
}

fn may_be_warm(policy: &Policy, controls: &Controls, entity: EntityId) -> bool {
    controls.everything_paused.is_none()
        && !controls.paused_entities.contains_key(&entity)
        && is_served_account(&IntakePolicy { policy, controls }, entity)
}
