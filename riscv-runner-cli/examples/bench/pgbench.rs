//! The limit: how many transactions per second the same server takes that write the same three things
//! (the job's row, the log's row with the same payload, the notification), one delivery in each.

use std::{path::PathBuf, process::Stdio, time::Duration};

use tokio::process::Command;

use crate::Outcome;

/// One delivery. Neither the counts of demand nor the look for duplicates, which ours pays for, is in it.
const TRANSACTION: &str = "\
\\set n :n + 1
\\set job :first + :client_id * 10000000 + :n
BEGIN;
INSERT INTO jobs (job_id, run_id, entity_id, entity_name, entity_type, repo_id, repo_full_name, repo_private, \
installation_id, job_labels, pool_key, k8s_pool, k8s_image, html_url, job_name, job_created_at, status, attempt) \
VALUES (:job, 1, 134263123, 'example-organization', 'Organization', 612354784, \
'example-organization/some-riscv-project', false, 4711, '[\"ubuntu-24.04-riscv\"]', \
'org:134263123|ubuntu-24.04-riscv', 'boards', 'registry.example/runner:1', \
'https://github.com/example-organization/some-riscv-project/actions/runs/6471123456/job/17568912345', \
'build (riscv64, rvv, gcc-14, release)', '2026-11-21T05:06:30Z', 'pending', 1);
INSERT INTO installation_events (source, event, outcome, installation_id, app_id, entity_type, entity_id, \
entity_name, payload, received_at, delivery_guid) \
VALUES ('webhook', 'workflow_job.queued', 'job_stored', 4711, 101, 'Organization', 134263123, \
'example-organization', :payload, now(), 'g-' || :job);
SELECT pg_notify('pgbench_queue_event', '');
END;
";

/// What one run came to.
pub(crate) struct Limit {
    /// Clients at once.
    pub(crate) clients: u32,
    /// Transactions per second.
    pub(crate) per_second: f64,
    /// The mean duration of one, in milliseconds.
    pub(crate) mean_ms: f64,
}

/// Runs pgbench for a while against a migrated schema.
pub(crate) async fn run(
    url: &str,
    schema: &str,
    payload: &str,
    clients: u32,
    time: Duration,
) -> Outcome<Limit> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), TRANSACTION)?;
    let output = Command::new(program())
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={}", time.as_secs().max(1)))
        .arg(format!("--file={}", script.path().display()))
        .arg(format!("--define=payload={payload}"))
        .arg("--define=n=0")
        .arg(format!("--define=first={}", u64::from(clients) * 1_000_000_000))
        .arg(url)
        .env("PGOPTIONS", format!("-c search_path={schema}"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("pgbench could not be run ({error}); apt-get install postgresql-contrib"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
    };
    match (output.status.success(), number("tps = "), number("latency average = ")) {
        (true, Some(per_second), Some(mean_ms)) => Ok(Limit { clients, per_second, mean_ms }),
        _ => Err(format!("pgbench failed:\n{text}\n{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

fn program() -> PathBuf {
    let named =
        std::env::var_os("RRCTL_TEST_PG_BIN").map(|directory| PathBuf::from(directory).join("pgbench"));
    named.filter(|program| program.is_file()).unwrap_or_else(|| "pgbench".into())
}
