//! `rrctl route`: which pool a job would run in, and what every rule says about it.

use riscv_runner_core::{
    entity::{Entity, EntityKind},
    ids::{EntityId, Login, RepoName},
    job::Placement,
    labels::LabelSet,
    policy::Policy,
    routing::{self, EntityPattern, LabelMatch, Query, RuleVerdict},
};
use serde::Serialize;

use crate::{
    args::{AppKind, Route},
    config::{self, Need, Sources},
    failure::Failure,
    printer::{Printer, Tone, Value},
};

/// Stands for an account whose id nobody gave: GitHub assigns none so high.
const UNKNOWN_ID: i64 = i64::MAX;

#[derive(Serialize)]
struct Explained<'a> {
    placement: Option<&'a Placement>,
    rules: Vec<Rule<'a>>,
}

#[derive(Serialize)]
struct Rule<'a> {
    index: usize,
    labels: &'a LabelSet,
    #[serde(rename = "match")]
    label_match: LabelMatch,
    entities: &'a [EntityPattern],
    repositories: Vec<String>,
    app: Option<EntityKind>,
    pool: &'a str,
    verdict: RuleVerdict,
}

/// Runs `rrctl route`. A job that no rule matches is an answer, not a failure.
pub(crate) fn run(route: &Route, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Policy).map_err(Failure::Configuration)?;
    let policy = &config.policy;
    let labels = LabelSet::new(&route.labels).map_err(|error| usage(&error, "labels"))?;
    let entity = entity(route)?;
    let repo = match &route.repo {
        Some(repo) => repo.clone(),
        None => RepoName::new(format!("{}/(any)", entity.login)).map_err(|error| usage(&error, "entity"))?,
    };
    let explained = routing::explain(policy, &Query { labels: &labels, entity: &entity, repo: &repo });
    refusals(policy, &entity, &repo, printer);
    let rules = policy.routes.iter().zip(&explained.rules).enumerate().map(|(index, (rule, verdict))| Rule {
        index,
        labels: &rule.labels,
        label_match: rule.label_match,
        entities: &rule.entities,
        repositories: rule.repositories.iter().cloned().map(String::from).collect(),
        app: rule.app,
        pool: rule.pool.as_str(),
        verdict: *verdict,
    });
    let answer = Explained { placement: explained.placement.as_ref(), rules: rules.collect() };
    printer.data(route.output.format, &answer, || {
        printer.table(&["rule", "labels", "for", "pool", "verdict"], answer.rules.iter().map(row))?;
        printer.line("")?;
        printer.line(&match answer.placement {
            Some(found) => format!("pool {}, image {}", found.pool, found.image),
            None => "no rule matches: the job would be ignored (outcome ignored_no_label)".to_owned(),
        })
    })
}

fn row(rule: &Rule<'_>) -> Vec<Value> {
    let labels = rule.labels.originals().join(", ");
    let labels = match rule.label_match {
        LabelMatch::Exact => labels,
        LabelMatch::Subset => format!("any of {labels}"),
    };
    let entities = rule.entities.iter().map(|entity| match entity {
        EntityPattern::Id(id) => id.to_string(),
        EntityPattern::Login(login) => login.to_string(),
    });
    let app = rule.app.map(|app| format!("{app}s"));
    let whom: Vec<_> = app.into_iter().chain(entities).chain(rule.repositories.iter().cloned()).collect();
    let tone = match rule.verdict {
        RuleVerdict::Matched => Tone::Good,
        RuleVerdict::NotReached
        | RuleVerdict::LabelsDiffer
        | RuleVerdict::OtherEntity
        | RuleVerdict::OtherRepository
        | RuleVerdict::OtherApp => Tone::Plain,
    };
    vec![
        Value::from(format!("routes[{}]", rule.index)),
        labels.into(),
        if whom.is_empty() { "everybody".into() } else { whom.join(", ").into() },
        rule.pool.into(),
        Value::toned(&rule.verdict, tone),
    ]
}

/// What is decided before routing, which the rules alone do not show.
fn refusals(policy: &Policy, entity: &Entity, repo: &RepoName, printer: &Printer) {
    let special = policy.entities.get(&entity.id);
    if special.is_some_and(|special| special.banned) {
        printer.warning(&format!("account {} is banned: its jobs are refused before routing", entity.id));
    }
    if special.is_some_and(|special| special.staging) || policy.staging_repositories.contains(repo) {
        printer.warning("the deliveries of this job are forwarded to staging, which has its own rules");
    }
}

fn entity(route: &Route) -> Result<Entity, Failure> {
    let kind = match route.app {
        AppKind::Organization => EntityKind::Organization,
        AppKind::User => EntityKind::User,
    };
    let owner = route.repo.as_ref().map(RepoName::owner);
    let by_id = route.entity.as_deref().and_then(|text| text.parse::<i64>().ok());
    let login = match (by_id, &route.entity, owner) {
        (None, Some(login), _) => login,
        (_, _, Some(owner)) => owner,
        (Some(_), _, None) | (None, None, None) => "(any)",
    };
    Ok(Entity {
        id: EntityId::new(by_id.unwrap_or(UNKNOWN_ID)).map_err(|error| usage(&error, "entity"))?,
        kind,
        login: Login::new(login).map_err(|error| usage(&error, "entity"))?,
    })
}

fn usage(error: &riscv_runner_core::ids::IdError, flag: &str) -> Failure {
    Failure::Usage { what: format!("--{flag}: {error}"), hint: Some("rrctl route --help".to_owned()) }
}
