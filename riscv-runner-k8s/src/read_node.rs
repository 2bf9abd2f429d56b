//! A node as Kubernetes stores it, reduced to what the domain knows about machines. Pure.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{self as core, NodeCondition},
    apimachinery::pkg::api::resource::Quantity,
};
use riscv_runner_core::{ids::NodeName, pod::Node};

use crate::names::{BOARD_LABEL, RUNNER_RESOURCE, UNREACHABLE_TAINT};

/// Reads a node; `None` if its name is not one.
#[must_use]
pub fn read_node(node: &core::Node) -> Option<Node> {
    let name = NodeName::new(node.metadata.name.as_deref()?).ok()?;
    let ready = condition(node, "Ready");
    Some(Node {
        name,
        labels: node.metadata.labels.clone().unwrap_or_default(),
        ready: ready.is_some_and(|condition| condition.status == "True"),
        cordoned: node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false),
        unreachable_since: unreachable_since(node, ready),
        slots: slots(node),
    })
}

/// Whether it is one of our boards, even while its device plugin does not report.
pub(crate) fn is_board(node: &core::Node) -> bool {
    let status = node.status.as_ref();
    let tables = [status.and_then(|s| s.allocatable.as_ref()), status.and_then(|s| s.capacity.as_ref())];
    let labelled = node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(BOARD_LABEL));
    labelled || tables.into_iter().flatten().any(|table| table.contains_key(RUNNER_RESOURCE))
}

fn condition<'a>(node: &'a core::Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// The control plane sets the taint twice (`NoSchedule` without a time, `NoExecute` with one).
fn unreachable_since(node: &core::Node, ready: Option<&NodeCondition>) -> Option<Timestamp> {
    let taints = node.spec.as_ref()?.taints.as_ref()?;
    let mut unreachable = taints.iter().filter(|taint| taint.key == UNREACHABLE_TAINT).peekable();
    unreachable.peek()?;
    unreachable
        .filter_map(|taint| taint.time_added.as_ref())
        .map(|time| time.0)
        .min()
        .or_else(|| ready.and_then(|condition| condition.last_transition_time.as_ref()).map(|time| time.0))
        .or_else(|| node.metadata.creation_timestamp.as_ref().map(|time| time.0))
        .or(Some(Timestamp::UNIX_EPOCH))
}

fn slots(node: &core::Node) -> u32 {
    let Quantity(text) = node
        .status
        .as_ref()
        .and_then(|status| status.allocatable.as_ref())
        .and_then(|allocatable| allocatable.get(RUNNER_RESOURCE))
        .cloned()
        .unwrap_or_default();
    text.parse().unwrap_or(0)
}
