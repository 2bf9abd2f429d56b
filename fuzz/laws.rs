//! What every input must satisfy, one function for each fuzz target, and the replay of saved inputs.
//!
//! A broken law is a panic. Nothing here depends on a fuzzer.

#[path = "laws/configuration.rs"]
mod configuration;
#[path = "laws/job_events.rs"]
mod job_events;
#[path = "laws/labels.rs"]
mod labels;
#[path = "laws/plan.rs"]
mod plan;
#[path = "laws/signature_header.rs"]
mod signature_header;
#[path = "laws/webhook_body.rs"]
mod webhook_body;

use std::{fs, path::Path};

pub use self::{
    configuration::configuration, job_events::job_events, labels::labels, plan::plan,
    signature_header::signature_header, webhook_body::webhook_body,
};

/// Replays saved inputs: the files and folders named on the command line.
///
/// # Panics
/// When a law is broken, or a path cannot be read.
#[expect(clippy::print_stdout, reason = "a program that tells what it did")]
pub fn replay(law: fn(&[u8])) {
    let mut replayed = 0;
    for path in std::env::args_os().skip(1) {
        replayed += replay_path(law, Path::new(&path));
    }
    assert!(replayed > 0, "name the files or folders to replay");
    println!("{replayed} inputs replayed");
}

fn replay_path(law: fn(&[u8]), path: &Path) -> usize {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return entries.flatten().map(|entry| replay_path(law, &entry.path())).sum();
    }
    law(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target's name, its law, and how many seeds it has at least.
    type Target = (&'static str, fn(&[u8]), usize);

    const TARGETS: [Target; 6] = [
        ("webhook_body", webhook_body, 6),
        ("signature_header", signature_header, 4),
        ("labels", labels, 4),
        ("job_events", job_events, 3),
        ("plan", plan, 2),
        ("configuration", configuration, 4),
    ];

    /// Changed seeds, for each seed.
    const CHANGED: u64 = 200;

    fn folder(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
    }

    #[test]
    fn the_seeds_keep_the_laws() {
        for (name, law, n_seeds) in TARGETS {
            assert!(replay_path(law, &folder(name)) >= n_seeds, "{name}");
        }
    }

    /// A little of what a fuzzer does, the same in every run.
    #[test]
    fn changed_seeds_keep_the_laws() {
        for (name, law, _) in TARGETS {
            let seeds = fs::read_dir(folder(name)).expect("the seeds are there").flatten();
            let mut seeds: Vec<_> = seeds.map(|entry| entry.path()).collect();
            seeds.sort();
            for seed in seeds {
                let seed = fs::read(seed).expect("a seed can be read");
                (1..=CHANGED).for_each(|n| law(&changed(seed.clone(), n)));
            }
        }
    }

    /// Some bytes replaced, removed or repeated.
    fn changed(mut input: Vec<u8>, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
        };
        for _ in 0..=next(3) {
            let (at, len) = (next(input.len()), next(8));
            let end = (at + len).min(input.len());
            match next(3) {
                0 if at < input.len() => input[at] = b"0\"{}[],:-\n=1 a\xff"[next(15)],
                1 => drop(input.drain(at..end)),
                _ => {
                    let again: Vec<u8> = input[at..end].to_vec();
                    input.splice(at..at, again);
                }
            }
        }
        input
    }
}
