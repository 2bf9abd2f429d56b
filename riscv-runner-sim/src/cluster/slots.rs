//! Advertised slots of simulated machines.

use async_trait::async_trait;
use riscv_runner_core::{
    ids::NodeName,
    ports::{BoardSlots, LeaderProof, PortError, PortErrorKind, PortResult},
};

use super::SimCluster;

#[async_trait]
impl BoardSlots for SimCluster {
    async fn advertise(&self, proof: &LeaderProof, node: &NodeName, slots: u32) -> PortResult<()> {
        proof.guard(self.clock.now(), "advertise a board")?;
        self.ask(|truth| match truth.boards.nodes.get_mut(node) {
            Some(machine) => {
                machine.node.slots = slots;
                truth.bind_soon();
                truth.wake_cluster_watchers();
                Ok(())
            }
            None => {
                let detail = format!("there is no node {node}");
                Err(PortError::new(PortErrorKind::NotFound, "advertise a board", detail))
            }
        })
        .await
    }
}
