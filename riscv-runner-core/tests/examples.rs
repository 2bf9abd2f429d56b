//! The examples do what they say.

#[path = "../examples/own_planner.rs"]
mod own_planner;

#[test]
fn a_host_may_plan_by_its_own_rules() {
    own_planner::main().unwrap();
}
