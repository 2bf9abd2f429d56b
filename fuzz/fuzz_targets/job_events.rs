//! Events of a job under a fuzzer; a program that replays inputs without one.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| laws::job_events(input));

#[cfg(not(fuzzing))]
fn main() {
    laws::replay(laws::job_events);
}
