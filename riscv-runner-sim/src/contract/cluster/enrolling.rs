//! Laws about advertised slots.

use futures::{FutureExt, future::BoxFuture};
use riscv_runner_core::{ids::NodeName, pod::Node, ports::PortErrorKind};

use super::Subject;

pub(super) fn advertised_slots_are_seen(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let node = Node { slots: 0, ..subject.node("enrolled") };
        subject.stage.set_node(&node).await.expect("the node is there");
        for slots in [1, 2, 2] {
            let advertised = subject.cluster.advertise(&subject.proof, &node.name, slots).await;
            advertised.expect("the slots are advertised");
            let seen = async || {
                let nodes = subject.cluster.nodes().await.expect("nodes can be observed");
                nodes.get(&node.name).filter(|node| node.slots == slots).map(|_| ())
            };
            subject.eventually(&format!("the node has {slots} slots"), seen).await;
        }
        subject.stage.remove_node(&node.name).await.expect("the node goes");
    }
    .boxed()
}

pub(super) fn a_node_that_is_not_there_has_no_slots(subject: &Subject) -> BoxFuture<'_, ()> {
    async move {
        let nowhere = NodeName::new(format!("{}nowhere", subject.prefix)).expect("a node's name");
        let refused = subject.cluster.advertise(&subject.proof, &nowhere, 1).await;
        assert_eq!(refused.map_err(|error| error.kind()), Err(PortErrorKind::NotFound));
    }
    .boxed()
}
