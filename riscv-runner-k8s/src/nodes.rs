//! What an operator does to nodes: enrols them as boards, and withdraws them. It needs the operator's own
//! rights, not the scheduler's.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{self as core, Pod};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use riscv_runner_core::{
    enrolment::{ENROLLED_LABEL, enrolled_slots},
    ids::NodeName,
    pod::Node,
    ports::{PortError, PortErrorKind, PortResult},
};
use serde_json::{Value, json};

use crate::{
    api_error::within,
    connect::Connection,
    names::{BOARD_LABEL, PROVIDER_LABEL, RUNNER_RESOURCE, is_label_value, ours},
    read_node::{is_board, read_node},
    slots::slots_patch,
};

/// How long to wait for an answer: an operator is waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What a node is enrolled as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The kind of board, as pools select it.
    pub board: String,
    /// The provider of the machine, where pools select by it.
    pub provider: Option<String>,
    /// How many jobs it runs at a time.
    pub slots: u32,
}

/// Where a board's slots come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotSource {
    /// It was enrolled; the leader advertises its slots.
    Enrolled,
    /// A device plugin advertises them.
    DevicePlugin,
    /// They are not advertised.
    Nobody,
}

impl SlotSource {
    /// The source's name in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::DevicePlugin => "device_plugin",
            Self::Nobody => "nobody",
        }
    }
}

/// A node that is or should be a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardNode {
    /// The node.
    pub node: Node,
    /// Where its slots come from.
    pub source: SlotSource,
}

/// Labels the node and advertises its slots.
///
/// # Errors
/// `NotFound` for a node that is not there, `Conflict` where a device plugin advertises already, `Denied`
/// for names that no label can hold.
pub async fn enroll(connection: &Connection, node: &NodeName, enrolment: &Enrolment) -> PortResult<()> {
    let values = [Some(&enrolment.board), enrolment.provider.as_ref()];
    if let Some(bad) = values.into_iter().flatten().find(|text| text.is_empty() || !is_label_value(text)) {
        let detail =
            format!("{bad:?} cannot be the value of a label: at most 63 letters, digits, -, _ and .");
        return Err(PortError::new(PortErrorKind::Denied, "enrol a node", detail));
    }
    if source(&get(connection, node).await?) == SlotSource::DevicePlugin {
        let detail = format!(
            "node {node} advertises {RUNNER_RESOURCE} already: its device plugin does what enrolling would; \
             label it instead"
        );
        return Err(PortError::new(PortErrorKind::Conflict, "enrol a node", detail));
    }
    let mut labels = BTreeMap::from([
        (BOARD_LABEL, Value::from(enrolment.board.clone())),
        (ENROLLED_LABEL, enrolment.slots.to_string().into()),
    ]);
    if let Some(provider) = &enrolment.provider {
        labels.insert(PROVIDER_LABEL, provider.clone().into());
    }
    label(connection, node, &labels).await?;
    advertise(connection, node, Some(enrolment.slots)).await
}

/// Removes the labels and stops advertising. Workers that run there finish; no new ones come. The label is
/// removed first, so that the leader does not advertise again.
///
/// # Errors
/// `NotFound` for a node that is not there, `Conflict` for one that was never enrolled.
pub async fn withdraw(connection: &Connection, node: &NodeName) -> PortResult<()> {
    let found = get(connection, node).await?;
    if source(&found) != SlotSource::Enrolled {
        let detail = format!("node {node} was not enrolled: it has no label {ENROLLED_LABEL}");
        return Err(PortError::new(PortErrorKind::Conflict, "withdraw a node", detail));
    }
    let labels = [ENROLLED_LABEL, BOARD_LABEL, PROVIDER_LABEL].map(|key| (key, Value::Null));
    label(connection, node, &labels.into()).await?;
    advertise(connection, node, None).await
}

/// The nodes that are boards, by name.
///
/// # Errors
/// When the cluster does not list them.
pub async fn board_nodes(connection: &Connection) -> PortResult<Vec<BoardNode>> {
    let api: Api<core::Node> = Api::all(connection.client.clone());
    let listed = within(ANSWER_WITHIN, api.list(&ListParams::default()))
        .await
        .map_err(|error| error.into_port("list nodes", "nodes"))?;
    let mut boards: Vec<_> = listed
        .items
        .iter()
        .filter(|node| is_board(node))
        .filter_map(|node| Some(BoardNode { node: read_node(node)?, source: source(node) }))
        .collect();
    boards.sort_by(|a, b| a.node.name.cmp(&b.node.name));
    Ok(boards)
}

/// How many workers run on the node.
///
/// # Errors
/// When the cluster does not list them.
pub async fn workers_on(connection: &Connection, node: &NodeName) -> PortResult<usize> {
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let there = ListParams::default().labels(&ours()).fields(&format!("spec.nodeName={node}"));
    let listed = within(ANSWER_WITHIN, api.list(&there))
        .await
        .map_err(|error| error.into_port("list pods", format!("pods on {node}")))?;
    let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
    Ok(listed.iter().filter(|pod| !matches!(&*phase(pod), "Succeeded" | "Failed")).count())
}

fn source(node: &core::Node) -> SlotSource {
    let read = read_node(node);
    if read.as_ref().is_some_and(|node| enrolled_slots(node).is_some()) {
        return SlotSource::Enrolled;
    }
    let capacity = node.status.as_ref().and_then(|status| status.capacity.as_ref());
    let plugin = capacity.and_then(|table| table.get(RUNNER_RESOURCE)).is_some_and(|q| q.0 != "0");
    if plugin { SlotSource::DevicePlugin } else { SlotSource::Nobody }
}

async fn get(connection: &Connection, node: &NodeName) -> PortResult<core::Node> {
    let api: Api<core::Node> = Api::all(connection.client.clone());
    let found = within(ANSWER_WITHIN, api.get(node.as_str())).await;
    found.map_err(|error| error.into_port("read a node", format!("node {node}")))
}

async fn label(connection: &Connection, node: &NodeName, labels: &BTreeMap<&str, Value>) -> PortResult<()> {
    let api: Api<core::Node> = Api::all(connection.client.clone());
    let patch = Patch::Merge(json!({ "metadata": { "labels": labels } }));
    let answer = within(ANSWER_WITHIN, api.patch(node.as_str(), &PatchParams::default(), &patch)).await;
    answer.map(|_| ()).map_err(|error| error.into_port("label a node", format!("node {node}")))
}

async fn advertise(connection: &Connection, node: &NodeName, slots: Option<u32>) -> PortResult<()> {
    let api: Api<core::Node> = Api::all(connection.client.clone());
    let patch = slots_patch(slots);
    let answer =
        within(ANSWER_WITHIN, api.patch_status(node.as_str(), &PatchParams::default(), &patch)).await;
    answer.map(|_| ()).map_err(|error| error.into_port("advertise a board", format!("node {node}")))
}
