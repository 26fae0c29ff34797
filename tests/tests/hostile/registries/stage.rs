//! The servers of one case, and what is asked of them.

use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Image, Layer, Manifest};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Exchange, Method, Options, Registry, Rule};
use oci_fetcher_tests::tls::{Authority, Tls};
use serde_json::json;

use super::answer::Answer;

pub(crate) const USER: &str = "ann";
pub(crate) const SECRET: &str = "s3cret-pass";
pub(crate) const IDENTITY: &str = "s3cret-identity";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// An image, unpacked into a directory.
    Pull,
    /// An artifact's files.
    Get,
    /// The tags of the repository.
    Tags,
}

/// Servers and a folder, made anew for each host.
pub(crate) struct Stage {
    pub(crate) place: Place,
    pub(crate) reference: String,
    pub(crate) verb: Verb,
    /// Whether the native program prints for people, as is done where a case should work.
    pub(crate) is_plain: bool,
    /// Further options of the native program.
    pub(crate) options: Vec<String>,
    /// Where credential helpers are looked for, beside the usual places.
    pub(crate) path: Option<PathBuf>,
    /// Bounds that the npm client is given, in its own words.
    pub(crate) settings: serde_json::Value,
    /// Whether the secret is in an address that a registry gives out, for the server there.
    pub(crate) is_presigned: bool,
    /// Requests to all servers together that are still none too many.
    pub(crate) most_requests: usize,
    pub(crate) most_seconds: u64,
    home: Option<Registry>,
    strangers: Vec<Registry>,
    anonymous: Vec<Registry>,
    untouched: Vec<Registry>,
    checks: Vec<Check>,
    before: String,
}

type Check = Box<dyn Fn(&Stage, &Answer) -> Result<(), String>>;

/// One authority for all, since a process is told once whom to trust.
pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(Authority::new);

/// Names that lead to this machine; each host finds them in its `/etc/hosts`.
pub(crate) const NAMES: [&str; 6] = [
    "registry.example",
    "cdn.example",
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "registry.example.evil.example",
];
/// Names of addresses where nothing of ours listens.
pub(crate) const FAR_NAMES: [(&str, &str); 4] = [
    ("metadata.example", "169.254.169.254"),
    ("six.example", "::1"),
    ("mapped.example", "::ffff:127.0.0.1"),
    ("nowhere.example", "0.0.0.0"),
];

/// The image that most cases serve.
pub(crate) fn image() -> Image {
    Image::new().layer(Layer::new().file("a", vec![7; 20_000]).directory("d", 0o755))
}

/// What a registry holds that has only `app:1`.
pub(crate) fn holding(manifest: impl Into<Manifest>) -> Content {
    let mut content = Content::new();
    content.push("app", "1", manifest);
    content
}

/// What a registry holds that has nothing wrong with it.
pub(crate) fn fine() -> Content {
    holding(image())
}

/// A registry that demands the password with each request.
pub(crate) fn secured() -> Options {
    Options::new().basic(USER, SECRET)
}

/// A registry that everybody may read.
pub(crate) fn open() -> Options {
    Options::new()
}

/// TLS, by the names that lead to this machine.
pub(crate) fn tls() -> Tls {
    Tls::new(AUTHORITY.server_named(&[&["localhost", "127.0.0.1"][..], &NAMES].concat()))
}

pub(crate) const MANIFESTS: &str = "/v2/app/manifests/*";
pub(crate) const BLOBS: &str = "/v2/app/blobs/*";

/// A rule for every GET of a path.
pub(crate) fn on(path: &str, action: Action) -> Rule {
    Rule::on(Method::Get, path).then(action)
}

impl Stage {
    pub(crate) fn new() -> Self {
        let place = Place::new();
        for name in ["parent/out-evil/victim", "parent/victim", "victim"] {
            place.write(name, "precious");
        }
        let before = surroundings(&place);
        Self {
            place,
            reference: String::new(),
            verb: Verb::Pull,
            is_plain: false,
            options: Vec::new(),
            path: None,
            is_presigned: false,
            settings: json!({}),
            most_requests: 40,
            most_seconds: 20,
            home: None,
            strangers: Vec::new(),
            anonymous: Vec::new(),
            untouched: Vec::new(),
            checks: Vec::new(),
            before,
        }
    }

    /// Starts the registry that is asked, at its address, with the password for it at hand.
    pub(crate) fn registry(&mut self, content: Content, options: Options) -> &mut Self {
        let registry = Registry::start(content, options);
        let host = registry.host();
        self.ask(registry, &host)
    }

    /// Starts the registry that is asked, behind TLS and by this name.
    pub(crate) fn registry_named(&mut self, name: &str, content: Content, options: Options) -> &mut Self {
        let registry = Registry::start(content, options.tls(tls()));
        let host = format!("{name}:{}", registry.address().port());
        self.ask(registry, &host)
    }

    /// Asks a registry that runs already by this host and port.
    pub(crate) fn ask(&mut self, registry: Registry, host: &str) -> &mut Self {
        self.login(host);
        self.reference = format!("{host}/app:1");
        self.home = Some(registry);
        self
    }

