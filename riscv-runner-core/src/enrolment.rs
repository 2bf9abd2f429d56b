//! Boards without a device plugin: an operator enrols them by a label, and the leader advertises their
//! slots for as long as they carry it. Pure.

use crate::{ids::NodeName, pod::Node, ports::NodeMap};

/// The label of an enrolled node; its value is the number of slots that are advertised for it.
pub const ENROLLED_LABEL: &str = "riseproject.dev/enrolled";

/// A node whose advertised slots are not those it was enrolled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertisement {
    /// The node.
    pub node: NodeName,
    /// The slots that it was enrolled with.
    pub slots: u32,
    /// The slots that it shows now.
    pub shown: u32,
}

/// How many slots the node was enrolled with; `None` if it was not, or its label is no number.
#[must_use]
pub fn enrolled_slots(node: &Node) -> Option<u32> {
    node.labels.get(ENROLLED_LABEL)?.parse().ok()
}

/// What must be advertised again. A kubelet that starts anew may forget what it did not count itself; one
/// that does not answer would not report it, so its node is left alone until it does.
#[must_use]
pub fn to_advertise(nodes: &NodeMap) -> Vec<Advertisement> {
    nodes
        .values()
        .filter(|node| node.ready && node.unreachable_since.is_none())
        .filter_map(|node| {
            let slots = enrolled_slots(node).filter(|slots| *slots != node.slots)?;
            Some(Advertisement { node: node.name.clone(), slots, shown: node.slots })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn node(name: &str, label: Option<&str>, slots: u32) -> Node {
        let label = label.map(|text| (ENROLLED_LABEL.to_owned(), text.to_owned()));
        Node {
            name: NodeName::new(name).unwrap(),
            labels: label.into_iter().collect(),
            ready: true,
            cordoned: false,
            unreachable_since: None,
            slots,
        }
    }

    fn advertised(nodes: &[Node]) -> Vec<(String, u32)> {
        let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (node.name.clone(), node.clone())).collect();
        to_advertise(&nodes).into_iter().map(|ad| (ad.node.to_string(), ad.slots)).collect()
    }

    #[test]
    fn what_a_kubelet_forgot_is_advertised_again() {
        let nodes = [
            node("forgot", Some("1"), 0),
            node("fine", Some("1"), 1),
            node("plugin", None, 0),
            node("too-many", Some("1"), 2),
            node("nonsense", Some("many"), 0),
        ];
        assert_eq!(advertised(&nodes), [("forgot".to_owned(), 1), ("too-many".to_owned(), 1)]);
    }

    #[test]
    fn a_node_that_does_not_answer_is_left_alone_and_a_cordoned_one_is_not() {
        let silent = Node { ready: false, ..node("silent", Some("1"), 0) };
        let lost =
            Node { unreachable_since: Some(jiff::Timestamp::UNIX_EPOCH), ..node("lost", Some("1"), 0) };
        let cordoned = Node { cordoned: true, ..node("cordoned", Some("2"), 0) };
        assert_eq!(advertised(&[silent, lost, cordoned]), [("cordoned".to_owned(), 2)]);
    }
}
