//! 52: a registry that leads its client into the client's own networks. 50: what only looks like loopback.

use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::registry::{Action, Issuer, Options, Port};

use super::row::Row;
use super::stage::{BLOBS, MANIFESTS, SECRET, Stage, USER, Verb, fine, holding, on, open, secured, tls};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = spelt_out();
    rows.extend(by_name());
    rows.extend(only_looks_like_loopback());
    rows
}

/// How a registry leads elsewhere.
#[derive(Clone, Copy)]
enum Way {
    BlobRedirect,
    ManifestRedirect,
    Realm,
    Link,
    Urls,
}

impl Way {
    const ALL: [Self; 5] = [Self::BlobRedirect, Self::ManifestRedirect, Self::Realm, Self::Link, Self::Urls];

    fn name(self) -> &'static str {
        match self {
            Self::BlobRedirect => "a blob's redirect",
            Self::ManifestRedirect => "a manifest's redirect",
            Self::Realm => "a realm",
            Self::Link => "a Link",
            Self::Urls => "a foreign layer",
        }
    }

    /// Sets a registry behind TLS up that leads to this address.
    fn lead(self, stage: &mut Stage, to: &str) {
        let redirect = |path| secured().rule(on(path, Action::Redirect(format!("{to}/x"))));
        let (content, options) = match self {
            Self::BlobRedirect => (fine(), redirect(BLOBS)),
            Self::ManifestRedirect => (fine(), redirect(MANIFESTS)),
            Self::Realm => (fine(), open().rule(on("/v2/*", Action::challenge(&format!("Bearer realm=\"{to}/x\""))))),
            Self::Link => (fine(), linking(to)),
            Self::Urls => {
                let layer = Layer::new().file("a", b"a").compress(Compression::None).url(&format!("{to}/x"));
                let packed = Image::new().layer(layer).pack();
                let layer = packed.blobs.last().expect("the layer comes last").0.to_string();
                let mut content = holding(packed);
                content.remove_blob(&layer);
                (content, secured())
            }
        };
        stage.registry_named("registry.example", content, options);
        if matches!(self, Self::Link) {
            stage.verb = Verb::Tags;
        }
    }
}

fn linking(to: &str) -> Options {
    let link = Action::AddHeader("Link".to_owned(), format!("<{to}/v2/app/tags/list?last=x>; rel=\"next\""));
    secured().rule(on("/v2/app/tags/list*", link))
}

/// Addresses in every spelling. All are over https, so that nothing but the address is held against them.
fn spelt_out() -> Vec<Row> {
    let addresses = [
        ("127.0.0.1", "redirect-refused (7)"),
        ("127.255.255.254", "redirect-refused (7)"),
        ("localhost", "redirect-refused (7)"),
        ("x.localhost", "redirect-refused (7)"),
        ("LOCALHOST", "redirect-refused (7)"),
        ("0.0.0.0", "redirect-refused (7)"),
        ("169.254.169.254", "redirect-refused (7)"),
        ("100.100.100.200", "redirect-refused (7)"),
        ("[::1]", "redirect-refused (7)"),
        ("[::]", "redirect-refused (7)"),
        ("[::ffff:127.0.0.1]", "redirect-refused (7)"),
        ("[::ffff:a9fe:a9fe]", "redirect-refused (7)"),
        ("[64:ff9b::7f00:1]", "redirect-refused (7)"),
        ("[2002:7f00:1::]", "redirect-refused (7)"),
        ("[fe80::1]", "redirect-refused (7)"),
        ("[fd00:ec2::254]", "redirect-refused (7)"),
        ("224.0.0.1", "redirect-refused (7)"),
        // Two parsers may disagree about where these lead.
        ("2130706433", "protocol (5)"),
        ("0x7f000001", "protocol (5)"),
        ("0x7f.1", "protocol (5)"),
        ("0177.0.0.1", "protocol (5)"),
        ("127.1", "protocol (5)"),
        ("127\u{3002}0\u{3002}0\u{3002}1", "protocol (5)"),
        ("127%2e0%2e0%2e1", "protocol (5)"),
        ("\u{ff11}\u{ff12}\u{ff17}.0.0.1", "protocol (5)"),
        ("[fe80::1%25eth0]", "protocol (5)"),
        ("registry.example@127.0.0.1", "protocol (5)"),
        ("127.0.0.1.", "protocol (5)"),
    ];
    let mut rows: Vec<Row> = addresses
        .iter()
        .map(|&(address, expected)| {
            Row::named(52, format!("a blob's redirect to {address:?}"), expected, move |stage| {
                Way::BlobRedirect.lead(stage, &format!("https://{address}:9"));
            })
        })
        .collect();
    for way in [Way::ManifestRedirect, Way::Realm, Way::Link, Way::Urls] {
        for (address, numeric) in [("127.0.0.1", false), ("[::ffff:169.254.169.254]", false), ("2130706433", true)] {
            let expected = match (way, numeric) {
                (Way::Realm, false) => "realm-reach (7)",
                (Way::Realm, true) => "malformed-realm (7)",
                // Pages stay at the registry's origin, whatever the address.
                (Way::Link, _) | (Way::ManifestRedirect, true) => "protocol (5)",
                // What is no address is none to look at.
                (Way::Urls, true) => "part-missing (3)",
                (Way::ManifestRedirect | Way::Urls | Way::BlobRedirect, _) => "redirect-refused (7)",
            };
            let name = format!("{} to {address:?}", way.name());
            rows.push(Row::named(52, name, expected, move |stage| way.lead(stage, &format!("https://{address}:9"))));
        }
    }
    rows
}

