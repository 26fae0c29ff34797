use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use super::*;
use crate::gateway::Gateway;
use crate::image::{Image, Index, Layer};
use crate::process::measure;

/// Returns the answer to `GET /v2/` without credentials.
fn ping(registry: &DockerRegistry) -> String {
    let mut stream = TcpStream::connect(registry.host()).expect("connected");
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

/// Pushes an index over two images, and has skopeo read its bytes back.
fn round_trip(registry: &DockerRegistry) {
    let mut content = Content::new();
    let image = |platform: &str| Image::new().platform(platform).layer(Layer::new().file("platform", platform));
    content.push("team/app", "1", Index::new().manifest(image("linux/amd64")).manifest(image("linux/arm64")));
    registry.push_content(&content, "team/app", "1");
    let mut inspect = Command::new(required("skopeo", "skopeo"));
    inspect.args(["inspect", "--raw"]);
    for option in registry.skopeo_access() {
        inspect.arg(format!("--{option}"));
    }
    let read = measure(inspect.arg(format!("docker://{}/team/app:1", registry.host()))).expect_code(0);
    assert_eq!(read.stdout, content.manifest("team/app", "1").expect("pushed").bytes);
}

#[test]
fn an_open_registry_serves_everybody() {
    let storage = tempfile::tempdir().expect("a temporary directory can be made");
    let setup = Setup::open().header("Access-Control-Allow-Origin", "*").deletion();
    let registry = DockerRegistry::start(storage.path(), setup);
    let answer = ping(&registry);
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nAccess-Control-Allow-Origin: *\r\n"),
        "{answer}"
    );
    round_trip(&registry);
}

#[test]
fn a_password_is_asked_for_over_tls() {
    let storage = tempfile::tempdir().expect("a temporary directory can be made");
    let registry = DockerRegistry::start(storage.path(), Setup::password_over_tls("alice", "secret"));
    assert!(ping(&registry).contains("Client sent an HTTP request to an HTTPS server"));
    let curl = |credentials: &[&str]| {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let authority = write(directory.path(), "ca.pem", &registry.authority_pem().expect("it has TLS"));
        let mut curl = Command::new(required("curl", "curl"));
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(authority).args(credentials);
        measure(curl.arg(format!("{}/v2/", registry.origin()))).expect_code(0).stdout_text()
    };
    assert_eq!(
        (curl(&[]), curl(&["-u", "alice:wrong"]), curl(&["-u", "alice:secret"])),
        ("401".to_owned(), "401".to_owned(), "200".to_owned())
    );
    round_trip(&registry);
}

#[test]
fn tokens_of_our_issuer_are_accepted() {
    let storage = tempfile::tempdir().expect("a temporary directory can be made");
    let registry = DockerRegistry::start(storage.path(), Setup::tokens("alice", "secret", Issuer::new()));
    let issuer = registry.issuer().expect("there is one");
    let answer = ping(&registry);
    let challenge = format!("Bearer realm=\"{}\",service=\"registry.test\"", issuer.realm());
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains(&challenge), "{answer}");
    round_trip(&registry);
    assert!(issuer.token_requests() > 0);
}

#[test]
fn a_gateway_answers_preflights_that_the_registry_refuses() {
    let storage = tempfile::tempdir().expect("a temporary directory can be made");
    let setup = Setup::tokens("alice", "secret", Issuer::new()).cors(Cors::Headers);
    let registry = DockerRegistry::start(storage.path(), setup);
    let gateway = Gateway::before(&registry.origin(), Cors::Headers);
    let asked = |host: &str, method: &str| {
        let mut stream = TcpStream::connect(host).expect("connected");
        write!(stream, "{method} /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let status = answer.split(' ').nth(1).expect("a status line").to_owned();
        (status, answer.matches("Access-Control-Allow-Origin: *\r\n").count())
    };
    assert_eq!(asked(&registry.host(), "OPTIONS"), ("401".to_owned(), 1));
    assert_eq!(asked(&gateway.host(), "OPTIONS"), ("204".to_owned(), 1));
    assert_eq!(asked(&gateway.host(), "GET"), ("401".to_owned(), 1));
    let seen: Vec<_> = gateway.requests().into_iter().map(|request| (request.method, request.status)).collect();
    assert_eq!(seen, [("OPTIONS".to_owned(), 204), ("GET".to_owned(), 401)]);
    let seen: Vec<_> = registry.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(seen, ["OPTIONS", "GET"]);
}

#[test]
fn a_folder_is_served_with_ranges() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    write(folder.path(), "a/b.txt", "0123456789");
    let gateway = Gateway::over(folder.path(), Cors::Headers);
    let mut curl = Command::new(required("curl", "curl"));
    curl.args(["-si", "-r", "3-5"]).arg(format!("http://{}/a/b.txt", gateway.host()));
    let answer = measure(&curl).expect_code(0).stdout_text();
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.ends_with("\r\n\r\n345"), "{answer}");
    assert!(answer.contains("Access-Control-Allow-Origin: *\r\n"), "{answer}");
}
