//! Starts the servers that the tests of the npm package pull from, and prints where they are as one
//! line of JSON.
//!
//! Usage: `registries FOLDER`. What takes long to make is kept in FOLDER from run to run, and the
//! image of the `debian` suite in its sibling `debian-image`.
//!
//! A line `requests` on standard input is answered by a line of JSON: what was asked of each server
//! since the last such line. A line `renew` makes faults that show only so often show again. All servers end when standard input does.

#![expect(clippy::print_stdout, reason = "printing is how it answers")]

mod faults;
mod stock;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _};
use std::path::PathBuf;

use oci_fetcher_tests::access_log::Request;
use oci_fetcher_tests::docker_registry::{DockerRegistry, Setup};
use oci_fetcher_tests::gateway::{Gateway, free_address};
use oci_fetcher_tests::registry::{Cors, Exchange, Issuer, Options, Registry};
use serde_json::{Value, json};

use stock::Stock;

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).expect("usage: registries FOLDER");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let folder = folder.canonicalize().expect("the folder exists");
    let stock = Stock::new(&folder);
    let servers = Servers::start(&stock);
    println!("{}", servers.addresses(&stock));
    let mut seen = BTreeMap::new();
    // What filled them is nobody's request.
    let _ = servers.requests_since(&mut seen);
    for line in io::stdin().lock().lines() {
        match line.expect("standard input is text").as_str() {
            "requests" => println!("{}", servers.requests_since(&mut seen)),
            "renew" => {
                faults::renew(&servers.faults);
                println!("{}", json!({}));
            }
            other => panic!("no command {other}"),
        }
    }
}

/// Account of the registry with tokens.
const ACCOUNT: (&str, &str) = ("ann", "open:sesame");

struct Servers {
    /// docker-registry that lets pages read everything.
    open: DockerRegistry,
    /// docker-registry that wants tokens, and nginx before it and its issuer to answer preflights.
    behind: DockerRegistry,
    tokens: Gateway,
    /// docker-registry that lets no page read anything.
    bare: DockerRegistry,
    /// Loopback registry that wants tokens, and hides its challenges from pages.
    hidden: Registry,
    /// Loopback registry in which each repository shows another fault.
    faults: Registry,
    /// nginx over a folder that holds an OCI image layout and archives.
    files: Gateway,
    folder: PathBuf,
}

impl Servers {
    fn start(stock: &Stock) -> Self {
        let storage = stock.storage();
        let open = DockerRegistry::start(&storage, Setup::open().cors(Cors::Headers));
        stock.push(&open);
        let issuer = || Issuer::new().account(ACCOUNT.0, ACCOUNT.1, "*");
        let address = free_address();
        let named = issuer().realm(&format!("http://{address}/token"));
        let behind = DockerRegistry::start(&storage, Setup::tokens("pusher", "", named).cors(Cors::Headers));
        let told = behind.issuer().expect("there are tokens").origin();
        let tokens = Gateway::before_both(address, &behind.origin(), &told, Cors::Headers);
        let bare = DockerRegistry::start(&storage, Setup::open());
        let hidden = Registry::start(stock.small().clone(), Options::new().tokens(issuer()).cors(Cors::Bodies));
        let faults = faults::start();
        let folder = stock.files(&open);
        let files = Gateway::over(&folder, Cors::Headers);
        Self { open, behind, tokens, bare, hidden, faults, files, folder }
    }

    fn addresses(&self, stock: &Stock) -> Value {
        json!({
            "open": self.open.host(),
            "tokens": self.tokens.host(),
            "bare": self.bare.host(),
            "hidden": self.hidden.host(),
            "faults": self.faults.host(),
            "files": { "url": format!("http://{}", self.files.host()), "folder": self.folder },
            "account": { "username": ACCOUNT.0, "password": ACCOUNT.1 },
            "tokenEndpoint": { "realm": self.hidden.realm(), "service": "registry.test" },
            "images": stock.digests(),
        })
    }

    fn requests_since(&self, seen: &mut BTreeMap<&'static str, usize>) -> Value {
        let issuer = self.behind.issuer().expect("it has one");
        let all = [
            ("open", logged(self.open.requests())),
            ("tokens", logged(self.tokens.requests())),
            ("issuer", exchanged(issuer.requests())),
            ("bare", logged(self.bare.requests())),
            ("hidden", exchanged(self.hidden.requests())),
            ("faults", exchanged(self.faults.requests())),
            ("files", logged(self.files.requests())),
        ];
        let fresh = all.into_iter().map(|(name, requests)| {
            let before = seen.insert(name, requests.len()).unwrap_or(0);
            (name.to_owned(), requests[before..].into())
        });
        Value::Object(fresh.collect())
    }
}

fn logged(requests: Vec<Request>) -> Vec<Value> {
    let told = requests.into_iter().map(|request| {
        json!({ "method": request.method, "target": request.target, "status": request.status, "bytes": request.bytes })
    });
    told.collect()
}

fn exchanged(exchanges: Vec<Exchange>) -> Vec<Value> {
    let told = exchanges.into_iter().map(|exchange| {
        let Exchange { method, target, status, bytes_sent, headers, .. } = exchange;
        json!({ "method": method, "target": target, "status": status, "bytes": bytes_sent, "headers": headers })
    });
    told.collect()
}
