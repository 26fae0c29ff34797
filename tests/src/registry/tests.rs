use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;
use crate::image::{Artifact, Image, Layer};
use crate::tls::{Authority, Identity};

/// What a client saw of one answer on a connection that the server was asked to close.
#[derive(Debug)]
struct Seen {
    head: String,
    body: Vec<u8>,
    end: Result<(), ErrorKind>,
}

impl Seen {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

fn get(registry: &Registry, target: &str, fields: &[(&str, &str)]) -> Seen {
    request(&registry.address().to_string(), "GET", target, fields, "")
}

fn request(address: &str, method: &str, target: &str, fields: &[(&str, &str)], body: &str) -> Seen {
    let mut stream = connect(address);
    ask(&mut stream, method, target, fields, body);
    read(&mut stream)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    stream
}

fn ask(stream: &mut impl Write, method: &str, target: &str, fields: &[(&str, &str)], body: &str) {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).expect("sent");
}

fn read(stream: &mut impl Read) -> Seen {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).map(|_| ()).map_err(|error| error.kind());
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let body = bytes.split_off(head);
    Seen { head: String::from_utf8(bytes).expect("text"), body, end }
}

const BLOB: &[u8] = b"0123456789abcdefghij";
const DIGEST: &str = "sha256:6bc14bdc4517a7a682c6910de2e2946eb8e1ecd04090728fef6d092a7ceb62c5";
const PATH: &str = "/v2/app/blobs/sha256:6bc14bdc4517a7a682c6910de2e2946eb8e1ecd04090728fef6d092a7ceb62c5";

fn content() -> Content {
    let mut content = Content::new();
    for tag in ["a", "b", "c", "d", "e"] {
        content.push("app", tag, Image::new().layer(Layer::new().file("a", b"b")));
    }
    content.put_blob(DIGEST, BLOB);
    content
}

#[test]
fn manifests_and_blobs_are_served() {
    let registry = Registry::open(content());
    let stored = content().manifest("app", "a").expect("pushed").clone();
    let by_tag = get(&registry, "/v2/app/manifests/a", &[]);
    assert_eq!((by_tag.status(), &by_tag.body), (200, &stored.bytes));
    assert_eq!(by_tag.header("content-type"), Some(stored.media_type.as_str()));
    let digest = by_tag.header("docker-content-digest").expect("sent").to_owned();
    assert_eq!(get(&registry, &format!("/v2/app/manifests/{digest}"), &[]).body, stored.bytes);
    let head = request(&registry.host(), "HEAD", "/v2/app/manifests/a", &[], "");
    assert_eq!((head.header("content-length"), head.body.len()), (by_tag.header("content-length"), 0));
    assert_eq!(get(&registry, PATH, &[]).body, BLOB);
    let part = get(&registry, PATH, &[("Range", "bytes=5-7")]);
    assert_eq!((part.status(), part.header("content-range"), &part.body[..]), (206, Some("bytes 5-7/20"), &b"567"[..]));
    assert_eq!(get(&registry, PATH, &[("Range", "bytes=20-")]).header("content-range"), Some("bytes */20"));
    for (target, code) in [
        ("/v2/app/manifests/none", "MANIFEST_UNKNOWN"),
        ("/v2/none/manifests/a", "NAME_UNKNOWN"),
        ("/v2/app/blobs/sha256:0", "BLOB_UNKNOWN"),
        ("/v3/", "UNSUPPORTED"),
    ] {
        let missing = get(&registry, target, &[]);
        assert_eq!((missing.status(), &missing.json()["errors"][0]["code"]), (404, &Value::from(code)), "{target}");
    }
    assert_eq!((registry.blob_downloads(), registry.manifest_requests()), (4, 5));
    let sent: Vec<u64> = registry.requests_to(Method::Get, PATH).iter().map(|exchange| exchange.bytes_sent).collect();
    assert_eq!(sent[..2], [20, 3]);
}

