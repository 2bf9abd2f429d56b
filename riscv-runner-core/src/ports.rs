//! The ports: what the engine needs of a store, of GitHub and of a cluster, in the domain's words.
//!
//! Every method that changes something outside takes a [`LeaderProof`], which only the holder of the
//! lease has; observing takes none. Ports decide nothing and do not retry.

mod cluster;
mod error;
mod forge;
mod platform;
mod store;

pub use cluster::{Cluster, CreatedPod, Grace, JitConfig, NodeMap, PodMap, PodRequest, SecretObject};
pub use error::{PortError, PortErrorKind, PortResult};
pub use forge::{
    Deletion, Forge, HookDelivery, JobDetails, JobRef, JobReport, JobSighting, MintError, MintRequest,
    Minted, RepoRef, ReportedState, RunRef,
};
pub use platform::{EngineEvent, LoopName, Observer, Platform, ProvisionStep, Silent};
pub use store::{
    Cas, DeliveryStore, DoubtfulJob, HeadRequest, JobRow, KnownRepo, LeaderProof, LeaseStore, Page,
    PagedJobs, PagedWorkers, ReportStore, ReportWindow, Reservation, Reserved, SchedulingStore, Standing,
    Store, UsageRow, WorkerChange, WorkerRow,
};