    /// Puts the password for a registry where all hosts look.
    pub(crate) fn login(&self, host: &str) {
        let auth = STANDARD.encode(format!("{USER}:{SECRET}"));
        let config = json!({ "auths": { host: { "auth": auth } } });
        self.place.write(".docker/config.json", config.to_string());
    }

    /// Starts a server that must not see a credential; returns its origin.
    pub(crate) fn stranger(&mut self, content: Content, options: Options) -> String {
        self.strangers.push(Registry::start(content, options));
        self.strangers.last().expect("just pushed").origin()
    }

    /// Starts a server that may see what it has granted to everybody, and no more; returns its origin.
    pub(crate) fn stranger_lenient(&mut self, content: Content, options: Options) -> String {
        self.anonymous.push(Registry::start(content, options));
        self.anonymous.last().expect("just pushed").origin()
    }

    /// Starts such a server behind TLS; returns its origin by this name.
    pub(crate) fn stranger_named(&mut self, name: &str, content: Content, options: Options) -> String {
        self.stranger(content, options.tls(tls())).replace("127.0.0.1", name)
    }

    /// Starts a server that must not be asked anything; returns its origin.
    pub(crate) fn untouched(&mut self, options: Options) -> String {
        self.untouched.push(Registry::start(fine(), options));
        self.untouched.last().expect("just pushed").origin()
    }

    /// Adds a rule to the registry, which may name the registry itself.
    pub(crate) fn rule(&mut self, rule: Rule) -> &mut Self {
        self.home().add_rule(rule);
        self
    }

    /// Gives the native program options.
    pub(crate) fn with(&mut self, options: &[&str]) -> &mut Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Holds our hosts to something more.
    pub(crate) fn check(&mut self, check: impl Fn(&Self, &Answer) -> Result<(), String> + 'static) -> &mut Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Returns what `PATH` has to be, where it is not the usual one.
    pub(crate) fn search_path(&self) -> Option<String> {
        let path = self.path.as_ref()?.to_str()?;
        Some(format!("{path}:/usr/local/bin:/usr/bin:/bin"))
    }

    /// Returns the registry that is asked.
    pub(crate) fn home(&self) -> &Registry {
        self.home.as_ref().expect("the case has a registry")
    }

    /// Returns the server of [`stranger`](Self::stranger) with this number.
    pub(crate) fn strange(&self, number: usize) -> &Registry {
        &self.strangers[number]
    }

    /// Tells whether the registry that is asked is behind TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.origin().starts_with("https:"))
    }

    /// Tells what a credential did where it should not be, or a request where none should come.
    pub(crate) fn trespass(&self) -> Option<String> {
        let seen = |registry: &Registry| {
            registry.requests().iter().find_map(|request| {
                let header =
                    ["authorization", "cookie", "proxy-authorization"].iter().find_map(|name| request.header(name));
                let what = header.map(str::to_owned).or_else(|| secret_in(request))?;
                Some(format!("{} {} showed a stranger {what}", request.method, request.target))
            })
        };
        let told = |registry: &Registry| {
            registry.requests().iter().find_map(|request| {
                let secret = secret_in(request).filter(|secret| secret != TOKEN && !self.is_presigned)?;
                Some(format!("{} {} showed a stranger {secret}", request.method, request.target))
            })
        };
        let touched = |registry: &Registry| {
            let request = registry.requests().into_iter().next()?;
            Some(format!("{} {} went where nothing may go", request.method, request.target))
        };
        let known = self.strangers.iter().find_map(seen).or_else(|| self.anonymous.iter().find_map(told));
        known.or_else(|| self.untouched.iter().find_map(touched))
    }

    /// Returns how many requests came to all servers.
    pub(crate) fn requests(&self) -> usize {
        let all = self.home.iter().chain(&self.strangers).chain(&self.anonymous).chain(&self.untouched);
        all.map(|registry| registry.requests().len()).sum()
    }

    /// Runs the case's own checks.
    pub(crate) fn checked(&self, answer: &Answer) -> Result<(), String> {
        self.checks.iter().try_for_each(|check| check(self, answer))
    }

    /// Tells what changed around the destination.
    pub(crate) fn damage(&self, host: &str) -> Option<String> {
        let _ = std::fs::remove_dir_all(self.place.path(&format!("parent/{host}")));
        let after = surroundings(&self.place);
        (after != self.before).then(|| format!("the surroundings changed from\n{}to\n{after}", self.before))
    }
}

fn surroundings(place: &Place) -> String {
    let victim = String::from_utf8_lossy(&place.read("victim")).into_owned();
    format!("{}victim: {victim}\n", Comparison::new().ignore_modified_of([""]).listing(&place.path("parent")))
}

/// What must be shown to nobody but the registry and its issuer.
pub(crate) fn secrets() -> Vec<String> {
    let basic = STANDARD.encode(format!("{USER}:{SECRET}"));
    vec![SECRET.to_owned(), IDENTITY.to_owned(), basic, "s3cret".to_owned(), TOKEN.to_owned()]
}

/// What an issuer's first token is.
const TOKEN: &str = "token-1";

fn secret_in(request: &Exchange) -> Option<String> {
    let text = format!("{} {:?} {}", request.target, request.headers, String::from_utf8_lossy(&request.body));
    secrets().into_iter().find(|secret| text.contains(secret))
}