#[test]
fn a_connection_serves_many_requests() {
    let registry = Registry::open(content());
    let mut stream = connect(&registry.host());
    let all = format!("GET {PATH} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(3) + "BROKEN\r\n\r\n";
    for byte in all.bytes() {
        stream.write_all(&[byte]).expect("sent");
    }
    let text = String::from_utf8(read(&mut stream).body).expect("text");
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(text.contains("HTTP/1.1 400 Bad Request"), "{text}");
    let connections: Vec<usize> = registry.requests().iter().map(|exchange| exchange.connection).collect();
    assert_eq!(connections, [0, 0, 0]);
}

#[test]
fn tags_come_in_pages() {
    let registry = Registry::start(content(), Options::new().page_size(2));
    let (mut target, mut pages) = ("/v2/app/tags/list".to_owned(), Vec::new());
    loop {
        let page = get(&registry, &target, &[]);
        pages.push(page.json()["tags"].to_string());
        let Some(link) = page.header("link") else { break };
        target = link.trim_start_matches('<').split_once('>').expect("a target").0.to_owned();
    }
    assert_eq!(pages, ["[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"e\"]"]);
    assert_eq!(get(&registry, "/v2/app/tags/list?n=1&last=c", &[]).json()["tags"].to_string(), "[\"d\"]");
}

#[test]
fn referrers_are_listed_or_absent() {
    let mut content = content();
    let image = Image::new().pack();
    content.push_untagged("app", Artifact::new("a/sbom").subject(&image));
    content.push_untagged("app", Artifact::new("a/signature").subject(&image));
    let target = format!("/v2/app/referrers/{}", image.digest());
    let registry = Registry::open(content.clone());
    assert_eq!(get(&registry, &target, &[]).json()["manifests"].as_array().map(Vec::len), Some(2));
    let filtered = get(&registry, &format!("{target}?artifactType=a%2Fsbom"), &[]);
    assert_eq!(filtered.json()["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
    let registry = Registry::start(content, Options::new().referrers(Referrers::Absent));
    assert_eq!(get(&registry, &target, &[]).status(), 404);
}

/// Actions, and the status, `Content-Length`, body and end that a client sees.
type Case<'a> = (&'a [Action], u16, &'a str, &'a [u8], Result<(), ErrorKind>);

#[test]
fn each_action_shows_on_the_wire() {
    use Action::*;
    let short = Err(ErrorKind::WouldBlock);
    let reset = Err(ErrorKind::ConnectionReset);
    let cases: &[Case<'_>] = &[
        (&[], 200, "20", BLOB, Ok(())),
        (&[CutBody(0)], 200, "20", b"", Ok(())),
        (&[CutBody(7)], 200, "20", b"0123456", Ok(())),
        (&[CutBody(20)], 200, "20", BLOB, Ok(())),
        (&[ResetBody(7)], 200, "20", b"0123456", reset),
        (&[StallBody(7)], 200, "20", b"0123456", short),
        (&[StallBody(20)], 200, "20", BLOB, short),
        (&[Slice { bytes: 1, pause: Duration::ZERO }, CutBody(7)], 200, "20", b"0123456", Ok(())),
        (&[Truncate(7)], 200, "7", b"0123456", Ok(())),
        (&[Append(b"++".to_vec())], 200, "22", b"0123456789abcdefghij++", Ok(())),
        (&[Append(b"++".to_vec()), ContentLength(20)], 200, "20", b"0123456789abcdefghij++", Ok(())),
        (&[ContentLength(9)], 200, "9", BLOB, Ok(())),
        (&[FlipByte(0), FlipByte(3)], 200, "20", b"\xcf12\xcc456789abcdefghij", Ok(())),
        (&[Chunked], 200, "", b"14\r\n0123456789abcdefghij\r\n0\r\n\r\n", Ok(())),
        (&[UntilClose], 200, "", BLOB, Ok(())),
        (&[Pause(3, Duration::from_millis(50))], 200, "20", BLOB, Ok(())),
        (&[Action::respond(418, "tea")], 418, "3", b"tea", Ok(())),
        (&[Action::respond(200, "tea"), CutBody(1)], 200, "3", b"t", Ok(())),
        (&[Redirect("http://other/x".to_owned())], 307, "0", b"", Ok(())),
        (&[CutAnswer(0)], 0, "", b"", Ok(())),
        (&[StallAnswer(0)], 0, "", b"", short),
        (&[ResetAnswer(0)], 0, "", b"", reset),
    ];
    let registry = Registry::open(content());
    for (actions, status, length, body, end) in cases {
        registry.forget_rules();
        registry.forget_requests();
        registry.add_rule(actions.iter().cloned().fold(Rule::on(Method::Get, PATH), Rule::then));
        let seen = get(&registry, PATH, &[]);
        assert_eq!((seen.status(), &seen.body[..], &seen.end), (*status, *body, end), "{actions:?}");
        assert_eq!(seen.header("content-length").unwrap_or_default(), *length, "{actions:?}");
        assert_eq!(registry.bytes_sent(), body.len() as u64, "{actions:?}");
    }
}

#[test]
fn an_answer_can_be_cut_at_every_offset() {
    let registry = Registry::open(content());
    let whole = get(&registry, PATH, &[]);
    let whole = [whole.head.as_bytes(), &whole.body].concat();
    for offset in 0..=whole.len() {
        registry.forget_rules();
        registry.add_rule(Rule::on(Method::Get, PATH).then(Action::CutAnswer(offset as u64)));
        let seen = get(&registry, PATH, &[]);
        // The cut does not change the head: the client cannot know.
        let head = seen.head.replace("Connection: close\r\n", "");
        assert!(whole.starts_with(seen.head.as_bytes()) || whole.starts_with(head.as_bytes()), "{offset}: {seen:?}");
        assert_eq!(seen.head.len() + seen.body.len(), offset);
    }
}

#[test]
fn ranges_can_be_ignored_or_wrong() {
    let registry = Registry::open(content());
    let range = [("Range", "bytes=5-")];
    registry.add_rule(Rule::on(Method::Get, PATH).times(1).then(Action::IgnoreRange));
    let wrong = Action::SetHeader("Content-Range".to_owned(), "bytes 6-20/21".to_owned());
    registry.add_rule(Rule::on(Method::Get, PATH).times(1).then(wrong));
    registry.add_rule(Rule::on(Method::Get, PATH).times(1).then(Action::FlipByte(6)));
    let ignored = get(&registry, PATH, &range);
    assert_eq!((ignored.status(), &ignored.body[..]), (200, BLOB));
    assert_eq!(get(&registry, PATH, &range).header("content-range"), Some("bytes 6-20/21"));
    assert_eq!(get(&registry, PATH, &range).body[..3], [b'5', !b'6', b'7']);
    assert_eq!(get(&registry, PATH, &range).body, BLOB[5..]);
}

#[test]
fn rules_apply_in_order_and_as_often_as_they_say() {
    let respond = |status| Action::respond(status, "");
    let rules = Options::new()
        .rule(Rule::on(Method::Get, "/v2/app/*").with_header("range").then(respond(410)))
        .rule(Rule::on(Method::Get, "/v2/app/*").after(1).times(2).then(respond(411)))
        .rule(Rule::on(Method::Get, "/v2/app/blobs/*").times(1).then(respond(412)))
        .rule(Rule::on(Method::Head, "*").then(respond(413)))
        .rule(Rule::on(Method::Get, "/v2/?x=*").then(respond(414)))
        .rule(Rule::on(Method::Get, "/v2/").then(Action::Refuse(429, RetryAfter::Seconds(3))));
    let registry = Registry::start(content(), rules);
    let statuses: Vec<u16> = (0..5).map(|_| get(&registry, PATH, &[]).status()).collect();
    assert_eq!(statuses, [412, 411, 411, 200, 200]);
    assert_eq!(get(&registry, PATH, &[("Range", "bytes=0-")]).status(), 410);
    assert_eq!(get(&registry, "/v2/?x=1", &[]).status(), 414);
    let refused = get(&registry, "/v2/?y=1", &[]);
    assert_eq!((refused.status(), refused.header("retry-after")), (429, Some("3")));
    registry.forget_rules();
    let hour = Duration::from_secs(3600);
    registry.add_rule(Rule::on(Method::Get, "/v2/").times(1).then(Action::Refuse(503, RetryAfter::Date(hour))));
    registry.add_rule(Rule::on(Method::Get, "/v2/").then(Action::Refuse(503, RetryAfter::Absent)));
    let refused = get(&registry, "/v2/", &[]);
    assert!(refused.status() == 503 && refused.header("retry-after").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(get(&registry, "/v2/", &[]).header("retry-after"), None);
    let elsewhere = Registry::open(Content::new());
    registry.forget_rules();
    registry.add_rule(Rule::on(Method::Get, "*").then(Action::RedirectOrigin(elsewhere.origin())));
    let location = format!("{}{PATH}", elsewhere.origin());
    assert_eq!(get(&registry, PATH, &[]).header("location"), Some(location.as_str()));
}

#[test]
fn a_large_file_is_streamed() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("blob");
    let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&path, &bytes).expect("written");
    let mut content = content();
    let blob = crate::content::Blob::file(&path);
    let target = format!("/v2/app/blobs/{}", blob.digest());
    content.put_blob(blob.digest().as_str(), blob);
    let registry = Registry::open(content);
    let whole = get(&registry, &target, &[]);
    assert!(whole.body == bytes && whole.end.is_ok());
    let rest = get(&registry, &target, &[("Range", "bytes=7000001-")]);
    assert!(rest.body == bytes[7_000_001..]);
    assert_eq!(registry.bytes_sent(), (bytes.len() + bytes.len() - 7_000_001) as u64);
}

#[test]
fn basic_credentials_are_checked() {
    let registry = Registry::start(content(), Options::new().basic("alice", "a:b"));
    let refused = get(&registry, "/v2/", &[]);
    assert_eq!((refused.status(), refused.header("www-authenticate")), (401, Some("Basic realm=\"registry.test\"")));
    let field = |secret: &str| format!("bAsIc {}", STANDARD.encode(format!("alice:{secret}")));
    assert_eq!(get(&registry, PATH, &[("Authorization", &field("a:b"))]).status(), 200);
    assert_eq!(get(&registry, PATH, &[("Authorization", &field("a"))]).status(), 401);
}

#[test]
fn tokens_are_issued_checked_and_expire() {
    for port in [Port::Shared, Port::Own] {
        let issuer = Issuer::new().account("alice", "secret", "app").anonymous("public/*").port(port);
        let issuer = issuer.identity_token("alice", "identity-1").lifetime(Duration::from_secs(1));
        let registry = Registry::start(content(), Options::new().tokens(issuer));
        let refused = get(&registry, PATH, &[]);
        let challenge = refused.header("www-authenticate").expect("sent").to_owned();
        let realm = registry.realm();
        assert_eq!(
            challenge,
            format!("Bearer realm=\"{realm}\",service=\"registry.test\",scope=\"repository:app:pull\"")
        );
        let address = realm.trim_start_matches("http://").trim_end_matches("/token").to_owned();
        assert_eq!(address == registry.host(), port == Port::Shared);

        let target = "/token?service=registry.test&scope=repository%3Aapp%3Apull";
        let secret = format!("Basic {}", STANDARD.encode("alice:secret"));
        let wrong = format!("Basic {}", STANDARD.encode("alice:wrong"));
        assert_eq!(request(&address, "GET", target, &[("Authorization", &wrong)], "").status(), 401);
        let granted = request(&address, "GET", target, &[("Authorization", &secret)], "").json();
        let token = granted["token"].as_str().expect("a token").to_owned();
        let bearer = format!("Bearer {token}");
        assert_eq!(granted["expires_in"], 1);
        assert_eq!(get(&registry, PATH, &[("Authorization", &bearer)]).status(), 200);
        // The lifetime ends.
        let issued = Instant::now();
        while get(&registry, PATH, &[("Authorization", &bearer)]).status() == 200 {
            assert!(issued.elapsed() < Duration::from_secs(5));
            std::thread::sleep(Duration::from_millis(50));
        }
        let expired = get(&registry, PATH, &[("Authorization", &bearer)]);
        assert!(expired.header("www-authenticate").expect("sent").ends_with(",error=\"invalid_token\""));

        // Anybody gets a token, which is worth nothing here.
        let anonymous = request(&address, "GET", target, &[], "").json();
        let bearer = format!("Bearer {}", anonymous["access_token"].as_str().expect("a token"));
        let insufficient = get(&registry, PATH, &[("Authorization", &bearer)]);
        assert!(insufficient.header("www-authenticate").expect("sent").ends_with(",error=\"insufficient_scope\""));
        assert_eq!(get(&registry, "/v2/", &[("Authorization", &bearer)]).status(), 200);

        let form =
            "grant_type=refresh_token&service=registry.test&client_id=c&scope=repository:app:pull&refresh_token=";
        assert_eq!(request(&address, "POST", "/token", &[], &format!("{form}identity-2")).status(), 401);
        let refreshed = request(&address, "POST", "/token", &[], &format!("{form}identity-1")).json();
        let bearer = format!("Bearer {}", refreshed["access_token"].as_str().expect("a token"));
        assert_eq!(get(&registry, PATH, &[("Authorization", &bearer)]).status(), 200);
        registry.revoke_tokens();
        assert_eq!(get(&registry, PATH, &[("Authorization", &bearer)]).status(), 401);
        assert_eq!(registry.token_requests(), 5);
    }
}

#[test]
fn tls_is_spoken_with_and_without_client_certificates() {
    let authority = Authority::new();
    let strangers = Authority::new();
    let open = Options::new().tls(Tls::new(authority.server()));
    let registry = Registry::start(content(), open);
    assert_eq!(get_over_tls(&registry, &authority, None).expect("answered").body, BLOB);
    assert!(get_over_tls(&registry, &strangers, None).is_err());
    assert_eq!(get(&registry, PATH, &[]).head, "HTTP/1.0 400 Bad Request\r\n\r\n");
    // The other way round, a handshake gets an answer in plain HTTP.
    assert!(get_over_tls(&Registry::open(content()), &authority, None).is_err());

    for (identity, served) in [(authority.server_named(&["other.example"]), false), (authority.expired_server(), false)]
    {
        let registry = Registry::start(content(), Options::new().tls(Tls::new(identity)));
        assert_eq!(get_over_tls(&registry, &authority, None).is_ok(), served);
    }

    let strict = Options::new().tls(Tls::new(authority.server()).require_client_certificate(&authority));
    let registry = Registry::start(content(), strict);
    assert!(get_over_tls(&registry, &authority, None).is_err());
    assert!(get_over_tls(&registry, &authority, Some(strangers.client())).is_err());
    assert_eq!(get_over_tls(&registry, &authority, Some(authority.client())).expect("answered").body, BLOB);
}

#[test]
fn tls_can_end_without_a_notice() {
    let authority = Authority::new();
    let registry = Registry::start(content(), Options::new().tls(Tls::new(authority.server())));
    assert_eq!(get_over_tls(&registry, &authority, None).expect("answered").end, Ok(()));
    registry.add_rule(Rule::on(Method::Get, PATH).then(Action::CloseWithoutNotify));
    let seen = get_over_tls(&registry, &authority, None).expect("answered");
    assert_eq!((&seen.body[..], seen.end), (BLOB, Err(ErrorKind::UnexpectedEof)));
}

/// Gets the blob, or the error of the handshake or before the answer.
fn get_over_tls(registry: &Registry, authority: &Authority, client: Option<Identity>) -> Result<Seen, ErrorKind> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM")).expect("added");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("supported");
    let builder = builder.with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let certificate = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).expect("PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("the key belongs to the certificate")
        }
    };
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("configured");
    let mut stream = StreamOwned::new(connection, connect(&registry.host()));
    let text = format!("GET {PATH} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).map_err(|error| error.kind())?;
    let seen = read(&mut stream);
    if seen.head.is_empty() { Err(seen.end.expect_err("an end without an answer is an error")) } else { Ok(seen) }
}

#[test]
fn pages_of_other_origins_see_what_they_are_let_see() {
    let asked = |cors| {
        let rule = Rule::on(Method::Any, "*").times(1).then(Action::challenge("Basic realm=\"test\""));
        let registry = Registry::start(content(), Options::new().cors(cors).rule(rule));
        let preflight = request(&registry.host(), "OPTIONS", PATH, &[], "");
        let refused = get(&registry, PATH, &[]);
        let field = |seen: &Seen, name: &str| seen.header(name).map(str::to_owned);
        let exposed = field(&refused, "access-control-expose-headers");
        let allowed = field(&preflight, "access-control-allow-headers");
        (
            preflight.status(),
            allowed.is_some(),
            refused.status(),
            exposed.is_some_and(|it| it.contains("WWW-Authenticate")),
        )
    };
    assert_eq!(asked(Cors::Absent), (405, false, 401, false));
    assert_eq!(asked(Cors::Bodies), (204, true, 401, false));
    assert_eq!(asked(Cors::Headers), (204, true, 401, true));
}
