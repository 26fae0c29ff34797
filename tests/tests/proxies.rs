//! Proxies from the environment: what goes through them, and what does not.
#![cfg(unix)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::forward_proxy::ForwardProxy;
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure};
use oci_fetcher_tests::registry::{Options, Registry};
use oci_fetcher_tests::tls::{Authority, Tls};

fn content() -> Content {
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(Layer::new().file("a", vec![7; 200_000])));
    content
}

/// Pulls with these variables.
fn pull(place: &Place, source: &str, to: &str, variables: &[(&str, &str)], more: &[&str]) -> Measured {
    let to = place.text(to);
    let arguments = [&["pull", source, &to, "--no-cache", "--retries", "0"], more].concat();
    let mut command = place.command(&arguments);
    command.envs(variables.iter().copied());
    measure(&command)
}

#[test]
fn plain_requests_name_their_whole_address() {
    let place = Place::new();
    let registry = Registry::open(content());
    let proxy = ForwardProxy::start(&[("registry.example:80", registry.address())]);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let before = proxy.requests().len();
        let variables = [(variable, proxy.url())];
        let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
        pull(&place, "registry.example/app:1", variable, &variables, &["--plain-http"]).expect_code(0);
        assert_eq!(place.read(&format!("{variable}/a")), vec![7; 200_000]);
        let seen = proxy.requests();
        assert!(seen.len() >= before + 3, "{seen:?}");
        assert!(seen.iter().all(|request| request.target.starts_with("http://registry.example/v2/app/")), "{seen:?}");
    }
    // Without a proxy nobody knows that name.
    pull(&place, "registry.example/app:1", "none", &[], &["--plain-http"]).expect_code(5);
}

#[test]
fn tls_goes_through_a_tunnel() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let tls = Tls::new(authority.server_named(&["registry.example"]));
    let registry = Registry::start(content(), Options::new().tls(tls));
    let proxy = ForwardProxy::start(&[("registry.example:443", registry.address())]);
    let unused = ForwardProxy::start(&[]);
    let variables = [("HTTPS_PROXY", proxy.url()), ("HTTP_PROXY", unused.url())];
    let variables = variables.each_ref().map(|(name, url)| (*name, url.as_str()));
    let trust = ["--ca-file", &place.text("ca.pem")];
    pull(&place, "registry.example/app:1", "out", &variables, &trust).expect_code(0);
    assert_eq!(place.read("out/a"), vec![7; 200_000]);
    let seen = proxy.requests();
    assert!(!seen.is_empty() && seen.iter().all(|request| request.method == "CONNECT"), "{seen:?}");
    assert!(seen.iter().all(|request| request.target == "registry.example:443"), "{seen:?}");
    assert_eq!(unused.requests(), []);

    // The registry's certificate is checked through the tunnel all the same.
    place.write("other.pem", Authority::new().pem());
    let untrusted = ["--ca-file", &place.text("other.pem"), "--json"];
    let refused = pull(&place, "registry.example/app:1", "other", &variables, &untrusted).expect_code(5);
    assert_eq!(refused.json()["error"]["code"], "tls");
}

#[test]
fn exceptions_are_reached_directly() {
    let place = Place::new();
    let registry = Registry::open(content());
    let proxy = ForwardProxy::start(&[]);
    let url = proxy.url();
    let source = format!("{}/app:1", registry.host());
    let cases = [
        ("", false),
        ("127.0.0.1", true),
        ("127.0.0.0/8", true),
        ("registry.example, 127.0.0.1", true),
        ("*", true),
        ("registry.example", false),
        ("10.0.0.0/8", false),
    ];
    for (number, (exceptions, direct)) in cases.into_iter().enumerate() {
        for name in ["NO_PROXY", "no_proxy"] {
            let before = proxy.requests().len();
            let variables = [("HTTP_PROXY", url.as_str()), (name, exceptions)];
            pull(&place, &source, &format!("{name}{number}"), &variables, &[]).expect_code(0);
            assert_eq!(proxy.requests().len() == before, direct, "{name}={exceptions}");
        }
    }
}

#[test]
fn a_proxy_that_does_not_serve_is_a_fault_of_the_network() {
    let place = Place::new();
    let registry = Registry::open(content());
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let secured =
        Registry::start(content(), Options::new().tls(Tls::new(authority.server_named(&["registry.example"]))));
    let routes = [("registry.example:80", registry.address()), ("registry.example:443", secured.address())];
    let authorization = format!("Basic {}", STANDARD.encode("ann:s3cret"));
    let guarded = ForwardProxy::start_guarded(&routes, &authorization);
    let (right, wrong) =
        (format!("http://ann:s3cret@{}", guarded.address()), format!("http://ann:s3cr3t@{}", guarded.address()));
    let unheard = "http://127.0.0.1:1".to_owned();
    let trust = place.text("ca.pem");
    for (number, options) in [&["--plain-http"][..], &["--ca-file", &trust]].into_iter().enumerate() {
        let variable = if number == 0 { "HTTP_PROXY" } else { "HTTPS_PROXY" };
        for (url, code) in [(&right, 0), (&wrong, 5), (&guarded.url(), 5), (&unheard, 5)] {
            let to = format!("out{number}");
            let options = [options, &["-v", "--force"]].concat();
            let asked = pull(&place, "registry.example/app:1", &to, &[(variable, url)], &options);
            assert_eq!(asked.code, code, "{variable}={url}: {asked:?}");
            let shown = asked.stdout_text() + &asked.stderr_text();
            assert!(!shown.contains("s3cr"), "{shown}");
            assert!(code == 0 || shown.contains("help: "), "{shown}");
        }
    }
}
