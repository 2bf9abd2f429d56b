//! The engine: loops that observe, plan, audit and execute. No policy lives here.

pub mod intake;
pub mod wake;
