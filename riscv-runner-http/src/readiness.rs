//! What this process has seen of the systems it depends on, for `/ready` and the overview.
//!
//! The loops write, the pages read; nothing here contacts them or decides what to do about it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use serde::Serialize;

/// No time has been noted yet; real times are far above it.
const NEVER: i64 = i64::MIN;

/// A system that this process talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The Kubernetes API.
    Cluster,
    /// GitHub's REST API.
    GitHub,
}

/// What was last seen of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PeerState {
    /// Whether the latest attempt succeeded; `None` before the first.
    pub reachable: Option<bool>,
    /// When it last answered.
    pub last_seen: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failed: Option<Timestamp>,
}

/// Shared record of when each peer was last seen. Writing it takes no lock and never waits.
#[derive(Debug)]
pub struct Readiness {
    cluster: PeerNote,
    github: PeerNote,
    leading: AtomicBool,
}

#[derive(Debug)]
struct PeerNote {
    seen: AtomicI64,
    failed: AtomicI64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { cluster: PeerNote::new(), github: PeerNote::new(), leading: AtomicBool::new(false) }
    }
}

impl Readiness {
    /// Records that a peer answered.
    pub fn seen(&self, peer: Peer, at: Timestamp) {
        self.note(peer).seen.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }

    /// Records that an attempt to reach a peer failed.
    pub fn failed(&self, peer: Peer, at: Timestamp) {
        self.note(peer).failed.fetch_max(at.as_millisecond(), Ordering::Relaxed);
    }

    /// Records whether this process leads.
    pub fn set_leading(&self, leading: bool) {
        self.leading.store(leading, Ordering::Relaxed);
    }

    /// Whether this process leads.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.leading.load(Ordering::Relaxed)
    }

    /// What was last seen of a peer.
    #[must_use]
    pub fn peer(&self, peer: Peer) -> PeerState {
        let note = self.note(peer);
        let seen = note.seen.load(Ordering::Relaxed);
        let failed = note.failed.load(Ordering::Relaxed);
        PeerState {
            reachable: (seen != NEVER || failed != NEVER).then_some(seen >= failed),
            last_seen: time(seen),
            last_failed: time(failed),
        }
    }

    const fn note(&self, peer: Peer) -> &PeerNote {
        match peer {
            Peer::Cluster => &self.cluster,
            Peer::GitHub => &self.github,
        }
    }
}

impl PeerNote {
    const fn new() -> Self {
        Self { seen: AtomicI64::new(NEVER), failed: AtomicI64::new(NEVER) }
    }
}

fn time(milliseconds: i64) -> Option<Timestamp> {
    if milliseconds == NEVER { None } else { Timestamp::from_millisecond(milliseconds).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_latest_attempt_decides() {
        let readiness = Readiness::default();
        assert_eq!(readiness.peer(Peer::Cluster).reachable, None);
        readiness.failed(Peer::Cluster, at(10));
        assert_eq!(readiness.peer(Peer::Cluster).reachable, Some(false));
        readiness.seen(Peer::Cluster, at(20));
        assert_eq!(
            readiness.peer(Peer::Cluster),
            PeerState { reachable: Some(true), last_seen: Some(at(20)), last_failed: Some(at(10)) }
        );
        readiness.failed(Peer::Cluster, at(21));
        assert_eq!(readiness.peer(Peer::Cluster).reachable, Some(false));
        assert_eq!(readiness.peer(Peer::GitHub).reachable, None, "peers do not share a note");
    }

    #[test]
    fn a_late_note_does_not_turn_time_back() {
        let readiness = Readiness::default();
        readiness.seen(Peer::GitHub, at(20));
        readiness.seen(Peer::GitHub, at(10));
        assert_eq!(readiness.peer(Peer::GitHub).last_seen, Some(at(20)));
    }
}
