//! 49: hostile realms and addresses of foreign layers. 51: typos that name another registry.

use std::time::Duration;

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Port, Rule};

use super::row::Row;
use super::stage::{BLOBS, SECRET, Stage, USER, fine, holding, on, open, secured};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = realms();
    rows.extend(foreign_layers());
    rows.extend(typos());
    rows
}

const REALMS: &[&str] = &["CVE-2020-15157", "CVE-2026-48978"];
const FOREIGN: &[&str] = &["CVE-2020-15157", "CVE-2026-33540"];

/// Demands a token of this realm.
fn demands(realm: &str) -> Options {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"x\",scope=\"repository:app:pull\"");
    open().rule(on("/v2/*", Action::challenge(&challenge)))
}

/// An issuer that gives everybody a token.
fn generous() -> Issuer {
    Issuer::new().account(USER, SECRET, "*").anonymous("*")
}

fn realms() -> Vec<Row> {
    let malformed = |realm: &'static str| {
        move |stage: &mut Stage| {
            stage.registry(fine(), demands(realm));
        }
    };
    let mut rows: Vec<Row> = [
        ("file:///etc/passwd", "malformed-realm (5)"),
        ("javascript:alert(1)", "malformed-realm (5)"),
        ("/token", "malformed-realm (5)"),
        ("", "denied (4)"),
        ("https://user:pass@evil.example/token", "malformed-realm (7)"),
        ("https://evil.example\\@127.0.0.1/token", "malformed-realm (7)"),
        ("http://2130706433/token", "malformed-realm (7)"),
    ]
    .into_iter()
    .map(|(realm, expected)| Row::named(49, format!("a realm {realm:?}"), expected, malformed(realm)).ids(REALMS))
    .collect();
    rows.extend([
        Row::new(49, "an issuer on another port of this machine, as developers have", "works", |stage| {
            let issuer = Issuer::new().account(USER, SECRET, "*").port(Port::Own);
            stage.registry(fine(), open().tokens(issuer));
        })
        .ids(REALMS),
        Row::new(49, "a realm without TLS is named by a registry with", "realm-downgrade (7)", |stage| {
            let realm = stage.untouched(open().tokens(generous())).replace("127.0.0.1", "cdn.example");
            stage.registry_named("registry.example", fine(), demands(&format!("{realm}/token")));
        })
        .ids(REALMS),
        Row::new(
            49,
            "a realm without TLS on this machine is named by a registry with",
            "realm-downgrade (7)",
            |stage| {
                let realm = stage.untouched(open().tokens(generous()));
                stage.registry_named("registry.example", fine(), demands(&format!("{realm}/token")));
            },
        )
        .ids(REALMS),
        Row::new(49, "a realm is redirected", "token-refused (4)", |stage| {
            let elsewhere = stage.untouched(open());
            stage.registry(fine(), open().tokens(generous()));
            stage.rule(Rule::on(Method::Any, "/token").then(Action::Redirect(format!("{elsewhere}/token"))));
        })
        .ids(REALMS),
        Row::new(49, "a challenge after a redirect names a realm of its own", "works", |stage| {
            // An anonymous token is all that it gets.
            let elsewhere = stage.stranger_lenient(fine(), open().tokens(generous()));
            stage.registry(fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(elsewhere))));
        })
        .ids(REALMS),
        Row::new(49, "Basic over plain http from a named host", "plain-http (5)", |stage| {
            stage.registry(fine(), secured());
            let port = stage.home().address().port();
            stage.login(&format!("registry.example:{port}"));
            stage.reference = format!("registry.example:{port}/app:1");
            stage.check(|stage, _| match stage.home().requests().len() {
                0 => Ok(()),
                asked => Err(format!("{asked} requests in plain http")),
            });
        })
        .not_on(&["skopeo", "client"], "they are told to speak plain http"),
        Row::new(49, "a token that would end its header field", "unsafe-token (4)", |stage| {
            stage.registry(fine(), open().tokens(generous()));
            let answer = Action::respond(200, r#"{"token":"x\r\nX-Injected: yes"}"#);
            stage.rule(Rule::on(Method::Any, "/token").then(answer));
        })
        .ids(REALMS),
        Row::new(49, "a token answer without a token", "no-token (5)", |stage| {
            stage.registry(fine(), open().tokens(generous()));
            stage.rule(Rule::on(Method::Any, "/token").then(Action::respond(200, r#"{"token":""}"#)));
        }),
        Row::new(49, "a token answer that is a page", "malformed-token-answer (5)", |stage| {
            stage.registry(fine(), open().tokens(generous()));
            stage.rule(Rule::on(Method::Any, "/token").then(Action::respond(200, "<html>s3cret</html>")));
        }),
        Row::new(49, "fifty challenges in one answer", "works", |stage| {
            let mut demanding = Rule::on(Method::Any, "/v2/*").without_header("authorization");
            for number in 0..50 {
                let challenge = format!("Weird{number} realm=\"http://evil.example/\"");
                demanding = demanding.then(Action::AddHeader("WWW-Authenticate".to_owned(), challenge));
            }
            stage.registry(fine(), secured().rule(demanding));
        }),
        Row::new(49, "an issuer that never grants enough", "denied (4)", |stage| {
            let issuer = Issuer::new().account(USER, SECRET, "another");
            stage.registry(fine(), open().tokens(issuer));
        }),
    ]);
    rows
}

/// An image whose layer lies at this address.
fn foreign(url: &str) -> Image {
    let layer = Layer::new().file("a", vec![7; 20_000]).compress(Compression::None);
    Image::new().layer(layer.media_type("application/vnd.oci.image.layer.nondistributable.v1.tar").url(url))
}

/// What holds such an image, but not its layer.
fn without_layer(url: &str) -> (Content, String) {
    let packed = foreign(url).pack();
    let layer = packed.blobs.last().expect("the layer comes last").0.to_string();
    let mut content = holding(packed);
    content.remove_blob(&layer);
    (content, layer)
}

fn foreign_layers() -> Vec<Row> {
    vec![
        Row::new(49, "a foreign layer is fetched without credentials", "works", |stage| {
            let storage = stage.stranger(holding(foreign("http://x.example/")), open());
            let (_, layer) = without_layer("http://x.example/");
            let (content, _) = without_layer(&format!("{storage}/v2/app/blobs/{layer}"));
            stage.registry(content, secured());
        })
        .ids(FOREIGN),
        Row::new(49, "a foreign layer that the registry has is not looked for elsewhere", "works", |stage| {
            let storage = stage.untouched(open());
            stage.registry(holding(foreign(&format!("{storage}/layer"))), secured());
        })
        .ids(FOREIGN),
        Row::new(49, "a foreign layer's server asks for Basic", "denied (4)", |stage| {
            let asks = on("*", Action::challenge("Basic realm=\"x\""));
            let storage = stage.stranger(fine(), open().rule(asks));
            stage.registry(without_layer(&format!("{storage}/layer")).0, secured());
        })
        .ids(FOREIGN),
        Row::new(49, "a foreign layer's server asks for a token", "denied (4)", |stage| {
            let storage = stage.stranger(fine(), open().tokens(generous()));
            stage.registry(without_layer(&format!("{storage}/v2/app/blobs/x")).0, secured());
        })
        .ids(FOREIGN),
        Row::new(49, "a foreign layer leads back to the registry", "denied (4)", |stage| {
            // Without credentials, which it is not worth: the address is the manifest's choice.
            stage.registry(fine(), secured());
            let origin = stage.home().origin();
            stage.home().change(|content| *content = without_layer(&format!("{origin}/v2/other/blobs/x")).0);
            stage.check(|stage, _| {
                let other = stage.home().requests_to(Method::Any, "/v2/other/*");
                match other.iter().find(|request| request.header("authorization").is_some()) {
                    None => Ok(()),
                    Some(request) => Err(format!("{} was sent with credentials", request.target)),
                }
            });
        })
        .ids(FOREIGN),
        Row::new(49, "a registry that fails is no reason to look elsewhere", "status (5)", |stage| {
            let storage = stage.untouched(open());
            stage.registry(without_layer(&format!("{storage}/layer")).0, secured());
            stage.rule(on(BLOBS, Action::respond(503, "")).after(1));
        })
        .ids(FOREIGN),
        Row::new(49, "a foreign layer at ten thousand addresses", "part-missing (3)", |stage| {
            let storage = stage.stranger(Content::new(), open());
            let layer = (0..10_000).fold(Layer::new().file("a", b"a").compress(Compression::None), |layer, number| {
                layer.url(&format!("{storage}/{number}"))
            });
            let packed = Image::new().layer(layer).pack();
            let layer = packed.blobs.last().expect("the layer comes last").0.to_string();
            let mut content = holding(packed);
            content.remove_blob(&layer);
            stage.registry(content, secured());
        })
        .ids(FOREIGN),
    ]
}

fn typos() -> Vec<Row> {
    let typo = |reference: &'static str| {
        move |stage: &mut Stage| {
            stage.registry(fine(), secured());
            // Credentials are at hand for the registry that a sloppy parser would take it for.
            stage.login("https://index.docker.io/v1/");
            stage.reference = reference.replace("HOST", &stage.home().host());
            stage.most_seconds = 10;
        }
    };
    [
        "HOST//app:1",
        "http://HOST/app:1",
        "https://HOST/app:1",
        "HOST/App:1",
        "HOST/app:",
        "HOST/app:1@",
        "HOST/../app:1",
        "HOST/app:1:2",
        "user@HOST/app:1",
        "HOST/-app:1",
        "127.0.0.1:99999/app:1",
        "127.0.0.1:5000:5000/app:1",
        "[::1/app:1",
        "HOST/app@sha256:abc",
    ]
    .into_iter()
    .map(|reference| {
        let name = format!("a reference {:?}", reference.replace("HOST", "registry"));
        let row = Row::named(51, name, "malformed-reference (2)", typo(reference)).ids(&["CVE-2021-41092"]);
        let is_address = reference.contains("://");
        if is_address { row.not_on(&["wasm"], "an address is one of a static layout there") } else { row }
    })
    .chain([
        Row::new(51, "credentials for one registry and a name that extends it", "denied (4)", |stage| {
            stage.registry(fine(), secured());
            stage.login(&format!("{}.evil.example", stage.home().host()));
            stage.check(|stage, _| {
                let sent =
                    stage.home().requests().into_iter().find(|request| request.header("authorization").is_some());
                sent.map_or(Ok(()), |request| Err(format!("{:?}", request.headers)))
            });
        })
        .ours("they are told the password"),
        Row::new(51, "credentials for another port of the host", "denied (4)", |stage| {
            stage.registry(fine(), secured());
            stage.login("127.0.0.1:1");
        })
        .ours("they are told the password"),
        Row::new(51, "a registry that stalls does not send us to another", "timed-out (5)", |stage| {
            stage.registry(fine(), secured().rule(on("*", Action::Delay(Duration::from_secs(30)))));
        }),
    ])
    .collect()
}
