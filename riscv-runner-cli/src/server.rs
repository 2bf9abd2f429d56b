//! The listener: bounds how many connections there are, how large and how slow a request's head may be and how
//! slowly an answer may be taken, and speaks TLS where certificates are configured.

mod places;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use std::{io, net::SocketAddr, num::NonZeroU32, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use riscv_runner_http::rate::{PageRate, limit_pages};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::Service;

use self::{places::Places, tls::Certificates};
use crate::{config::Server, failure::Failure, platform::TokioPlatform};

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may make no progress.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest head of a request; GitHub's are below 4 KiB, and browsers' cookies are not ours.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most fields in a head.
const MAX_HEADERS: usize = 100;
/// How long to rest when the system hands out no connection, for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// What the listener allows, and how it speaks.
pub(crate) struct Entrance {
    connections: usize,
    behind_proxy: bool,
    head_timeout: Duration,
    answer_timeout: Duration,
    pages: Option<PageRate>,
    certificates: Option<Arc<Certificates>>,
}

impl Entrance {
    /// As `[server]` says.
    pub(crate) fn of(server: &Server) -> Result<Self, Failure> {
        let pages = NonZeroU32::new(server.pages_per_minute)
            .map(|rate| PageRate::new(Arc::new(TokioPlatform), rate, server.behind_proxy));
        let certificates =
            server.tls.as_ref().map(|(chain, key)| Certificates::load(chain, key)).transpose()?;
        Ok(Self {
            connections: server.max_connections as usize,
            behind_proxy: server.behind_proxy,
            head_timeout: HEAD_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
            pages,
            certificates,
        })
    }

    /// The certificates, to be followed.
    pub(crate) fn certificates(&self) -> Option<Arc<Certificates>> {
        self.certificates.clone()
    }
}

/// Serves until `stop` completes, and then until every request in flight is answered. Connections that come later
/// wait for whoever else holds the listener.
pub(crate) async fn serve(
    listener: Arc<TcpListener>,
    router: Router,
    entrance: Entrance,
    stop: impl Future<Output = ()> + Send,
) {
    let Entrance { connections, behind_proxy, head_timeout, answer_timeout, pages, certificates } = entrance;
    let router = match pages {
        Some(rate) => limit_pages(router, rate),
        None => router,
    };
    let places = Places::new(connections, behind_proxy);
    let tls = certificates.map(Certificates::acceptor);
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let next = async {
            let place = places.next().await;
            (accept(&listener).await, place)
        };
        let ((stream, peer), place) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let Some(place) = places.give(place, peer.ip()) else {
            tracing::debug!(%peer, "a connection was closed: its address has too many");
            continue;
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            let visit = Visit { peer, router, head_timeout, answer_timeout, watcher };
            match tls {
                Some(tls) => visit.over_tls(stream, &tls).await,
                None => visit.exchange(stream).await,
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and written at once.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// One connection.
struct Visit {
    peer: SocketAddr,
    router: Router,
    head_timeout: Duration,
    answer_timeout: Duration,
    watcher: Watcher,
}

impl Visit {
    async fn over_tls(self, stream: TcpStream, tls: &TlsAcceptor) {
        let peer = self.peer;
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.exchange(stream).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
        }
    }

    async fn exchange<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, router, head_timeout, answer_timeout, watcher } = self;
        // hyper waits for whoever does not read its answers.
        let mut stream = Box::pin(TimeoutStream::new(stream));
        stream.as_mut().set_write_timeout_pinned(Some(answer_timeout));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            router.clone().call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, %error, "a connection broke");
        }
    }
}
