//! A registry on loopback that serves [`Content`] and shows every fault a network can show.
//!
//! It implements what a client pulls by (distribution-spec 1.1: manifests, blobs with ranges, tags
//! with pagination, referrers), HTTP/1.1 (RFC 9112) over bare sockets, so that a [`Rule`] can cut,
//! stall, slice and lie at any byte, and Docker's token protocol. It runs on a thread of its own
//! and stops when it is dropped.
//!
//! Deviations: nothing can be pushed, and repositories share their blobs.

mod answer;
mod cors;
mod deliver;
mod http;
mod issuer;
mod jwt;
mod log;
mod plan;
mod scenario;
mod server;

pub use cors::Cors;
pub use http::http_date;
pub use issuer::{ExpiresIn, Issuer, Port, TokenField, TokenPost};
pub use jwt::Signer;
pub use log::Exchange;
pub use scenario::{Action, Method, RetryAfter, Rule};

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::content::Content;
use crate::tls::Tls;
use issuer::Tokens;
use log::Log;
use scenario::Scenario;

/// How a [`Registry`] serves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    access: Access,
    tls: Option<Tls>,
    rules: Vec<Rule>,
    referrers: Referrers,
    page_size: Option<usize>,
    cors: Cors,
}

#[derive(Clone, Debug, Default)]
enum Access {
    #[default]
    Open,
    Basic {
        username: String,
        password: String,
    },
    Token(Issuer),
}

/// Whether a registry has the referrers API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Referrers {
    /// It has.
    #[default]
    Served,
    /// It answers 404, as registries before distribution-spec 1.1 do.
    Absent,
}

impl Options {
    /// Serves everybody over plain HTTP, without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Demands this name and password with each request.
    #[must_use]
    pub fn basic(mut self, username: &str, password: &str) -> Self {
        self.access = Access::Basic { username: username.to_owned(), password: password.to_owned() };
        self
    }

    /// Demands a token of this issuer with each request.
    #[must_use]
    pub fn tokens(mut self, issuer: Issuer) -> Self {
        self.access = Access::Token(issuer);
        self
    }

    /// Serves over TLS; a request in plain HTTP gets the answer Go's servers give.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Adds a rule, after those there are.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Chooses whether there is a referrers API.
    #[must_use]
    pub fn referrers(mut self, referrers: Referrers) -> Self {
        self.referrers = referrers;
        self
    }

    /// Lists at most this many tags a page, whatever is asked.
    #[must_use]
    pub fn page_size(mut self, tags: usize) -> Self {
        self.page_size = Some(tags);
        self
    }

    /// Chooses what web pages of other origins may see, of the token issuer's answers too.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }
}

/// A registry that runs as long as this value lives.
///
/// ```
/// use std::io::{Read, Write};
/// use oci_fetcher_tests::content::Content;
/// use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};
///
/// let mut content = Content::new();
/// content.put_blob("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "{}");
/// let cut = Rule::on(Method::Get, "/v2/app/blobs/*").times(1).then(Action::CutBody(1));
/// let registry = Registry::start(content, Options::new().rule(cut));
///
/// let mut socket = std::net::TcpStream::connect(registry.address())?;
/// socket.write_all(b"GET /v2/ HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
/// let mut answer = String::new();
/// socket.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"));
/// assert_eq!(registry.requests()[0].target, "/v2/");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Registry {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's thread and the test's share.
struct Shared {
    options: Options,
    address: SocketAddr,
    issuer_address: SocketAddr,
    content: Mutex<Content>,
    scenario: Mutex<Scenario>,
    tokens: Mutex<Tokens>,
    log: Log,
}

