//! The ports: what the engine needs of a store, of GitHub and of a cluster, in the domain's words.
//!
//! Every method that changes something outside takes a [`LeaderProof`], which only the holder of the
//! lease has; observing takes none. Ports decide nothing and do not retry.

mod board_slots;
mod cluster;
mod controls;
mod delivery_log;
mod error;
mod forge;
mod lease;
mod platform;
mod reports;
mod stats;
mod store;

pub use board_slots::BoardSlots;
pub use cluster::{Cluster, CreatedPod, Grace, JitConfig, NodeMap, PodMap, PodRequest, SecretObject};
pub use controls::{AuditEntry, AuditId, ControlStore};
pub use delivery_log::DeliveryStore;
pub use error::{PortError, PortErrorKind, PortResult};
pub use forge::{
    Deletion, Forge, HookDelivery, JobDetails, JobRef, JobReport, JobSighting, MintError, MintRequest,
    Minted, RepoRef, ReportedState, RunRef,
};
pub use lease::{LeaderProof, LeaseStore};
pub use platform::{EngineEvent, LoopName, Observer, Platform, ProvisionStep, Silent};
pub use reports::{JobRow, Page, PagedJobs, PagedWorkers, ReportStore, ReportWindow, UsageRow, WorkerRow};
pub use stats::{Lately, UnroutedRow, Waits, WeekRow};
pub use store::{
    Cas, DoubtfulJob, HeadRequest, KnownRepo, Reservation, Reserved, SchedulingStore, Standing, Store,
    WorkerChange,
};
