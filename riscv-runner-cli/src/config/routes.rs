//! `[[routes]]`: which labels go to which pool; the first rule that matches wins.

use riscv_runner_core::{
    entity::EntityKind,
    ids::{ImageRef, PoolName},
    labels::LabelSet,
    routing::{EntityPattern, LabelMatch, RepoPattern, Route},
};

use super::{pools::Pools, problem::Origin, reader::Section};

/// A rule and where it stands.
#[derive(Debug)]
pub(crate) struct PlacedRoute {
    /// The rule.
    pub(crate) route: Route,
    /// Where it stands.
    pub(crate) origin: Origin,
    /// Its key, such as `routes[3]`.
    pub(crate) key: String,
}

/// Reads `[[routes]]`.
pub(crate) fn read(root: &Section<'_>, pools: &Pools, needed: bool) -> Vec<PlacedRoute> {
    let mut routes = Vec::new();
    let mut seen_any = false;
    root.sections("routes", |section| {
        seen_any = true;
        let labels: Option<LabelSet> = section.required("labels", "the labels of runs-on");
        let pool: Option<PoolName> = section.required("pool", "the name of one of [[pools]]");
        if let Some(pool) = pool.as_ref().filter(|pool| !is_known(pools, pool)) {
            let known: Vec<_> = pools.policies.keys().map(PoolName::as_str).collect();
            let hint =
                format!("known pools: {}", if known.is_empty() { "none".into() } else { known.join(", ") });
            section.error("pool", format!("there is no pool {pool}"), Some(&hint));
        }
        let entities: Vec<EntityPattern> = section.or("entities", Vec::new());
        let repositories: Vec<RepoPattern> = section.or("repositories", Vec::new());
        let (origin, key) = (section.origin_of(""), section.path_of(""));
        let rest = (
            section.or("match", LabelMatch::Exact),
            section.get::<EntityKind>("app"),
            section.get::<ImageRef>("image"),
            section.get::<u32>("max_workers"),
            section.or("warm", 0_u32),
        );
        section.done();
        let (Some(labels), Some(pool)) = (labels, pool) else { return };
        let (label_match, app, image, max_workers, warm) = rest;
        let route =
            Route { labels, label_match, entities, repositories, app, pool, image, max_workers, warm };
        routes.push(PlacedRoute { route, origin, key });
    });
    if needed && !seen_any {
        let hint = "add [[routes]] with labels and pool";
        root.error("routes", "no [[routes]]: every job would be ignored", Some(hint));
    }
    routes
}

fn is_known(pools: &Pools, pool: &PoolName) -> bool {
    pools.policies.contains_key(pool) || pools.refused.contains(pool)
}
