//! The cluster: whether it can be reached, what we may do there, and whether there are boards.

use std::collections::BTreeMap;

use riscv_runner_core::{ids::NodeName, pod::Node, ports::Cluster};
use riscv_runner_k8s::{BOARD_LABEL, RIGHTS, RUNNER_RESOURCE, Right, missing_rights};

use super::Finding;
use crate::{config::Config, failure::count, wire};

/// Checks the cluster.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let skipped = |why: &str| {
        let names = ["cluster rights", "cluster boards", "cluster slots"];
        names.map(|name| Finding::skipped(name, why)).to_vec()
    };
    let connection = match wire::connection(config).await {
        Ok(connection) => connection,
        Err(failure) => {
            let fix = "set [cluster] kubeconfig (and context), or run in a pod with a service account";
            let failed = Finding::fail("cluster", failure.what(), fix);
            return [failed].into_iter().chain(skipped("there is no connection")).collect();
        }
    };
    let namespace = connection.namespace().to_owned();
    let rights = match missing_rights(&connection).await {
        Ok(missing) => rights(&missing, &namespace),
        Err(error) => {
            let fix =
                "check that the API server is running, and that the credentials are valid: kubectl get pods";
            let failed = Finding::fail("cluster", error.chain(), fix);
            return [failed].into_iter().chain(skipped("the cluster does not answer")).collect();
        }
    };
    let mut findings = vec![rights];
    match wire::cluster(config, &[]).await {
        Ok(cluster) => match cluster.nodes().await {
            Ok(nodes) => findings.extend(boards(config, &nodes)),
            Err(error) => {
                let fix = "grant list and watch on nodes, for the whole cluster (a ClusterRole)";
                findings.push(Finding::fail("cluster boards", error.chain(), fix));
            }
        },
        Err(failure) => findings.push(Finding::skipped("cluster boards", failure.what())),
    }
    findings
}

fn rights(missing: &[Right], namespace: &str) -> Finding {
    const CHECK: &str = "cluster rights";
    if missing.is_empty() {
        return Finding::ok(CHECK, format!("all {} are granted in namespace {namespace}", RIGHTS.len()));
    }
    let told = |right: &Right| format!("{} {} ({})", right.verb, right.resource, right.purpose);
    let text = format!("not granted: {}", missing.iter().map(told).collect::<Vec<_>>().join("; "));
    let namespaced = missing.iter().all(|right| right.namespaced);
    let kind = if namespaced { "Role" } else { "ClusterRole" };
    let fix = format!(
        "grant them in the {kind} of our service account; `kubectl auth can-i {} {} -n {namespace}` checks again",
        missing[0].verb, missing[0].resource
    );
    Finding::fail(CHECK, text, fix)
}

fn boards(config: &Config, nodes: &BTreeMap<NodeName, Node>) -> Vec<Finding> {
    const CHECK: &str = "cluster boards";
    let mut findings = Vec::new();
    for (name, pool) in &config.policy.pools {
        let selected: Vec<&Node> = nodes.values().filter(|node| node.matches(&pool.node_selector)).collect();
        let ready = selected.iter().filter(|node| node.accepts_pods()).count();
        let labels: Vec<String> =
            pool.node_selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let labels = labels.join(" ");
        findings.push(match (selected.len(), ready) {
            (0, _) => Finding::warn(
                CHECK,
                format!("pool {name} selects no node"),
                format!("label its boards (kubectl label node NODE {labels}), or rrctl nodes enroll NODE --board NAME"),
            ),
            (n, 0) => Finding::warn(
                CHECK,
                format!("none of the {} of pool {name} takes pods", count(n, "node")),
                "see why: rrctl boards, kubectl describe node NODE",
            ),
            (n, ready) => Finding::ok(CHECK, format!("pool {name}: {ready} of {} {} pods", count(n, "node"), verb(n, "take"))),
        });
    }
    findings.push(slots(config, nodes));
    findings
}

/// Boards that offer no slot get no pod: Kubernetes counts the extended resource.
fn slots(config: &Config, nodes: &BTreeMap<NodeName, Node>) -> Finding {
    const CHECK: &str = "cluster slots";
    let is_board = |node: &&Node| {
        node.labels.contains_key(BOARD_LABEL)
            || config.policy.pools.values().any(|pool| node.matches(&pool.node_selector))
    };
    let boards: Vec<&Node> = nodes.values().filter(is_board).collect();
    let without: Vec<&str> =
        boards.iter().filter(|node| node.slots == 0).map(|node| node.name.as_str()).collect();
    if without.is_empty() {
        let total: u32 = boards.iter().map(|node| node.slots).sum();
        return Finding::ok(
            CHECK,
            format!(
                "{} {} {total} {RUNNER_RESOURCE}",
                count(boards.len(), "board"),
                verb(boards.len(), "offer")
            ),
        );
    }
    let fix = format!(
        "let a device plugin offer it, or advertise it yourself: rrctl nodes enroll {} --board NAME",
        without[0]
    );
    Finding::warn(CHECK, format!("no {RUNNER_RESOURCE} on {}", without.join(", ")), fix)
}

/// What so many do.
fn verb(n: usize, verb: &str) -> String {
    if n == 1 { format!("{verb}s") } else { verb.to_owned() }
}
