use super::*;
use crate::error::{Class, Explain};
use crate::request::Method;

fn origin(text: &str) -> Origin {
    Url::parse(text).expect(text).origin()
}

fn challenge(realm: &str) -> BearerChallenge {
    BearerChallenge {
        realm: realm.into(),
        service: Some("s v".into()),
        scope: Some("repository:a/b:pull repository:c:pull,push".into()),
    }
}

fn basic() -> Credential {
    Credential::Basic { username: "user".into(), password: Secret::new("pass:word") }
}

fn ask_of(credential: &Credential, registry: &str, realm: &str, challenger: Challenger) -> Box<TokenRequest> {
    match acquire(&challenge(realm), credential, &origin(registry), challenger, AddressPolicy::Checked)
        .expect("a request")
    {
        Acquisition::Ask(ask) => ask,
        Acquisition::Present(_) => panic!("there is nothing to present"),
    }
}

const HTTPS: &str = "https://registry.example/";
const REALM: &str = "https://auth.example/token?x=y";
const QUERY: &str = "service=s%20v&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull%2Cpush";

#[test]
fn asks_without_credentials() {
    let ask = ask_of(&Credential::Anonymous, HTTPS, REALM, Challenger::Registry);
    assert_eq!(ask.request.method, Method::Get);
    assert_eq!(ask.request.url.as_str(), format!("https://auth.example/token?x=y&{QUERY}"));
    assert_eq!(ask.request.headers.get("authorization"), None);
    assert_eq!((&ask.fallback, ask.withheld), (&None, None));
    assert_eq!(ask.key.credential, Credential::Anonymous);

    let bare = BearerChallenge { realm: "https://auth.example".into(), service: None, scope: None };
    let acquisition =
        acquire(&bare, &Credential::Anonymous, &origin(HTTPS), Challenger::Registry, AddressPolicy::Checked);
    let Ok(Acquisition::Ask(ask)) = acquisition else { panic!("{acquisition:?}") };
    assert_eq!(ask.request.url.as_str(), "https://auth.example/");
}

#[test]
fn presents_a_password_by_get() {
    let ask = ask_of(&basic(), HTTPS, REALM, Challenger::Registry);
    assert_eq!((ask.request.method, &ask.request.body, &ask.fallback), (Method::Get, &None, &None));
    assert_eq!(ask.request.url.query(), Some(&*format!("x=y&account=user&{QUERY}&client_id=oci-fetcher")));
    assert_eq!(ask.request.headers.get("authorization"), Some("Basic dXNlcjpwYXNzOndvcmQ="));
    assert_eq!(ask.key.credential, basic());
}

#[test]
fn presents_an_identity_token_by_post_and_then_by_get() {
    let credential = Credential::IdentityToken(Secret::new("refresh&me"));
    let ask = ask_of(&credential, HTTPS, REALM, Challenger::Registry);
    assert_eq!(ask.request.method, Method::Post);
    assert_eq!(ask.request.url.as_str(), REALM);
    assert_eq!(ask.request.headers.get("authorization"), None);
    let form = "grant_type=refresh_token&service=s%20v\
        &scope=repository%3Aa%2Fb%3Apull%20repository%3Ac%3Apull%2Cpush\
        &client_id=oci-fetcher&refresh_token=refresh%26me";
    assert_eq!(ask.request.body.as_deref(), Some(form.as_bytes()));

    let fallback = ask.fallback.as_ref().expect("a fallback");
    assert_eq!((fallback.method, &fallback.body), (Method::Get, &None));
    assert_eq!(fallback.url.query(), Some(&*format!("x=y&{QUERY}&client_id=oci-fetcher")));
    assert_eq!(fallback.headers.get("authorization"), Some("Basic PHRva2VuPjpyZWZyZXNoJm1l"));
    for (status, unserved) in [(200, false), (401, false), (404, true), (405, true), (500, false), (501, true)] {
        assert_eq!(TokenRequest::is_unserved(status), unserved, "{status}");
    }
}

#[test]
fn presents_a_registry_token_to_the_registry_alone() {
    let credential = Credential::RegistryToken(Secret::new("ready"));
    let present =
        acquire(&challenge("nonsense"), &credential, &origin(HTTPS), Challenger::Registry, AddressPolicy::Checked);
    assert_eq!(present, Ok(Acquisition::Present(Token::new(Secret::new("ready")).expect("safe"))));
    let ask = ask_of(&credential, HTTPS, REALM, Challenger::Elsewhere);
    assert_eq!(ask.withheld, Some(Withheld::ByChallenger));
    assert!(!format!("{:?}", ask.request.headers.iter().collect::<Vec<_>>()).contains("ready"));

    let folded = Credential::RegistryToken(Secret::new("ready\r\nHost: x"));
    let refused = acquire(&challenge(REALM), &folded, &origin(HTTPS), Challenger::Registry, AddressPolicy::Checked);
    assert_eq!(refused, Err(TokenError::UnsafeToken));
}

