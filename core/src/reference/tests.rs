use proptest::prelude::*;

use super::*;
use crate::error::{Class, Explain};
use crate::url::UrlProblem;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn reads_references_as_docker_does() {
    let sha256 = format!("sha256:{HEX}");
    for (text, registry, repository, tag, digested) in [
        ("alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("alpine:3.20", "docker.io", "library/alpine", Some("3.20"), false),
        ("heroku/builder:22", "docker.io", "heroku/builder", Some("22"), false),
        ("docker.io/alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("index.docker.io/alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("registry-1.docker.io/library/alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("Docker.IO/alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("docker.io:443/alpine", "docker.io", "library/alpine", Some("latest"), false),
        ("docker.io:5000/alpine", "docker.io:5000", "alpine", Some("latest"), false),
        ("a/b/c/d:e", "docker.io", "a/b/c/d", Some("e"), false),
        ("localhost/a", "localhost", "a", Some("latest"), false),
        ("LOCALHOST/a", "localhost", "a", Some("latest"), false),
        ("localhost:5000/a", "localhost:5000", "a", Some("latest"), false),
        ("localhost:5000/a/b:c", "localhost:5000", "a/b", Some("c"), false),
        ("host:5000/a", "host:5000", "a", Some("latest"), false),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", Some("latest"), false),
        ("[::1]:5000/a", "[::1]:5000", "a", Some("latest"), false),
        ("[2001:DB8:0::1]/a:b", "[2001:db8::1]", "a", Some("b"), false),
        ("GHCR.io/a/b", "ghcr.io", "a/b", Some("latest"), false),
        ("Host/a", "Host", "a", Some("latest"), false),
        ("HOST:80/a", "host:80", "a", Some("latest"), false),
        ("my_registry:80/a", "my_registry:80", "a", Some("latest"), false),
        ("ghcr.io/a/b@D", "ghcr.io", "a/b", None, true),
        ("ghcr.io/a/b:c@D", "ghcr.io", "a/b", Some("c"), true),
        ("alpine@D", "docker.io", "library/alpine", None, true),
        ("rocket.chat:6", "docker.io", "library/rocket.chat", Some("6"), false),
        ("docker.io/library/rocket.chat:5000", "docker.io", "library/rocket.chat", Some("5000"), false),
        ("redis:8080", "docker.io", "library/redis", Some("8080"), false),
        ("a.b_c__d---e/f", "a.b_c__d---e", "f", Some("latest"), false),
        ("x/a.b_c__d---e:_T.a-g", "docker.io", "x/a.b_c__d---e", Some("_T.a-g"), false),
        ("docker:24", "docker.io", "library/docker", Some("24"), false),
        ("sha256:abc", "docker.io", "library/sha256", Some("abc"), false),
    ] {
        let text = text.replace("@D", &format!("@{sha256}"));
        let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((reference.registry(), reference.repository()), (registry, repository), "{text}");
        assert_eq!(reference.tag(), tag, "{text}");
        assert_eq!(reference.digest().map(Digest::as_str), digested.then_some(sha256.as_str()), "{text}");
        assert_eq!(reference.target(), if digested { &sha256 } else { tag.expect("a tag") }, "{text}");
        assert_eq!(reference.as_typed(), text);
        let again: Reference = reference.to_string().parse().expect("normalised");
        assert_eq!(again, reference, "{text}");
        assert_eq!(again.to_string(), reference.to_string(), "{text}");
        let url = reference.base_url(Scheme::Http);
        assert_eq!(url.as_str(), format!("http://{}/", reference.registry_host().to_lowercase()).replace(":80/", "/"));
    }
}

#[test]
fn refuses_with_advice() {
    use ReferenceProblem::*;
    let long = "a".repeat(256);
    let long_repository = format!("ghcr.io/{long}");
    let long_tag = format!("a:{}", "t".repeat(129));
    let endless = "a".repeat(2_000);
    let digest = format!("sha256:{HEX}");
    for (text, problem, advice) in [
        ("", Empty, "alpine:3.20"),
        ("a b", Character, "alpine:3.20"),
        (" alpine", Character, "alpine:3.20"),
        ("alpine\n", Character, "alpine:3.20"),
        ("a\u{0}", Character, "alpine:3.20"),
        ("\u{430}lpine", Character, "alpine:3.20"),
        (&endless, TooLong, "alpine:3.20"),
        ("http://x/y", Scheme, "write \"x:80/y\""),
        ("HTTPS://x/y", Scheme, "write \"x:443/y\""),
        ("https://ghcr.io", Scheme, "alpine:3.20"),
        ("http://localhost:5000/a", Scheme, "write \"localhost:5000/a\""),
        ("https://ghcr.io/a/b:c", Scheme, "write \"ghcr.io/a/b:c\""),
        ("https://ghcr.io/a/b/", Scheme, "write \"ghcr.io/a/b\""),
        ("docker://alpine", Scheme, "write \"alpine\""),
        ("https://", Scheme, "alpine:3.20"),
        ("user:password@ghcr.io/a/b", UserInformation, "write \"ghcr.io/a/b\""),
        ("https:/ghcr.io/a", Registry(UrlProblem::Port), "ghcr.io/owner"),
        ("host:/a", Registry(UrlProblem::Port), "ghcr.io/owner"),
        ("host:0/a", Registry(UrlProblem::Port), "ghcr.io/owner"),
        ("host:65536/a", Registry(UrlProblem::Port), "ghcr.io/owner"),
        (":5000/a", Registry(UrlProblem::NoHost), "ghcr.io/owner"),
        ("127.1/a", Registry(UrlProblem::NumericHost), "ghcr.io/owner"),
        ("2130706433:5000/a", Registry(UrlProblem::NumericHost), "ghcr.io/owner"),
        ("0177.0.0.1/a", Registry(UrlProblem::NumericHost), "ghcr.io/owner"),
        ("../a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("./a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("ghcr..io/a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("-x.io/a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("[::1/a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("[::g]:5000/a", Registry(UrlProblem::Host), "ghcr.io/owner"),
        ("localhost", NoRepository, "localhost:5000/name"),
        ("localhost:5000", NoRepository, "localhost:5000/name"),
        ("Localhost:5000", NoRepository, "localhost:5000/name"),
        ("127.0.0.1", NoRepository, "localhost:5000/name"),
        ("127.0.0.1:5000", NoRepository, "localhost:5000/name"),
        ("[::1]:5000", NoRepository, "localhost:5000/name"),
        ("docker.io", NoRepository, "docker.io/library/"),
        ("index.docker.io:latest", NoRepository, "docker.io/library/"),
        ("registry.example:5000", NoRepository, "docker.io/library/"),
        ("registry.example:443", NoRepository, "docker.io/library/"),
        (HEX, BareDigest, "@sha256:"),
        (&digest, BareDigest, "@sha256:"),
        ("/a", EmptyComponent, "write \"a\""),
        ("a/", EmptyComponent, "write \"a\""),
        ("ghcr.io//a", EmptyComponent, "write \"ghcr.io/a\""),
        ("ghcr.io/", EmptyComponent, "alpine:3.20"),
        (":tag", EmptyComponent, "alpine:3.20"),
        ("/", EmptyComponent, "alpine:3.20"),
        (&long_repository, RepositoryTooLong, "alpine:3.20"),
        ("Alpine", UpperCase, "write \"alpine\""),
        ("heroku/Builder:Tag", UpperCase, "write \"heroku/builder:Tag\""),
        ("ghcr.io/Owner/name", UpperCase, "write \"ghcr.io/owner/name\""),
        ("a_/b", Repository, "alpine:3.20"),
        ("a/-b", Repository, "alpine:3.20"),
        ("a/b..c", Repository, "alpine:3.20"),
        ("a/b___c", Repository, "alpine:3.20"),
        ("a/b._c", Repository, "alpine:3.20"),
        ("a/../b", Repository, "alpine:3.20"),
        ("a/b?c", Repository, "alpine:3.20"),
        ("a/%2e%2e", Repository, "alpine:3.20"),
        ("a:", Tag, "alpine:3.20"),
        ("a:.b", Tag, "alpine:3.20"),
        ("a:-b", Tag, "alpine:3.20"),
        ("a:b:c", Tag, "alpine:3.20"),
        ("a:b+c", Tag, "alpine:3.20"),
        (&long_tag, Tag, "alpine:3.20"),
    ] {
        let error = text.parse::<Reference>().expect_err(text);
        assert_eq!((error.problem(), error.class()), (&problem, Class::Usage), "{text:?}");
        let given = error.advice().expect("advice");
        assert!(given.contains(advice), "{text:?}: {given}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
}

#[test]
fn refuses_what_is_no_digest() {
    for digest in
        ["", "latest", "sha256:", "sha256:abc", "sha256:../../etc", &format!("SHA256:{HEX}"), &HEX.to_uppercase()]
    {
        assert!(format!("ghcr.io/a@{digest}").parse::<Reference>().is_err(), "{digest}");
    }
    // Well-formed, though nothing here can compute it.
    let reference: Reference = "a@blake3:abcd".parse().expect("well-formed");
    assert_eq!(reference.digest().and_then(Digest::algorithm), None);
}

#[test]
fn accepts_the_longest_parts() {
    let reference = format!("ghcr.io/{}:{}@sha256:{HEX}", "a".repeat(255), "t".repeat(128));
    assert!(reference.parse::<Reference>().is_ok());
}

#[test]
fn shows_no_password() {
    for text in ["user:secret@ghcr.io/a", "https://user:secret@ghcr.io/a", "secret@ghcr.io", "user:secret@host:1/a@b"] {
        let error = text.parse::<Reference>().expect_err(text);
        assert!(!format!("{error} {error:?} {:?}", error.advice()).contains("secret"), "{error:?}");
    }
}

#[test]
fn compares_by_what_is_named() {
    let [short, long]: [Reference; 2] =
        ["alpine", "index.docker.io/library/alpine:latest"].map(|text| text.parse().expect(text));
    assert_eq!(short, long);
    assert_ne!(short.as_typed(), long.as_typed());

    let digest = Digest::of(Algorithm::Sha256, b"");
    let pinned = short.with_digest(digest.clone());
    assert_ne!(pinned, short);
    assert_eq!((pinned.tag(), pinned.target(), pinned.as_typed()), (Some("latest"), digest.as_str(), "alpine"));
    assert_eq!(pinned.to_string(), format!("docker.io/library/alpine:latest@sha256:{HEX}"));
}

proptest! {
    #[test]
    fn parses_anything_to_a_fixed_point(text in "([a-zA-Z0-9._-]{0,9}|\\[::1\\])(:[0-9]{0,5})?(/[a-zA-Z0-9._/-]{0,9})?(:[a-zA-Z0-9._-]{0,5})?") {
        if let Ok(reference) = text.parse::<Reference>() {
            let shown = reference.to_string();
            let again: Reference = shown.parse().expect("normalised");
            prop_assert_eq!(&again, &reference);
            prop_assert_eq!(again.to_string(), shown);
            let base = reference.base_url(Scheme::Https);
            let url = base.join(&format!("/v2/{}/manifests/{}", reference.repository(), reference.target()));
            prop_assert_eq!(url.expect("well-formed").origin(), base.origin());
        }
    }

    #[test]
    fn survives_any_text(text in ".{0,40}") {
        if let Err(error) = text.parse::<Reference>() {
            prop_assert!(error.advice().is_some());
        }
    }
}