impl Registry {
    /// Starts a registry on a free port of 127.0.0.1, which accepts connections on return.
    #[must_use]
    pub fn start(content: Content, options: Options) -> Self {
        let listener = listen();
        let address = listener.local_addr().expect("a bound socket has an address");
        let issuer_listener = match &options.access {
            Access::Token(issuer) if issuer.port == Port::Own => Some(listen()),
            Access::Open | Access::Basic { .. } | Access::Token(_) => None,
        };
        let issuer_address = issuer_listener
            .as_ref()
            .map_or(address, |listener| listener.local_addr().expect("a bound socket has an address"));
        let shared = Arc::new(Shared {
            address,
            issuer_address,
            content: Mutex::new(content),
            scenario: Mutex::new(Scenario::new(options.rules.clone())),
            tokens: Mutex::default(),
            log: Log::default(),
            options,
        });
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("loopback registry".to_owned())
            .spawn(move || server::run(&for_thread, listener, issuer_listener, stopped))
            .expect("the system has room for a thread");
        Self { shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Starts a registry that serves everybody over plain HTTP, without faults.
    #[must_use]
    pub fn open(content: Content) -> Self {
        Self::start(content, Options::new())
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Returns its name in references, `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// Returns its origin, `http://127.0.0.1:PORT` or with `https`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.shared.origin(self.shared.address)
    }

    /// Returns the address of its token issuer, which its challenges name unless told otherwise.
    #[must_use]
    pub fn realm(&self) -> String {
        format!("{}/token", self.shared.origin(self.shared.issuer_address))
    }

    /// Returns the realm that its challenges name.
    #[must_use]
    pub fn named_realm(&self) -> String {
        match &self.shared.options.access {
            Access::Token(issuer) => self.shared.realm(issuer),
            Access::Open | Access::Basic { .. } => self.realm(),
        }
    }

    /// Returns what was asked and answered until now, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Exchange> {
        self.shared.log.snapshot()
    }

    /// Returns the requests whose path matches a pattern, in which `*` stands for any text.
    #[must_use]
    pub fn requests_to(&self, method: Method, pattern: &str) -> Vec<Exchange> {
        let mut requests = self.requests();
        requests.retain(|exchange| method.matches(&exchange.method) && scenario::glob(pattern, exchange.path()));
        requests
    }

    /// Counts the GET requests for blobs.
    #[must_use]
    pub fn blob_downloads(&self) -> usize {
        self.requests_to(Method::Get, "/v2/*/blobs/*").len()
    }

    /// Counts the requests for manifests, HEAD and GET.
    #[must_use]
    pub fn manifest_requests(&self) -> usize {
        self.requests_to(Method::Any, "/v2/*/manifests/*").len()
    }

    /// Counts the requests to the token issuer.
    #[must_use]
    pub fn token_requests(&self) -> usize {
        self.requests_to(Method::Any, "/token").len()
    }

    /// Returns how many bytes of bodies were sent.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.requests().iter().map(|exchange| exchange.bytes_sent).sum()
    }

    /// Forgets the requests until now.
    pub fn forget_requests(&self) {
        self.shared.log.clear();
    }

    /// Adds a rule, after those there are.
    pub fn add_rule(&self, rule: Rule) {
        lock(&self.shared.scenario).add(rule);
    }

    /// Forgets all rules.
    pub fn forget_rules(&self) {
        *lock(&self.shared.scenario) = Scenario::default();
    }

    /// Changes what it holds: moves a tag, removes a blob.
    pub fn change(&self, change: impl FnOnce(&mut Content)) {
        change(&mut lock(&self.shared.content));
    }

    /// Makes all tokens issued until now invalid.
    pub fn revoke_tokens(&self) {
        lock(&self.shared.tokens).clear();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed; panicking while dropping would hide the test's.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

impl Shared {
    fn origin(&self, address: SocketAddr) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Returns what challenges name as the realm.
    fn realm(&self, issuer: &Issuer) -> String {
        issuer.realm.clone().unwrap_or_else(|| format!("{}/token", self.origin(self.issuer_address)))
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    listener
}

/// Locks what a panicked test may have left locked: each change here is complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