#[test]
fn gives_credentials_only_where_they_belong() {
    use Challenger::*;
    const GIVEN: Result<Option<Withheld>, &str> = Ok(None);
    const CHALLENGER: Result<Option<Withheld>, &str> = Ok(Some(Withheld::ByChallenger));
    const PLAIN: Result<Option<Withheld>, &str> = Ok(Some(Withheld::PlainRealm));
    for (registry, realm, challenger, outcome) in [
        (HTTPS, "https://registry.example/token", Registry, GIVEN),
        (HTTPS, "https://registry.example:444/token", Registry, GIVEN),
        (HTTPS, REALM, Registry, GIVEN),
        (HTTPS, REALM, Elsewhere, CHALLENGER),
        (HTTPS, "https://registry.example/token", Elsewhere, CHALLENGER),
        (HTTPS, "http://auth.example/token", Registry, Err("realm-downgrade")),
        (HTTPS, "http://auth.example/token", Elsewhere, Err("realm-downgrade")),
        (HTTPS, "http://registry.example/token", Registry, Err("realm-downgrade")),
        (HTTPS, "http://127.0.0.1/token", Registry, Err("realm-downgrade")),
        (HTTPS, "https://127.0.0.1/token", Registry, Err("realm-reach")),
        (HTTPS, "https://localhost/token", Registry, Err("realm-reach")),
        (HTTPS, "https://[::ffff:7f00:1]/token", Registry, Err("realm-reach")),
        (HTTPS, "https://0.0.0.0/token", Registry, Err("realm-reach")),
        (HTTPS, "https://169.254.169.254/token", Registry, Err("realm-reach")),
        (HTTPS, "https://10.0.0.1/token", Registry, GIVEN),
        (HTTPS, "https://user:password@auth.example/", Registry, Err("malformed-realm")),
        (HTTPS, "https://2852039166/", Registry, Err("malformed-realm")),
        (HTTPS, "/token", Registry, Err("malformed-realm")),
        (HTTPS, "file:///etc/passwd", Registry, Err("malformed-realm")),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/token", Registry, GIVEN),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", Registry, GIVEN),
        ("http://127.0.0.1:5000/", "http://localhost:5000/token", Registry, GIVEN),
        ("http://localhost:5000/", "http://[::1]:5001/token", Registry, GIVEN),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5001/token", Elsewhere, CHALLENGER),
        ("http://127.0.0.1:5000/", "http://127.0.0.1.evil.example/token", Registry, PLAIN),
        ("http://127.0.0.1:5000/", "http://10.0.0.2/token", Registry, PLAIN),
        ("https://127.0.0.1:5000/", "http://127.0.0.1:5001/token", Registry, Err("realm-downgrade")),
        ("http://10.0.0.1/", "http://127.0.0.1:5001/token", Registry, Err("realm-reach")),
        ("http://registry.example/", "http://127.0.0.1:5001/token", Registry, Err("realm-reach")),
        ("http://127.0.0.1:5000/", "https://127.0.0.1:5001/token", Registry, GIVEN),
        ("http://127.0.0.1:5000/", "http://auth.example/token", Registry, PLAIN),
        ("http://127.0.0.1:5000/", "https://auth.example/token", Registry, GIVEN),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000/token", Elsewhere, CHALLENGER),
        ("http://127.0.0.1.evil.example/", "http://127.0.0.1/token", Registry, Err("realm-reach")),
        ("http://10.0.0.1/", "http://10.0.0.2/token", Registry, PLAIN),
        ("http://93.184.216.34/", "http://10.0.0.2/token", Registry, Err("realm-reach")),
        ("https://169.254.1.1/", "https://169.254.1.1:444/token", Registry, GIVEN),
    ] {
        for credential in [basic(), Credential::IdentityToken(Secret::new("pass:word"))] {
            let acquisition =
                acquire(&challenge(realm), &credential, &origin(registry), challenger, AddressPolicy::Checked);
            let found = match &acquisition {
                Ok(Acquisition::Ask(ask)) => Ok(ask.withheld),
                Ok(Acquisition::Present(_)) => panic!("there is nothing to present"),
                Err(error) => Err(error.code()),
            };
            assert_eq!(found, outcome, "{registry} {realm} {challenger:?}");
            if let Ok(Acquisition::Ask(ask)) = acquisition {
                let given = ask.withheld.is_none();
                let request = &ask.request;
                assert_eq!(request.headers.get("authorization").is_some() || request.body.is_some(), given);
                assert_eq!(ask.key.credential != Credential::Anonymous, given);
                assert!(given || ask.fallback.is_none());
                assert!(given || !request.url.as_str().contains("account"));
            }
        }
    }
}

