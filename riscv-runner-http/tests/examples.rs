//! The examples do what they say.

#[path = "../examples/host/main.rs"]
mod host;

#[test]
fn a_host_runs_the_engine_and_nests_the_router() {
    host::main().unwrap();
}
