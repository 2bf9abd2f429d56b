//! The examples do what they say.

#[path = "../examples/own_planner.rs"]
mod own_planner;
#[path = "../examples/service/main.rs"]
mod service;

#[test]
fn a_host_may_plan_by_its_own_rules() {
    own_planner::main().unwrap();
}

#[test]
fn a_service_runs_the_engine_with_its_own_store() {
    service::main().unwrap();
}
