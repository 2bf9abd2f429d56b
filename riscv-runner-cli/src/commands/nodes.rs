//! `rrctl nodes`: boards without a device plugin are enrolled, withdrawn and listed. It acts with the
//! operator's own rights, through the kubeconfig of the configuration or of the shell.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use riscv_runner_core::{enrolment::enrolled_slots, ids::NodeName};
use riscv_runner_k8s::{
    BOARD_LABEL, BoardNode, Connection, Enrolment, PROVIDER_LABEL, SlotSource, board_nodes, enroll, withdraw,
    workers_on,
};
use serde::Serialize;

use crate::{
    args::Output,
    config::{self, Config, Need, Sources},
    failure::{Failure, count},
    printer::{Column, Printer, Tone, Value},
    wire,
};

/// `rrctl nodes`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Nodes {
    /// Turn a node without a device plugin into a board: label it and advertise its slots
    Enroll(Enroll),
    /// Undo that; workers that run there finish, and no new ones come
    Withdraw(Withdraw),
    /// Show the nodes that are boards, and who advertises their slots
    List(Output),
}

/// `rrctl nodes enroll`
#[derive(Debug, Clone, Args)]
pub(crate) struct Enroll {
    /// The node, as the cluster names it
    #[arg(value_name = "NODE")]
    node: NodeName,
    /// The kind of board, as pools select it; run `rrctl board probe` on the machine to find out
    #[arg(long, value_name = "NAME")]
    board: String,
    /// The provider of the machine, where pools select by it
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// How many jobs it runs at a time
    #[arg(long, default_value = "1", value_name = "N")]
    slots: NonZeroU32,
}

/// `rrctl nodes withdraw`
#[derive(Debug, Clone, Args)]
pub(crate) struct Withdraw {
    /// The node, as the cluster names it
    #[arg(value_name = "NODE")]
    node: NodeName,
}

/// One line of `rrctl nodes list`.
#[derive(Debug, Serialize)]
struct Row {
    node: NodeName,
    board: Option<String>,
    provider: Option<String>,
    slots: u32,
    enrolled_slots: Option<u32>,
    advertised_by: &'static str,
    ready: bool,
}

/// Runs `rrctl nodes`.
pub(crate) async fn run(command: Nodes, sources: &Sources, printer: &Printer) -> Result<(), Failure> {
    let config = config::load(sources, Need::Nothing).map_err(Failure::Configuration)?;
    let connection = wire::connection(&config).await?;
    match command {
        Nodes::Enroll(asked) => enroll_node(&asked, &config, &connection, printer).await,
        Nodes::Withdraw(asked) => withdraw_node(&asked, &connection, printer).await,
        Nodes::List(output) => list(output, &connection, printer).await,
    }
}

async fn enroll_node(
    asked: &Enroll,
    config: &Config,
    connection: &Connection,
    printer: &Printer,
) -> Result<(), Failure> {
    let enrolment =
        Enrolment { board: asked.board.clone(), provider: asked.provider.clone(), slots: asked.slots.get() };
    enroll(connection, &asked.node, &enrolment).await.map_err(refused)?;
    printer.note(&format!(
        "{} is enrolled as {} with {}; the leader advertises it again whenever its kubelet forgets it",
        asked.node,
        asked.board,
        count(asked.slots.get() as usize, "slot")
    ));
    let nodes = board_nodes(connection).await?;
    let Some(found) = nodes.iter().find(|found| found.node.name == asked.node) else { return Ok(()) };
    let selects = config.policy.pools.values().any(|pool| found.node.matches(&pool.node_selector));
    if !config.policy.pools.is_empty() && !selects {
        printer.warning("no pool of the configuration selects this node: nothing will run there");
        printer.hint(Some("`rrctl pools` shows what the pools select"));
    }
    Ok(())
}

async fn withdraw_node(asked: &Withdraw, connection: &Connection, printer: &Printer) -> Result<(), Failure> {
    withdraw(connection, &asked.node).await.map_err(refused)?;
    let running = workers_on(connection, &asked.node).await?;
    let rest = if running == 0 {
        "nothing runs there".to_owned()
    } else {
        format!("{} there will finish", count(running, "worker"))
    };
    printer.note(&format!("{} is withdrawn; {rest}", asked.node));
    Ok(())
}

async fn list(output: Output, connection: &Connection, printer: &Printer) -> Result<(), Failure> {
    let rows: Vec<_> = board_nodes(connection).await?.iter().map(row).collect();
    printer.data(output.format, &rows, || {
        let header = [
            Column::always("node"),
            Column::always("board"),
            Column::rank(1, "provider"),
            Column::always("slots"),
            Column::rank(2, "advertised by"),
            Column::always("ready"),
        ];
        printer.table(&header, rows.iter().map(cells))
    })
}

fn row(found: &BoardNode) -> Row {
    let BoardNode { node, source } = found;
    Row {
        node: node.name.clone(),
        board: node.labels.get(BOARD_LABEL).cloned(),
        provider: node.labels.get(PROVIDER_LABEL).cloned(),
        slots: node.slots,
        enrolled_slots: enrolled_slots(node),
        advertised_by: source.as_str(),
        ready: node.ready,
    }
}

fn cells(row: &Row) -> Vec<Value> {
    let slots = match row.enrolled_slots {
        Some(wanted) if wanted != row.slots => {
            Value::toned(&format!("{} of {wanted}", row.slots), Tone::Waiting)
        }
        Some(_) | None => Value::number(&row.slots),
    };
    let by = match row.advertised_by {
        by if by == SlotSource::Nobody.as_str() => Value::toned("nobody", Tone::Bad),
        by => by.replace('_', " ").as_str().into(),
    };
    vec![
        row.node.as_str().into(),
        Value::or_dash(row.board.as_ref()),
        Value::or_dash(row.provider.as_ref()),
        slots,
        by,
        if row.ready { Value::toned("yes", Tone::Good) } else { Value::toned("no", Tone::Bad) },
    ]
}

fn refused(error: riscv_runner_core::ports::PortError) -> Failure {
    use riscv_runner_core::ports::PortErrorKind;
    let kind = error.kind();
    let failure = Failure::from(error);
    if kind == PortErrorKind::NotFound {
        failure.hint("`kubectl get nodes` with the same kubeconfig lists those that there are")
    } else {
        failure
    }
}
