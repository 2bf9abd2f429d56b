//! As little HTTP as a load generator needs: one kept-alive connection, so that the processors are left
//! to what is measured.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Outcome;

/// An answer's head is shorter.
const HEAD_LIMIT: usize = 16 * 1024;

/// A connection to the server.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and reads the whole answer; its status and body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<(u16, Vec<u8>)> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end + 4;
            }
            if self.received.len() > HEAD_LIMIT || self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server did not answer with HTTP".into());
            }
        };
        let text = std::str::from_utf8(&self.received[..head])?;
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or("the answer has no status")?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.ok_or("the answer has no length")?;
        while self.received.len() < head + length {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the answer ended early".into());
            }
        }
        Ok((status, self.received[head..head + length].to_vec()))
    }
}

/// One `GET` over a connection of its own; the status.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Outcome<u16> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    Ok(Connection::open(address).await?.exchange(request.as_bytes()).await?.0)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
