//! The `distribution` registry that Debian packages as `docker-registry`, and `skopeo` to fill it.
//!
//! What our own [loopback registry](crate::registry) cannot prove, because both sides of a misunderstanding would be
//! ours, is proved against these two.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access_log::{self, Request};
use crate::content::Content;
use crate::process::{required, run};
use crate::registry::{Cors, Issuer, Options, Registry, Signer};
use crate::tls::Authority;

/// How a [`DockerRegistry`] is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    access: Access,
    deletion: bool,
    headers: Vec<(String, String)>,
    cors: Cors,
}

#[derive(Clone, Debug, Default)]
enum Access {
    #[default]
    Open,
    PasswordOverTls {
        username: String,
        password: String,
    },
    Tokens {
        username: String,
        password: String,
        issuer: Box<Issuer>,
    },
}

impl Setup {
    /// Serves everybody over plain HTTP.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// Serves over TLS, to this account alone.
    #[must_use]
    pub fn password_over_tls(username: &str, password: &str) -> Self {
        Self {
            access: Access::PasswordOverTls { username: username.to_owned(), password: password.to_owned() },
            ..Self::default()
        }
    }

    /// Serves over plain HTTP to holders of tokens, which the issuer gives to its accounts and to
    /// this one, by which images are pushed.
    #[must_use]
    pub fn tokens(username: &str, password: &str, issuer: Issuer) -> Self {
        let issuer = issuer.account(username, password, "*");
        let access =
            Access::Tokens { username: username.to_owned(), password: password.to_owned(), issuer: Box::new(issuer) };
        Self { access, ..Self::default() }
    }

    /// Allows manifests and blobs to be deleted.
    #[must_use]
    pub fn deletion(mut self) -> Self {
        self.deletion = true;
        self
    }

    /// Adds a header field to each answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Chooses what web pages of other origins may see, of the token issuer's answers too.
    ///
    /// With tokens, docker-registry asks for one even where a browser asks before a request
    /// (OPTIONS), which browsers take for a refusal: put a [`Gateway`](crate::gateway::Gateway) before it.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }
}

/// A `distribution` registry that runs as long as this value lives.
///
/// ```no_run
/// use oci_fetcher_tests::content::Content;
/// use oci_fetcher_tests::docker_registry::{DockerRegistry, Setup};
/// use oci_fetcher_tests::image::{Image, Layer};
///
/// let storage = tempfile::tempdir()?;
/// let registry = DockerRegistry::start(storage.path(), Setup::password_over_tls("alice", "secret"));
/// let mut content = Content::new();
/// content.push("app", "1", Image::new().layer(Layer::new().file("a", b"b")));
/// registry.push_content(&content, "app", "1");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DockerRegistry {
    process: Child,
    address: SocketAddr,
    setup: Setup,
    authority: Authority,
    issuer: Option<Registry>,
    /// Configuration, certificates and log.
    directory: TempDir,
}

