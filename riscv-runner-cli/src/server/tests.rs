//! The listener over real connections.

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

async fn start(entrance: Entrance) -> Running {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "here" }));
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(serve(Arc::new(listener), router, entrance, async { drop(stopped.await) }));
    Running { address, stop, served }
}

fn entrance(connections: usize, head_timeout: Duration) -> Entrance {
    // Every connection of a test has one address.
    let behind_proxy = true;
    Entrance {
        connections,
        behind_proxy,
        head_timeout,
        answer_timeout: PATIENCE,
        pages: None,
        certificates: None,
    }
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses may close before it has read all.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// Everything until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A server that refuses may reset the connection after its answer.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_head_that_does_not_come_or_is_too_large_ends_the_connection() {
    let server = start(entrance(8, Duration::from_millis(50))).await;
    assert!(rest(send(server.address, REQUEST).await).await.ends_with("here"));
    let slow = rest(send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n").await).await;
    assert!(!slow.contains("here"), "{slow}");
    let silent = rest(TcpStream::connect(server.address).await.unwrap()).await;
    assert_eq!(silent, "");
    let large = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(8 * MAX_HEAD_BYTES));
    let large = rest(send(server.address, &large).await).await;
    assert!(large.is_empty() || large.starts_with("HTTP/1.1 431"), "{large}");
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS + 1));
    assert!(rest(send(server.address, &many).await).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let server = start(entrance(1, PATIENCE)).await;
    let first = send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    first.readable().await.unwrap();
    let mut second = send(server.address, REQUEST).await;
    let mut byte = [0];
    let waits = timeout(Duration::from_millis(100), second.read(&mut byte)).await;
    assert!(waits.is_err(), "the first one holds the only place");
    drop(first);
    assert!(rest(second).await.ends_with("here"));
}

#[tokio::test]
async fn who_does_not_read_the_answers_loses_the_place() {
    let answer_timeout = Duration::from_millis(100);
    let server = start(Entrance { answer_timeout, ..entrance(1, PATIENCE) }).await;
    let mut greedy = TcpStream::connect(server.address).await.unwrap();
    let asking = async {
        // Until neither side's buffers take any more.
        while greedy.write_all("GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_bytes()).await.is_ok() {}
    };
    timeout(PATIENCE, asking).await.expect("the connection is broken off");
    assert!(rest(send(server.address, REQUEST).await).await.ends_with("here"));
}

#[tokio::test]
async fn one_address_does_not_take_every_place() {
    let server = start(Entrance { behind_proxy: false, ..entrance(4, PATIENCE) }).await;
    let first = send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    first.readable().await.unwrap();
    assert_eq!(rest(TcpStream::connect(server.address).await.unwrap()).await, "", "it is closed at once");
}

#[tokio::test]
async fn pages_are_limited_by_the_address_of_the_connection() {
    let rate = PageRate::new(Arc::new(TokioPlatform), NonZeroU32::new(4).unwrap(), false);
    let server = start(Entrance { pages: Some(rate), ..entrance(8, PATIENCE) }).await;
    assert!(rest(send(server.address, REQUEST).await).await.ends_with("here"));
    let refused = rest(send(server.address, REQUEST).await).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after:"), "{refused}");
}

#[tokio::test]
async fn stopping_answers_what_is_in_flight_and_closes_what_is_idle() {
    let server = start(entrance(8, PATIENCE)).await;
    let idle = send(server.address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    idle.readable().await.unwrap();
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.served).await.expect("it stops").unwrap();
    assert!(rest(idle).await.ends_with("here"));
}
