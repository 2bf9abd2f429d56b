//! Enrolled boards are advertised again when their kubelet forgot them.

use super::Engine;
use crate::{enrolment::to_advertise, ports::LeaderProof, snapshot::Snapshot};

impl Engine {
    /// Advertises what enrolled boards do not show. One that cannot be advertised does not stop the next.
    pub(super) async fn advertise_boards(&self, snapshot: &Snapshot, proof: &LeaderProof) {
        let Some(nodes) = snapshot.nodes.present() else { return };
        for ad in to_advertise(nodes) {
            match self.parts.cluster.advertise(proof, &ad.node, ad.slots).await {
                Ok(()) => tracing::info!(node = %ad.node, slots = ad.slots, shown = ad.shown, "advertised"),
                Err(error) => tracing::warn!(
                    node = %ad.node,
                    error = error.chain(),
                    "an enrolled board cannot be advertised; the next cycle tries again"
                ),
            }
        }
    }
}
