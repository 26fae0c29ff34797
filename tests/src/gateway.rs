//! nginx, as Debian packages it: before a registry, to answer what browsers ask before a request, or
//! over a folder, to serve it as files.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::access_log::{self, Request};
use crate::process::required;
use crate::registry::Cors;

/// A web server that runs as long as this value lives.
pub struct Gateway {
    process: Child,
    address: SocketAddr,
    /// Configuration, log and what nginx insists on writing.
    directory: TempDir,
}

impl Gateway {
    /// Serves what `origin`, `http://host:port`, serves.
    ///
    /// Preflights are answered here and never reach it; the header fields of other answers are its own.
    ///
    /// # Panics
    ///
    /// Panics if nginx does not start, and with the package's name if it is not installed.
    #[must_use]
    pub fn before(origin: &str, cors: Cors) -> Self {
        Self::start(free_address(), &pass("/", origin, cors))
    }

    /// Serves at this address what a registry serves, and at `/token` what its token issuer serves.
    ///
    /// Passwords go to no other origin without encryption, so a realm on loopback has to be the registry's.
    ///
    /// # Panics
    ///
    /// Panics if nginx does not start, and with the package's name if it is not installed.
    #[must_use]
    pub fn before_both(address: SocketAddr, registry: &str, issuer: &str, cors: Cors) -> Self {
        Self::start(address, &[pass("= /token", issuer, cors), pass("/", registry, cors)].concat())
    }

    /// Serves the files of a folder.
    ///
    /// # Panics
    ///
    /// Panics if nginx does not start, and with the package's name if it is not installed.
    #[must_use]
    pub fn over(folder: &Path, cors: Cors) -> Self {
        let fields = add_fields(cors);
        let folder = folder.display();
        Self::start(free_address(), &format!("location / {{\n{}{fields}root {folder};\n}}\n", preflight(cors)))
    }

    /// Returns where it listens, `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns what was asked and answered until now, in the order of the answers' ends.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        access_log::parse(&fs::read_to_string(self.directory.path().join("access.log")).unwrap_or_default())
    }

    fn start(address: SocketAddr, locations: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary: String = temporary.map(|kind| format!("{kind}_temp_path {path}/{kind};\n")).concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {path}/pid;\nerror_log {path}/error.log;\nevents {{}}\n\
             http {{\naccess_log {path}/access.log combined;\ntypes {{}}\ndefault_type application/octet-stream;\n\
             {temporary}server {{\nlisten {address};\n{locations}}}\n}}\n"
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, configuration).expect("a file can be made");
        let process = Command::new(required(NGINX, "nginx-light"))
            .arg("-e")
            .arg(directory.path().join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx can be run");
        let mut gateway = Self { process, address, directory };
        gateway.wait_until_ready();
        gateway
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(self.address).is_err() {
            let ended = self.process.try_wait().expect("the process is ours");
            let log = fs::read_to_string(self.directory.path().join("error.log")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "nginx did not start ({ended:?}):\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It fails only for a process that has ended, and been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Debian keeps it off the search path of accounts other than root.
const NGINX: &str = "/usr/sbin/nginx";

/// How long a start may take on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(30);

/// Returns an address that is free now: nginx cannot tell which port it was given, so one is chosen for it.
///
/// # Panics
///
/// Panics if loopback has no free port.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}

fn pass(location: &str, origin: &str, cors: Cors) -> String {
    let preflight = preflight(cors);
    format!(
        "location {location} {{\n{preflight}proxy_pass {origin};\nproxy_http_version 1.1;\n\
         proxy_set_header Host $http_host;\nproxy_buffering off;\n}}\n"
    )
}

fn preflight(cors: Cors) -> String {
    format!("if ($request_method = OPTIONS) {{\n{}return 204;\n}}\n", add_fields(cors))
}

fn add_fields(cors: Cors) -> String {
    cors.fields().iter().map(|(name, value)| format!("add_header '{name}' '{value}' always;\n")).collect()
}
