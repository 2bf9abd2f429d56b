//! The ports: what the engine needs of a store, of GitHub and of a cluster, in the domain's words.
//!
//! Every method that changes something outside takes a [`LeaderProof`], which only the holder of the
//! lease has; observing takes none. Ports decide nothing and do not retry, with one
//! exception: registering a runner, which GitHub refuses in bursts while a job waits, is tried a few times.

mod board_slots;
mod cluster;
mod controls;
mod delivery_log;
mod derived;
mod error;
mod events;
mod forge;
mod inspector;
mod lease;
mod notifier;
mod platform;
mod recovery;
mod reports;
mod retention;
mod stats;
mod store;
mod tracer;

pub use board_slots::BoardSlots;
pub use cluster::{Cluster, CreatedPod, Grace, JitConfig, NodeMap, PodMap, PodRequest, SecretObject};
pub use controls::{AuditEntry, AuditId, ControlStore};
pub use delivery_log::DeliveryStore;
pub use error::{PortError, PortErrorKind, PortResult, chain};
pub use events::{EventQuery, EventStore, EventsOf, LoggedDelivery, LoggedEvent};
pub use forge::{
    ActiveRun, Deletion, Forge, HookDelivery, JobDetails, JobRef, JobReport, JobSighting, MintError,
    MintRequest, Minted, RepoRef, ReportedState, RunRef,
};
pub use inspector::{Account, Inspector, Installed, OurApp, RepositoryFacts, RepositoryState, RunnerGroup};
pub use lease::{LeaderProof, LeaseStore};
pub use notifier::{Monitor, Notifier};
pub use platform::{
    EngineEvent, LoopName, NoticeOutcome, Observer, PanicPlace, Platform, ProvisionStep, Silent,
};
pub use recovery::Recovery;
pub use reports::{
    Ahead, COUNTED_BEHIND, JobRow, Page, PagedJobs, PagedWorkers, ReportStore, ReportWindow, RowFilter,
    Total, UsageRow, WorkerRow,
};
pub use retention::{Remover, RetentionStore};
pub use stats::{Lately, UnroutedRow, Waits, WeekRow};
pub use store::{
    Cas, DoubtfulJob, DoubtfulJobs, DoubtfulPlace, DoubtfulQuery, HeadRequest, INSTALLATION_NEWS, KnownRepo,
    PoolShare, Reservation, Reserved, SchedulingStore, Standing, Store, WorkerChange,
};
pub use tracer::Tracer;