#[test]
fn reads_grants() {
    for (body, token, expires_in, refresh_token) in [
        (r#"{"token":"t"}"#, "t", 60, None),
        (r#"{"access_token":"a"}"#, "a", 60, None),
        (r#"{"token":"t","access_token":"a","expires_in":300}"#, "t", 300, None),
        (r#"{"token":"","access_token":"a"}"#, "a", 60, None),
        (r#"{"token":null,"access_token":"a","expires_in":null,"refresh_token":null}"#, "a", 60, None),
        (r#"{"token":"t","expires_in":5,"refresh_token":"r","issued_at":"1970-01-01T00:00:00Z"}"#, "t", 60, Some("r")),
        (r#"{"token":"t","expires_in":"3600","refresh_token":""}"#, "t", 3_600, None),
        (r#"{"token":"t","expires_in":-1}"#, "t", 60, None),
        (r#"{"token":"t","expires_in":1e3}"#, "t", 60, None),
        (r#"{"token":"t","expires_in":{"a":[]}}"#, "t", 60, None),
        (r#"{"token":"t","expires_in":18446744073709551615}"#, "t", u64::MAX, None),
        (r#"{"token":"opaque!not#a.jwt","scope":["x"]}"#, "opaque!not#a.jwt", 60, None),
    ] {
        let token = Token::new(Secret::new(token)).expect("safe");
        let refresh_token = refresh_token.map(Secret::new);
        assert_eq!(Grant::parse(body.as_bytes()), Ok(Grant { token, expires_in, refresh_token }), "{body}");
    }
}

#[test]
fn refuses_grants_without_showing_them() {
    for (body, code, class) in [
        ("", "malformed-token-answer", Class::Network),
        ("<html>hidden</html>", "malformed-token-answer", Class::Network),
        (r#"{"token":"hidden""#, "malformed-token-answer", Class::Network),
        (r#"{"token":"hidden"} hidden"#, "malformed-token-answer", Class::Network),
        (r#"{"token":["hidden"]}"#, "malformed-token-answer", Class::Network),
        (r#"{"token":"hidden","token":"other"}"#, "malformed-token-answer", Class::Network),
        (r#"["hidden"]"#, "malformed-token-answer", Class::Network),
        ("{\"token\":\"hidden\u{0}\"}", "malformed-token-answer", Class::Network),
        ("{}", "no-token", Class::Network),
        (r#"{"token":"","errors":"hidden"}"#, "no-token", Class::Network),
        (r#"{"token":"hidden\r\nAuthorization: x"}"#, "unsafe-token", Class::Authentication),
        (r#"{"token":"hidden value"}"#, "unsafe-token", Class::Authentication),
    ] {
        let error = Grant::parse(body.as_bytes()).expect_err(body);
        assert_eq!((error.code(), error.class()), (code, class), "{body}");
        assert!(!format!("{error} {error:?}").contains("hidden"), "{error:?}");
    }
    assert_eq!(Grant::parse(b"\xff"), Err(TokenError::Malformed { line: 1, column: 1 }));
    let deep = "[".repeat(100_000);
    assert!(Grant::parse(format!("{{\"x\":{deep}").as_bytes()).is_err());
}

#[test]
fn shows_no_secret() {
    for credential in [
        Credential::Basic { username: "user".into(), password: Secret::new("hidden") },
        Credential::IdentityToken(Secret::new("hidden")),
    ] {
        let shown = format!("{:?}", ask_of(&credential, HTTPS, REALM, Challenger::Registry));
        assert!(!shown.contains("hidden") && !shown.contains("dXNlcj") && !shown.contains("PHRva2"), "{shown}");
    }
}

#[test]
fn the_caller_answers_for_a_realm_but_no_secret_goes_out_in_the_open() {
    for (registry, realm, withheld) in [
        (HTTPS, "https://10.0.0.1/token", None),
        (HTTPS, "http://localhost:8080/token", None),
        (HTTPS, "http://proxy.example/token", Some(Withheld::PlainRealm)),
        ("http://registry.example/", "http://registry.example/token", None),
    ] {
        assert_eq!(ask_of(&basic(), registry, realm, Challenger::Caller).withheld, withheld, "{realm}");
    }
    let malformed = acquire(&challenge("token"), &basic(), &origin(HTTPS), Challenger::Caller, AddressPolicy::Checked);
    assert_eq!(malformed.expect_err("no URL").code(), "malformed-realm");
}
