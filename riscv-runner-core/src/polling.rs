//! What to ask GitHub about, and when: doubtful things only, under a budget. Pure.

mod deliveries;
mod jobs;
mod runs;
mod scopes;

pub use deliveries::{all_arrived, lost_deliveries, sweep_from};
pub use jobs::{Asked, Question, events_of, questions, still_asked};
pub use runs::{RUNS_PER_SWEEP, RunsLooked, event_of_listed, forget_runs, repos_due, repos_since, runs_due};
pub use scopes::{Looked, doubt_implausible, look, scopes_due, scopes_since, still_owed};
