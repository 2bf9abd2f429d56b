//! The server goes away and comes back; and the throw-away server goes with its process.

#![expect(clippy::unwrap_used, reason = "so that the parts that tests share read like tests")]

mod common;

use std::{
    io::{BufRead, BufReader},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::{assert_counts_are_exact, delivery, facts};
use jiff::Timestamp;
use riscv_runner_core::{
    delivery::Recorded,
    ids::{DeliveryGuid, ReplicaName},
    job::JobEvent,
    ports::{DeliveryStore, LeaseStore, PortErrorKind, PortResult, ReportStore, SchedulingStore},
};
use riscv_runner_pg::{PgConfig, PgStore, migrate, pending_migrations, testing::ThrowAwayPostgres};
use tokio::{net::TcpListener, sync::watch};

const BOUND: Duration = Duration::from_secs(180);

/// Records one delivery after the other until the server has gone and come back; returns the GUIDs
/// that were acknowledged.
async fn write_through(store: &PgStore, writer: usize, until: impl Fn() -> bool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut id = 1_000_000 * (writer as i64 + 1);
    let started = Instant::now();
    while !until() {
        assert!(started.elapsed() < BOUND, "the server did not come back");
        id += 1;
        let guid = format!("{writer}-{id}");
        let answer: PortResult<Vec<PortResult<Recorded>>> =
            store.record_deliveries(&[delivery(&guid, &facts(id), JobEvent::Queued)]).await;
        match answer.map(|mut results| results.remove(0)) {
            Ok(Ok(_)) => acknowledged.push(guid),
            Ok(Err(error)) | Err(error) => {
                assert_eq!(error.kind(), PortErrorKind::Transient, "{}", error.chain());
            }
        }
        tokio::task::yield_now().await;
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_deliveries_survive_a_crash_of_the_server() {
    // Default durability: what is acknowledged must be on the disk.
    let server = ThrowAwayPostgres::start_with(&[]).unwrap();
    let config = server.fresh_config();
    migrate(&config).await.unwrap();
    let store = PgStore::connect(&config).await.unwrap();
    let back = std::sync::atomic::AtomicU32::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    let before = write_through(&store, 0, || back.fetch_add(1, order) >= 50).await;
    assert_eq!(before.len(), 50);
    back.store(0, order);
    let (acknowledged, ()) = futures::future::join(
        futures::future::join_all(
            (1..5).map(|writer| write_through(&store, writer, || back.load(order) == 1)),
        ),
        async {
            tokio::task::block_in_place(|| {
                server.crash().unwrap();
                server.resume().unwrap();
            });
            back.store(1, order);
        },
    )
    .await;
    let after = write_through(&store, 9, || back.fetch_add(1, order) >= 10).await;
    assert!(!after.is_empty(), "it goes on by itself");
    let all: Vec<DeliveryGuid> = before
        .into_iter()
        .chain(acknowledged.into_iter().flatten())
        .chain(after)
        .map(|guid| DeliveryGuid::new(guid).unwrap())
        .collect();
    assert_eq!(store.known_deliveries(&all).await.unwrap().len(), all.len());
    assert_counts_are_exact(&store).await;
}

#[tokio::test]
async fn a_server_that_is_down_is_named_with_what_to_check_and_without_the_password() {
    let schema = "prod".parse().unwrap();
    let config = PgConfig::new("postgres://u:s3cret@127.0.0.1:1/rr".to_owned().into(), schema);
    for error in [
        PgStore::connect(&config).await.map(|_| ()).unwrap_err(),
        migrate(&config).await.map(|_| ()).unwrap_err(),
        pending_migrations(&config).await.map(|_| ()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), PortErrorKind::Transient);
        let text = error.chain();
        assert!(text.contains("u@127.0.0.1:1/rr") && text.contains("store.url"), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_says_what_to_mend() {
    let server = ThrowAwayPostgres::shared();
    let schema: riscv_runner_pg::SchemaName = "prod".parse().unwrap();
    let elsewhere = format!("{}/nowhere", server.url().rsplit_once('/').unwrap().0);
    let config = PgConfig::new(elsewhere.into(), schema);
    let error = PgStore::connect(&config).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert!(error.to_string().contains("create the database"), "{error}");

    let unmigrated = PgStore::connect(&server.fresh_config()).await.unwrap();
    let error = unmigrated.job(facts(1).id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied, "{}", error.chain());
}

/// Stands between a store and its server. Once it is silent, nothing is passed on and nobody is told, as
/// when a firewall forgets a connection; new connections are served.
async fn between(server: String, silent: watch::Receiver<u32>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut here, _)) = listener.accept().await {
            let (server, mut silent) = (server.clone(), silent.clone());
            let since = *silent.borrow_and_update();
            tokio::spawn(async move {
                let mut there = tokio::net::TcpStream::connect(server).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
                    () = async { drop(silent.wait_for(|times| *times > since).await) } => std::future::pending().await,
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_given_up() {
    let server = ThrowAwayPostgres::shared();
    let (silence, silent) = watch::channel(0);
    let (before, rest) = server.url().split_once('@').unwrap();
    let (address, database) = rest.split_once('/').unwrap();
    let port = between(address.to_owned(), silent).await;
    let direct = server.fresh_config();
    migrate(&direct).await.unwrap();
    let config = PgConfig {
        url: format!("{before}@127.0.0.1:{port}/{database}").into(),
        max_connections: 1,
        answer_limit: Duration::from_secs(1),
        ..direct
    };
    let store = PgStore::connect(&config).await.unwrap();
    let name = ReplicaName::new("one").unwrap();
    let started = Instant::now();
    let mut silences = 0;
    for n in 0..3 {
        // The one connection that may be held is free again: the dead one was not taken back.
        let proof = loop {
            assert!(started.elapsed() < BOUND, "the pool is stuck");
            let lease = store.acquire_lease(&name, Duration::from_secs(600), Timestamp::UNIX_EPOCH).await;
            if let Ok(Some(proof)) = lease {
                break proof;
            }
        };
        // A connection that was idle for long is tried first, and then it is not this one that is asked.
        let error = loop {
            assert!(started.elapsed() < BOUND, "silence is not noticed");
            while store.pool().num_idle() == 0 {
                tokio::task::yield_now().await;
            }
            silences += 1;
            silence.send_replace(silences);
            let answer = if n % 2 == 0 {
                store.leader().await.map(drop)
            } else {
                store.join_job(&proof, facts(1).id, &JobEvent::Revived { attempt: 1 }).await.map(drop)
            };
            if let Err(error) = answer {
                break error;
            }
        };
        assert_eq!(error.kind(), PortErrorKind::Transient);
        let text = error.chain();
        let what = if n % 2 == 0 { "read the lease" } else { "join evidence into a job" };
        let place = format!("127.0.0.1:{port}");
        assert!(
            [what, &place, "has not answered within 1s"].iter().all(|part| text.contains(part)),
            "{text}"
        );
    }
}

const CHILD: &str = "RRCTL_TEST_THROW_AWAY_CHILD";

/// Not a law of its own: the process that the next test kills. Alone it only starts and stops a server.
#[test]
fn a_server_starts_and_stops() {
    let server = ThrowAwayPostgres::start().unwrap();
    #[expect(clippy::print_stdout, reason = "tells the test that waits for it")]
    if std::env::var_os(CHILD).is_some() {
        println!("\nurl={}", server.url());
        loop {
            std::thread::park();
        }
    }
    let address = address_of(server.url());
    assert!(TcpStream::connect(&address).is_ok());
    drop(server);
    assert!(TcpStream::connect(&address).is_err(), "it is gone when drop returns");
}

fn address_of(url: &str) -> String {
    url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned()
}

#[test]
fn a_server_is_gone_after_its_process_was_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_starts_and_stops", "--nocapture"])
        .env(CHILD, "1")
        .env_remove("RRCTL_TEST_POSTGRES_URL")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("url=").map(ToOwned::to_owned));
    let address = address_of(&url.expect("the child starts a server"));
    assert!(TcpStream::connect(&address).is_ok());
    let directory = std::env::temp_dir().join(format!("rrctl-pg-{}-0", child.id()));
    assert!(Path::new(&directory).exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let started = Instant::now();
    while TcpStream::connect(&address).is_ok() || directory.exists() {
        assert!(started.elapsed() < BOUND, "{address} or {} is still there", directory.display());
        std::thread::yield_now();
    }
}
