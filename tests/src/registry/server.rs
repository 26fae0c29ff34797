//! Listeners and connections.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::deliver::deliver;
use super::log::Exchange;
use super::plan::After;
use super::{Shared, http, lock};

/// Serves until `stopped` resolves, on the calling thread.
pub(super) fn run(
    shared: &Arc<Shared>,
    listener: TcpListener,
    issuer_listener: Option<TcpListener>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has room for an event loop");
    runtime.block_on(async {
        let acceptor = shared.options.tls.as_ref().map(|tls| TlsAcceptor::from(Arc::new(tls.server_config())));
        for listener in std::iter::once(listener).chain(issuer_listener) {
            let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
            tokio::spawn(accept(Arc::clone(shared), listener, acceptor.clone()));
        }
        // An error says that the sender is gone, which is how a registry stops.
        let _ = stopped.await;
    });
}

async fn accept(shared: Arc<Shared>, listener: tokio::net::TcpListener, acceptor: Option<TlsAcceptor>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // What breaks a connection is the client's matter, or the scenario's.
                tokio::spawn(connection(Arc::clone(&shared), stream, acceptor.clone()));
            }
            // Out of descriptors, most likely: some may come free.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, acceptor: Option<TlsAcceptor>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let port = stream.local_addr()?.port();
    let mut wire = match acceptor {
        None => Wire::Plain(stream),
        Some(acceptor) => {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
                return refuse_plain(stream).await;
            }
            match acceptor.accept(stream).into_fallible().await {
                Ok(stream) => Wire::Tls(Box::new(stream)),
                Err((_, stream)) => return end_gently(stream).await,
            }
        }
    };
    match converse(&shared, port, &mut wire).await? {
        After::Keep | After::Close => wire.close().await,
        After::Drop => Ok(()),
        After::Reset => wire.reset(),
        After::Silence => std::future::pending().await,
    }
}

/// Closes a connection that was refused by an alert, which a reset would overtake.
async fn end_gently(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = Vec::new();
    stream.take(REQUEST_MAX as u64).read_to_end(&mut rest).await.map(drop)
}

/// Type of the record that starts a TLS handshake.
const TLS_HANDSHAKE: u8 = 22;

async fn refuse_plain(mut stream: TcpStream) -> io::Result<()> {
    // Unread bytes would turn the close into a reset, which may overtake the answer.
    let mut request = Vec::with_capacity(4096);
    stream.read_buf(&mut request).await?;
    stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n").await?;
    stream.shutdown().await
}

/// Answers requests until the connection ends.
async fn converse(shared: &Shared, port: u16, wire: &mut Wire) -> io::Result<After> {
    let connection = shared.log.next_connection();
    let mut buffer = Vec::new();
    loop {
        let exchange = match read_request(wire, &mut buffer, connection, port).await? {
            Received::Request(exchange) => exchange,
            Received::End => return Ok(After::Close),
            Received::Malformed => {
                wire.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
                return Ok(After::Close);
            }
        };
        let number = shared.log.enter(exchange.clone());
        let actions = lock(&shared.scenario).take(&exchange);
        let after = deliver(shared, exchange, number, &actions, wire).await?;
        if after != After::Keep {
            return Ok(after);
        }
    }
}

enum Received {
    Request(Exchange),
    Malformed,
    End,
}

async fn read_request(wire: &mut Wire, buffer: &mut Vec<u8>, connection: usize, port: u16) -> io::Result<Received> {
    let (mut exchange, head) = loop {
        match http::parse_head(buffer, connection, port) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) if buffer.len() < REQUEST_MAX => {}
            Ok(None) | Err(()) => return Ok(Received::Malformed),
        }
        if wire.read(buffer).await? == 0 {
            return Ok(Received::End);
        }
    };
    let length = exchange.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    if length > REQUEST_MAX {
        return Ok(Received::Malformed);
    }
    while buffer.len() < head + length {
        if wire.read(buffer).await? == 0 {
            return Ok(Received::End);
        }
    }
    let rest = buffer.split_off(head + length);
    exchange.body = buffer.split_off(head);
    *buffer = rest;
    Ok(Received::Request(exchange))
}

/// Longest head, and longest body, that a client of a registry sends here.
const REQUEST_MAX: usize = 256 * 1024;

/// A connection, with TLS or without.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => stream.write_all(bytes).await,
        }
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush().await,
            Self::Tls(stream) => stream.flush().await,
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    fn reset(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}