const NAMES_ONLY_NATIVE: &str = "no runtime's fetch tells what a name resolves to before it connects";

/// Names that turn out to be such addresses.
fn by_name() -> Vec<Row> {
    let mut rows = Vec::new();
    for way in Way::ALL {
        let expected = if matches!(way, Way::Link) { "protocol (5)" } else { "address-refused (7)" };
        let name = format!("{} to a name of this machine", way.name());
        let row = Row::named(52, name, expected, move |stage| {
            let there = stage.untouched(open().tls(tls())).replace("127.0.0.1", "evil.example");
            way.lead(stage, &there);
        });
        rows.push(if matches!(way, Way::Link) { row } else { row.not_on(&["wasm"], NAMES_ONLY_NATIVE) });
    }
    for name in ["metadata.example", "six.example", "mapped.example", "nowhere.example"] {
        let title = format!("a blob's redirect to {name}, which is inside");
        rows.push(
            Row::named(52, title, "address-refused (7)", move |stage| {
                Way::BlobRedirect.lead(stage, &format!("https://{name}:9"));
                stage.most_seconds = 5;
            })
            .not_on(&["wasm"], NAMES_ONLY_NATIVE),
        );
    }
    rows.extend([
        Row::new(52, "the registry itself may be a name of this machine", "works", |stage| {
            stage.registry_named("registry.example", fine(), secured());
        }),
        Row::new(52, "a realm on another port of the registry's own host", "works", |stage| {
            let issuer = Issuer::new().account(USER, SECRET, "*").port(Port::Own);
            stage.registry_named("registry.example", fine(), open().tokens(issuer));
            // By the registry's name, not by its address.
            let realm = stage.home().realm().replace("127.0.0.1", "registry.example");
            let challenge = format!("Bearer realm=\"{realm}\",service=\"registry.test\",scope=\"repository:app:pull\"");
            let demanding = on("/v2/*", Action::challenge(&challenge)).without_header("authorization");
            stage.rule(demanding);
        }),
        Row::new(52, "a registry on this machine may name its neighbours", "works", |stage| {
            let there = stage.stranger(fine(), open()).replace("127.0.0.1", "cdn.example");
            stage.registry(fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(there))));
        }),
        Row::new(52, "an inside name, and leave to go there", "works", |stage| {
            let there = stage.stranger_named("cdn.example", fine(), open());
            stage.registry_named("registry.example", fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(there))));
            stage.with(&["--insecure-any-address"]);
        })
        .ours("there is no such leave to give"),
        Row::new(52, "an inside address, and leave to go there", "works", |stage| {
            let there = stage.stranger_named("127.0.0.1", fine(), open());
            stage.registry_named("registry.example", fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(there))));
            stage.with(&["--insecure-any-address"]);
            stage.settings = serde_json::json!({ "insecureAnyAddress": true });
        })
        .ours("there is no such leave to give"),
        Row::new(50, "leave to go anywhere does not give up https", "redirect-refused (7)", |stage| {
            let there = stage.untouched(open());
            stage.registry_named("registry.example", fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(there))));
            stage.with(&["--insecure-any-address"]);
            stage.settings = serde_json::json!({ "insecureAnyAddress": true });
        })
        .ours("there is no such leave to give"),
    ]);
    rows
}

/// Names that begin like this machine's own, to which nothing may be said without encryption.
fn only_looks_like_loopback() -> Vec<Row> {
    ["127.0.0.1.evil.example", "localhost.evil.example", "registry.example"]
        .into_iter()
        .map(|name| {
            Row::named(50, format!("plain http at {name}"), "plain-http (5)", move |stage| {
                stage.registry(fine(), secured());
                let host = format!("{name}:{}", stage.home().address().port());
                stage.login(&host);
                stage.reference = format!("{host}/app:1");
                stage.check(|stage, _| match stage.home().requests().first() {
                    None => Ok(()),
                    Some(request) => Err(format!("{} {} in plain http", request.method, request.target)),
                });
            })
            .not_on(&["skopeo", "client"], "they are told to speak plain http")
        })
        .collect()
}
