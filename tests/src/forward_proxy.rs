//! A forward proxy on loopback: tunnels by CONNECT (RFC 9110, section 9.3.6), and requests in absolute form
//! (RFC 9112, section 3.2.2).
//!
//! It knows hosts by the routes that it was given, so that a client can be shown any name, and resolves
//! none; besides, it reaches addresses on loopback.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A request that came to a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// The method, in upper case as sent.
    pub method: String,
    /// The target, as sent: `host:port` for a tunnel, else a URL.
    pub target: String,
    /// The header fields, as sent.
    pub headers: Vec<(String, String)>,
}

impl Proxied {
    /// Returns the first header field of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A proxy that runs as long as this value lives.
///
/// ```
/// use oci_fetcher_tests::forward_proxy::ForwardProxy;
///
/// let proxy = ForwardProxy::start(&[("registry.example:443", "127.0.0.1:5000".parse()?)]);
/// assert!(proxy.url().starts_with("http://127.0.0.1:"));
/// assert_eq!(proxy.requests(), []);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct ForwardProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    routes: BTreeMap<String, SocketAddr>,
    /// The `Proxy-Authorization` without which nothing passes.
    authorization: Option<String>,
    requests: Mutex<Vec<Proxied>>,
    stopping: AtomicBool,
}

impl ForwardProxy {
    /// Starts a proxy on a free port of 127.0.0.1, which leads each `host:port` where its route says.
    #[must_use]
    pub fn start(routes: &[(&str, SocketAddr)]) -> Self {
        Self::run(routes, None)
    }

    /// Starts one that lets only requests with this `Proxy-Authorization` pass.
    #[must_use]
    pub fn start_guarded(routes: &[(&str, SocketAddr)], authorization: &str) -> Self {
        Self::run(routes, Some(authorization.to_owned()))
    }

    fn run(routes: &[(&str, SocketAddr)], authorization: Option<String>) -> Self {
        let routes = routes.iter().map(|&(name, address)| (name.to_owned(), address)).collect();
        let shared = Arc::new(Shared { routes, authorization, ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&for_thread, &listener));
        Self { address, shared, thread: Some(thread) }
    }

    /// Returns its address as the variables of the environment hold it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what was asked of it until now, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Proxied> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Ends the wait for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the proxy has been printed; panicking while dropping would hide the test's.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardProxy").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // What breaks a connection is the matter of its ends.
        std::thread::spawn(move || drop(serve(&shared, stream)));
    }
}

/// Serves one request: a connection is not used again.
fn serve(shared: &Shared, mut client: TcpStream) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (request, head) = loop {
        let mut piece = [0; 4096];
        let length = client.read(&mut piece)?;
        if length == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..length]);
        if let Some(parsed) = parse(&bytes)? {
            break parsed;
        }
    };
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    if shared.authorization.is_some() && request.header("proxy-authorization") != shared.authorization.as_deref() {
        return refuse(&mut client, "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"");
    }
    let absolute = request.target.strip_prefix("http://");
    let (authority, path) = match absolute {
        None => (request.target.as_str(), ""),
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    let named = if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let on_loopback = || named.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
    let Some(address) = shared.routes.get(&named).copied().or_else(on_loopback) else {
        return refuse(&mut client, "502 Bad Gateway");
    };
    let mut server = TcpStream::connect(address)?;
    if request.method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    } else {
        let mut forwarded = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", request.method);
        for (name, value) in &request.headers {
            if !["connection", "proxy-authorization"].contains(&name.to_ascii_lowercase().as_str()) {
                forwarded.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        server.write_all(format!("{forwarded}\r\n").as_bytes())?;
    }
    server.write_all(&bytes[head..])?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || copy(&mut from_client, &mut to_server));
    copy(&mut server, &mut client);
    Ok(())
}

fn parse(bytes: &[u8]) -> io::Result<Option<(Proxied, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(io::Error::other)? else { return Ok(None) };
    let headers = request.headers.iter();
    let headers = headers.map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()));
    let proxied = Proxied {
        method: request.method.expect("a complete head has a method").to_owned(),
        target: request.path.expect("a complete head has a target").to_owned(),
        headers: headers.collect(),
    };
    Ok(Some((proxied, length)))
}

fn refuse(client: &mut TcpStream, status: &str) -> io::Result<()> {
    write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    client.shutdown(Shutdown::Write)
}

/// Copies until one side ends, and tells the other side so.
fn copy(from: &mut TcpStream, to: &mut TcpStream) {
    // The client sees how it ended.
    let _ = io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
}
