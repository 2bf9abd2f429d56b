//! `rrctl boards`: the machines, whether they take workers, and what runs on them.

use riscv_runner_core::{
    ids::{JobId, NodeName, PoolName, WorkerName},
    pod::Node,
    quarantine::Admission,
};
use riscv_runner_k8s::BOARD_LABEL;
use serde::Serialize;

use crate::{
    args::Output,
    config::Sources,
    failure::Failure,
    moment::{self, Moment},
    printer::{Printer, Tone, Value},
};

/// One board.
#[derive(Debug, Serialize)]
struct Board {
    node: NodeName,
    board: Option<String>,
    pools: Vec<PoolName>,
    slots: u32,
    ready: bool,
    cordoned: bool,
    state: &'static str,
    reason: Option<String>,
    workers: Vec<WorkerName>,
    jobs: Vec<JobId>,
}

/// Runs `rrctl boards`.
pub(crate) async fn run(output: Output, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let moment = moment::look(sources).await?;
    let Some(nodes) = moment.snapshot.nodes.present() else {
        return Err(Failure::failed("the cluster cannot be observed")
            .hint("`kubectl get nodes` with the same kubeconfig shows why"));
    };
    let boards: Vec<_> = nodes.values().map(|node| board(node, &moment)).collect();
    printer.data(output.format, &boards, || {
        let header = ["node", "board", "pools", "slots", "state", "worker", "job"];
        printer.table(&header, boards.iter().map(cells));
    })
}

fn cells(board: &Board) -> Vec<Value> {
    let tone = match board.state {
        "ready" => Tone::Good,
        "cordoned" | "drained" | "canary" => Tone::Waiting,
        _ => Tone::Bad,
    };
    let state = match &board.reason {
        Some(reason) => format!("{}: {reason}", board.state),
        None => board.state.to_owned(),
    };
    let joined = |texts: Vec<String>| Value::or_dash((!texts.is_empty()).then(|| texts.join(", ")));
    vec![
        board.node.as_str().into(),
        Value::or_dash(board.board.as_ref()),
        joined(board.pools.iter().map(ToString::to_string).collect()),
        Value::number(&board.slots),
        Value::toned(&state, tone),
        joined(board.workers.iter().map(ToString::to_string).collect()),
        joined(board.jobs.iter().map(ToString::to_string).collect()),
    ]
}

fn board(node: &Node, moment: &Moment) -> Board {
    let Moment { snapshot, policy, .. } = moment;
    let (state, reason) = state(node, moment);
    let pods = snapshot.pods.present().into_iter().flatten();
    let on_it = pods.filter(|(_, pod)| pod.holds_slot() && pod.node.as_ref() == Some(&node.name));
    let workers: Vec<_> = on_it.map(|(name, _)| name.clone()).collect();
    let jobs = workers.iter().filter_map(|name| snapshot.workers.get(name)?.job.map(|job| job.id)).collect();
    let selects = |(name, pool): (&PoolName, &riscv_runner_core::policy::PoolPolicy)| {
        node.matches(&pool.node_selector).then(|| name.clone())
    };
    Board {
        node: node.name.clone(),
        board: node.labels.get(BOARD_LABEL).cloned(),
        pools: policy.pools.iter().filter_map(selects).collect(),
        slots: node.slots,
        ready: node.ready,
        cordoned: node.cordoned,
        state,
        reason,
        workers,
        jobs,
    }
}

fn state(node: &Node, moment: &Moment) -> (&'static str, Option<String>) {
    let snapshot = &moment.snapshot;
    if let Some(since) = node.unreachable_since {
        return ("unreachable", Some(format!("since {since}")));
    }
    if !node.ready {
        return ("not ready", None);
    }
    if node.cordoned {
        return ("cordoned", None);
    }
    if let Some(note) = snapshot.controls.drained_nodes.get(&node.name) {
        return ("drained", Some(note.reason.clone()));
    }
    match snapshot.quarantines.get(&node.name).map(|quarantine| quarantine.admission(snapshot.now)) {
        Some(Admission::Closed(until)) => ("quarantined", Some(format!("until {until}"))),
        Some(Admission::Canary) => ("canary", Some("one worker at a time".to_owned())),
        Some(Admission::Open) | None => ("ready", None),
    }
}
