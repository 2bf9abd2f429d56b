//! What to ask GitHub about, and when: doubtful things only, under a budget. Pure.

mod deliveries;
mod jobs;
mod rounds;
mod runs;
mod scopes;

pub use deliveries::{Missing, Next, all_arrived, missing_deliveries, sweep_from};
pub use jobs::{ActiveRuns, Asked, Question, event_of, questions, still_asked, without_installation};
pub use rounds::Rounds;
pub use runs::{
    RunsLeft, RunsLooked, event_of_listed, forget_active, forget_listed, forget_runs, repos_due, repos_since,
};
pub use scopes::{Looked, doubt_implausible, forget_quiet, look, scopes_due, scopes_since, still_owed};
