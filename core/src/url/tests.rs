use proptest::prelude::*;

use super::*;

#[test]
fn parses_to_one_spelling() {
    for (text, normalised) in [
        ("https://a.example", "https://a.example/"),
        ("HTTPS://A.Example:443/B", "https://a.example/B"),
        ("http://a:80/", "http://a/"),
        ("http://a:443", "http://a:443/"),
        ("http://a:/x", "http://a/x"),
        ("https://a?x=1", "https://a/?x=1"),
        ("https://a/b#fragment", "https://a/b"),
        ("https://a#@evil.example/", "https://a/"),
        ("https://a/?#", "https://a/?"),
        ("https://a/b/../c/./d/..", "https://a/c/"),
        ("https://a/../../b", "https://a/b"),
        ("https://a/b/%2e%2E/%2e/c", "https://a/c"),
        ("https://a/..a/.../b.", "https://a/..a/.../b."),
        ("https://a//b//../c", "https://a//b/c"),
        ("https://a/ü?ü='\"", "https://a/%C3%BC?%C3%BC=%27%22"),
        ("https://a/%zz%?%", "https://a/%zz%?%"),
        ("https://a/x?y=/../z", "https://a/x?y=/../z"),
        ("http://[::1]:5000/", "http://[::1]:5000/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
        ("http://[::FFFF:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"),
        ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5000/v2/"),
        ("https://my_registry.xn--bcher-kva.example/", "https://my_registry.xn--bcher-kva.example/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
    ] {
        let url = Url::parse(text).expect(text);
        assert_eq!(url.as_str(), normalised, "{text}");
        assert_eq!(Url::parse(normalised).as_ref(), Ok(&url), "{normalised} is not a fixed point");
    }
}

#[test]
fn refuses_what_two_parsers_could_read_differently() {
    use UrlProblem::*;
    for (text, problem) in [
        ("", NotAbsolute),
        ("/v2/", NotAbsolute),
        ("https:a.example/", NotAbsolute),
        ("https:/a.example/", NotAbsolute),
        ("ftp://a/", Scheme),
        ("javascript://a/", Scheme),
        ("file:///etc/passwd", Scheme),
        ("https://", NoHost),
        ("https:///a.example/", NoHost),
        ("https://:443/", NoHost),
        ("https://user@a/", UserInformation),
        ("https://user:password@a/", UserInformation),
        ("https://a.example:443@evil.example/", UserInformation),
        ("https://a b/", Character),
        ("https://a/b c", Character),
        ("https://a/\r\nHost: b", Character),
        ("https://a/\u{85}", Character),
        ("https://a/\u{2028}", Character),
        ("https://a\\@evil.example/", Character),
        (" https://a/", Character),
        ("https://a/\t", Character),
        ("https://bücher.example/", Host),
        ("https://127\u{3002}0\u{3002}0\u{3002}1/", Host),
        ("https://127\u{ff0e}0.0.1/", Host),
        ("https://%31%32%37.0.0.1/", Host),
        ("https://a..b/", Host),
        ("https://.a/", Host),
        ("https://a./", Host),
        ("https://-a/", Host),
        ("https://a-.b/", Host),
        ("https://a,b/", Host),
        ("https://[::1/", Host),
        ("https://[::1]x/", Host),
        ("https://[fe80::1%25eth0]/", Host),
        ("https://[127.0.0.1]/", Host),
        ("https://[]/", Host),
        ("https://::1/", NoHost),
        ("https://2130706433/", NumericHost),
        ("https://0x7f000001/", NumericHost),
        ("https://0x/", NumericHost),
        ("https://0X7F.0.0.1/", NumericHost),
        ("https://127.1/", NumericHost),
        ("https://127.0.1/", NumericHost),
        ("https://0177.0.0.1/", NumericHost),
        ("https://127.0.0.01/", NumericHost),
        ("https://256.0.0.1/", NumericHost),
        ("https://1.2.3.4.5/", NumericHost),
        ("https://a.1/", NumericHost),
        ("https://a:0/", Port),
        ("https://a:65536/", Port),
        ("https://a:+80/", Port),
        ("https://a:8o/", Port),
        ("https://a:1:2/", Port),
    ] {
        assert_eq!(Url::parse(text).map_err(|error| error.problem()), Err(problem), "{text:?}");
    }
    let label = "a".repeat(64);
    assert_eq!(Url::parse(&format!("https://{label}/")).map_err(|error| error.problem()), Err(Host));
    let name = "a.".repeat(127);
    assert_eq!(Url::parse(&format!("https://{name}a/")).map_err(|error| error.problem()), Err(Host));
    let path = "a".repeat(MAX_LEN);
    assert_eq!(Url::parse(&format!("https://a/{path}")).map_err(|error| error.problem()), Err(TooLong));
}

#[test]
fn joins_as_rfc_3986_does() {
    // Section 5.4, with what this type drops (fragments) or keeps out (other schemes).
    let base = Url::parse("http://a/b/c/d;p?q").expect("well-formed");
    for (location, joined) in [
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("//g:81/h", "http://g:81/h"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/../x", "http://a/b/c/g"),
        ("https://b.example/c?d", "https://b.example/c?d"),
        ("g/h:i", "http://a/b/c/g/h:i"),
        ("1:2", "http://a/b/c/1:2"),
        ("?a:b", "http://a/b/c/d;p?a:b"),
    ] {
        assert_eq!(base.join(location).expect(location).as_str(), joined, "{location:?}");
    }
    for location in
        ["g:h", "http:g", "mailto:a@b", "///evil.example/", "/\\evil.example/", "/a b", "//u@g/", "//127.1/"]
    {
        assert!(base.join(location).is_err(), "{location:?} was accepted");
    }
}

#[test]
fn takes_a_url_apart() {
    let url = Url::parse("http://Host.example:5000/a/b?c=d&e").expect("well-formed");
    assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Http, "host.example", 5000));
    assert_eq!((url.path(), url.query(), url.path_and_query()), ("/a/b", Some("c=d&e"), "/a/b?c=d&e"));
    assert_eq!(url.origin().to_string(), "http://host.example:5000");

    let bare = Url::parse("https://[::1]").expect("well-formed");
    assert_eq!((bare.host(), bare.port(), bare.path(), bare.query()), ("[::1]", 443, "/", None));
    assert_eq!(bare.origin(), Url::parse("https://[0::1]:443/x").expect("well-formed").origin());
    assert_ne!(bare.origin(), Url::parse("http://[::1]:443/").expect("well-formed").origin());
}

#[test]
fn appends_encoded_pairs() {
    let url = Url::parse("https://a/token").expect("well-formed");
    let once = url.with_query(&[("scope", "repository:a/b:pull,push"), ("x y", "&=+#%ü")]);
    assert_eq!(once.as_str(), "https://a/token?scope=repository%3Aa%2Fb%3Apull%2Cpush&x%20y=%26%3D%2B%23%25%C3%BC");
    assert_eq!(once.with_query(&[("z", "")]).query(), Some(&*format!("{}&z=", once.query().expect("a query"))));
    assert_eq!(url.with_query(&[]), url);
    assert_eq!(Url::parse(once.as_str()), Ok(once));
}

#[test]
fn shows_no_secret() {
    let url = Url::parse("https://cdn.example/blob?X-Amz-Signature=secret").expect("well-formed");
    for shown in [url.to_string(), format!("{url:?}"), url.redacted().to_owned()] {
        assert!(shown.contains("https://cdn.example/blob") && !shown.contains("secret"), "{shown}");
    }
    for text in [
        "https://user:secret@a/",
        "https:user:secret@a/",
        "ftp://a/?secret",
        "https://a b/#secret",
        "https://127.1/?secret",
    ] {
        let error = Url::parse(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    let error = Url::parse("https://a/\u{1b}[2J\u{202e}").expect_err("control characters");
    assert_eq!(error.to_string().chars().filter(|character| character.is_control()).count(), 0);
    assert!(!error.to_string().contains('\u{202e}'));
}

#[test]
fn tells_how_far_a_host_reaches() {
    use Reach::*;
    for (host, reach, loopback) in [
        ("localhost", Loopback, true),
        ("LOCALHOST", Loopback, true),
        ("registry.localhost", Loopback, true),
        ("127.0.0.1", Loopback, true),
        ("127.255.0.1", Loopback, true),
        ("[::1]", Loopback, true),
        ("[::ffff:127.0.0.1]", Loopback, false),
        ("[::127.0.0.1]", Loopback, false),
        ("[64:ff9b::7f00:1]", Loopback, false),
        ("[2002:7f00:1::]", Loopback, false),
        ("127.0.0.1.evil.example", Name, false),
        ("localhost.evil.example", Name, false),
        ("evillocalhost", Name, false),
        ("0.0.0.0", Special, false),
        ("[::]", Special, false),
        ("255.255.255.255", Special, false),
        ("239.0.0.1", Special, false),
        ("[ff02::1]", Special, false),
        ("[2001::1]", Special, false),
        ("169.254.169.254", LinkLocal, false),
        ("[::ffff:a9fe:a9fe]", LinkLocal, false),
        ("[::ffff:0:a9fe:a9fe]", LinkLocal, false),
        ("[fe80::1]", LinkLocal, false),
        ("[fd00:ec2::254]", LinkLocal, false),
        ("100.100.100.200", LinkLocal, false),
        ("10.1.2.3", Private, false),
        ("172.31.0.1", Private, false),
        ("172.32.0.1", Public, false),
        ("192.168.0.1", Private, false),
        ("100.64.0.1", Private, false),
        ("[fd12::1]", Private, false),
        ("[::ffff:10.0.0.1]", Private, false),
        ("93.184.216.34", Public, false),
        ("[2606:4700::1]", Public, false),
        ("registry.example", Name, false),
    ] {
        let url = Url::parse(&format!("http://{host}/")).expect(host);
        assert_eq!((url.reach(), url.is_loopback()), (reach, loopback), "{host}");
        assert_eq!((url.origin().reach(), url.origin().is_loopback()), (reach, loopback), "{host}");
    }
}

#[test]
fn keeps_registries_out_of_their_clients_networks() {
    use super::Scheme::*;
    use Reach::*;
    for (registry, target, scheme, allowed) in [
        (Public, Public, Http, true),
        (Name, Name, Https, true),
        (Name, Loopback, Https, false),
        (Private, Loopback, Http, false),
        (Loopback, Loopback, Http, true),
        (Loopback, LinkLocal, Http, true),
        (Private, LinkLocal, Https, false),
        (Public, Special, Https, false),
        (Public, Private, Https, true),
        (Public, Private, Http, false),
        (Private, Private, Http, true),
        (Name, Private, Http, true),
    ] {
        assert_eq!(target.may_be_named_by(registry, scheme), allowed, "{registry:?} to {target:?} by {scheme}");
    }
}

proptest! {
    #[test]
    fn joins_anything_to_a_fixed_point(location in "(https?:|//|/|\\?)?[a-c./?#:%2eE@ü\\[\\]\\\\-]{0,24}") {
        let base = Url::parse("https://a.example/b/c?d").expect("well-formed");
        if let Ok(url) = base.join(&location) {
            prop_assert_eq!(Url::parse(url.as_str()), Ok(url.clone()));
            prop_assert_eq!(base.join(url.as_str()), Ok(url.clone()));
            prop_assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!url.path().split('/').any(|segment| matches!(segment, "." | "..")));
            let root = format!("{}/", url.origin());
            prop_assert!(url.as_str().starts_with(&root));
        }
    }
}