impl DockerRegistry {
    /// Starts the registry on a free port of 127.0.0.1 with its storage in this directory, and
    /// waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// Panics with its log if it does not start, and with the package's name if it is not installed.
    #[must_use]
    pub fn start(storage: &Path, setup: Setup) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let authority = Authority::new();
        let signer = Signer::new("oci-fetcher-tests");
        let issuer = match &setup.access {
            Access::Open | Access::PasswordOverTls { .. } => None,
            Access::Tokens { issuer, .. } => {
                let options = Options::new().tokens(Issuer::clone(issuer).signed(signer.clone())).cors(setup.cors);
                Some(Registry::start(Content::new(), options))
            }
        };
        let realm = issuer.as_ref().map(Registry::named_realm);
        let configuration = configuration(storage, &setup, directory.path(), &authority, &signer, realm);
        // YAML takes JSON as it is.
        let file = write(directory.path(), "config.yml", &configuration.to_string());
        let log = directory.path().join("log");
        let output = File::create(&log).expect("a file can be made");
        let process = Command::new(required("docker-registry", "docker-registry"))
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a descriptor can be duplicated"))
            .stderr(output)
            .spawn()
            .expect("docker-registry can be run");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut registry = Self { process, address, setup, authority, issuer, directory };
        registry.address = registry.wait_until_ready(&log);
        registry
    }

    /// Returns its name in references, `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns its origin, `http://127.0.0.1:PORT` or with `https`.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate of the authority that signed its own, if it serves over TLS.
    #[must_use]
    pub fn authority_pem(&self) -> Option<String> {
        self.has_tls().then(|| self.authority.pem())
    }

    /// Returns the server that issues its tokens, for what was asked of it.
    #[must_use]
    pub fn issuer(&self) -> Option<&Registry> {
        self.issuer.as_ref()
    }

    /// Returns what it logged until now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Returns what was asked and answered until now, in the order of the answers' ends.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        access_log::parse(&self.log())
    }

    /// Pushes a manifest with everything beneath it, under the same repository and tag.
    pub fn push_content(&self, content: &Content, repository: &str, tag: &str) {
        let layout = tempfile::tempdir().expect("a temporary directory can be made");
        content.write_layout(repository, tag, layout.path(), tag);
        self.push(&format!("oci:{}:{tag}", layout.path().display()), &format!("{repository}:{tag}"));
    }

    /// Pushes with `skopeo` from any source it knows, `oci:DIR:TAG` for one, to `repository:tag`.
    ///
    /// All platforms are pushed, and no digest changes.
    pub fn push(&self, source: &str, reference: &str) {
        let mut arguments: Vec<OsString> =
            ["copy", "--insecure-policy", "--all", "--preserve-digests"].map(OsString::from).into();
        arguments.extend(self.skopeo_access().into_iter().map(|option| OsString::from(format!("--dest-{option}"))));
        arguments.push(source.into());
        arguments.push(format!("docker://{}/{reference}", self.address).into());
        let arguments: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
        run(&required("skopeo", "skopeo"), &arguments);
    }

    /// Returns skopeo's options for this registry, without the `--`, `--src-` or `--dest-` they begin with.
    #[must_use]
    pub fn skopeo_access(&self) -> Vec<String> {
        match &self.setup.access {
            Access::Open => vec!["tls-verify=false".to_owned(), "no-creds".to_owned()],
            Access::PasswordOverTls { username, password } => {
                let certificates = self.directory.path().join("certificates");
                vec![format!("cert-dir={}", certificates.display()), format!("creds={username}:{password}")]
            }
            Access::Tokens { username, password, .. } => {
                vec!["tls-verify=false".to_owned(), format!("creds={username}:{password}")]
            }
        }
    }

    fn has_tls(&self) -> bool {
        matches!(self.setup.access, Access::PasswordOverTls { .. })
    }

    /// Waits for the line of the log that tells the port.
    fn wait_until_ready(&mut self, log: &Path) -> SocketAddr {
        let deadline = Instant::now() + START_MAX;
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            let told = text.split_once("listening on ").and_then(|(_, rest)| {
                let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
                rest[..end].parse().ok()
            });
            if let Some(address) = told {
                return address;
            }
            let ended = self.process.try_wait().expect("the process is ours");
            assert!(ended.is_none() && Instant::now() < deadline, "docker-registry did not start ({ended:?}):\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // It fails only for a process that has ended, and been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl fmt::Debug for DockerRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerRegistry").field("origin", &self.origin()).finish_non_exhaustive()
    }
}

/// How long a start may take on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(60);

fn configuration(
    storage: &Path,
    setup: &Setup,
    directory: &Path,
    authority: &Authority,
    signer: &Signer,
    realm: Option<String>,
) -> Value {
    let mut http = json!({ "addr": "127.0.0.1:0", "secret": "of the test" });
    let own = setup.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in own.chain(setup.cors.fields().iter().copied()) {
        http["headers"][name] = json!([value]);
    }
    let mut configuration = json!({
        "version": "0.1",
        "log": { "level": "info" },
        "storage": {
            "filesystem": { "rootdirectory": storage },
            "delete": { "enabled": setup.deletion },
        },
    });
    match &setup.access {
        Access::Open => {}
        Access::PasswordOverTls { username, password } => {
            let identity = authority.server();
            http["tls"] = json!({
                "certificate": write(directory, "server.pem", &identity.certificate_pem),
                "key": write(directory, "server.key", &identity.key_pem),
            });
            write(directory, "certificates/ca.crt", &authority.pem());
            let htpasswd = write(directory, "htpasswd", &htpasswd(username, password));
            configuration["auth"] = json!({ "htpasswd": { "realm": "registry.test", "path": htpasswd } });
        }
        Access::Tokens { issuer, .. } => {
            configuration["auth"] = json!({ "token": {
                "realm": realm.expect("there is an issuer where there are tokens"),
                "service": issuer.service_name(),
                "issuer": signer.issuer(),
                "rootcertbundle": write(directory, "tokens.pem", &signer.certificate_pem()),
            } });
        }
    }
    configuration["http"] = http;
    configuration
}

/// Returns a line of a password file, the password hashed by bcrypt, which is all the registry takes.
fn htpasswd(username: &str, password: &str) -> String {
    let arguments = ["-n", "-b", "-B", "-C", "5", username, password].map(AsRef::as_ref);
    let line = run(&required("htpasswd", "apache2-utils"), &arguments);
    String::from_utf8(line).expect("the line is base64 after the name")
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().expect("the path has the directory before it")).expect("a directory can be made");
    fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

#[cfg(test)]
mod tests;
