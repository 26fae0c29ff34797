//! Credential files and helper answers as found in use, and as an enemy or a slip would write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::error::{Class, Explain};

fn parse(kind: AuthFileKind, json: &str) -> AuthFile {
    AuthFile::parse(kind, json.as_bytes()).expect(json)
}

fn basic(username: &str, password: &str) -> Finding {
    Finding::Credential(Credential::Basic { username: username.into(), password: Secret::new(password) })
}

fn entry(user_and_password: impl AsRef<[u8]>) -> String {
    format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(user_and_password))
}

fn ask(name: &str, address: &str, otherwise: Finding) -> Finding {
    let request = HelperRequest::new(name.parse().expect(name), address).expect(address);
    Finding::Ask { request, otherwise: Box::new(otherwise) }
}

/// Which of a file's keys (between spaces) wins; each key's entry has the key as its user.
#[test]
fn keys_match_as_their_programs_match_them() {
    use AuthFileKind::{Containers, Docker};
    const HUB: &str = "https://index.docker.io/v1/";
    let cases = [
        // Docker: the exact key, then the host name without scheme and path.
        (Docker, "r.example", ("r.example", "a/b"), Some("r.example")),
        (Docker, "https://r.example/v2/ r.example", ("r.example", "a/b"), Some("r.example")),
        (Docker, "https://r.example/v2/", ("r.example", "a/b"), Some("https://r.example/v2/")),
        (Docker, "http://r.example", ("r.example", "a/b"), Some("http://r.example")),
        (Docker, "r.example/v1/", ("r.example", "a/b"), Some("r.example/v1/")),
        (Docker, "R.Example", ("r.example", "a/b"), Some("R.Example")),
        (Docker, "r.example/a r.example", ("r.example", "a/b"), Some("r.example")),
        (Docker, "r.example/a/b r.example", ("r.example", "a/b"), Some("r.example/a/b")),
        (Docker, "r.example/z r.example/a", ("r.example", "a/b"), Some("r.example/a")),
        (Docker, "r.example/a r.example/a/b/c", ("r.example", "a/b/c/d"), Some("r.example/a/b/c")),
        (Docker, "r.example/0 https://r.example/v1/", ("r.example", "a/b"), Some("https://r.example/v1/")),
        (Docker, "r.example/z", ("r.example", "a/b"), Some("r.example/z")),
        // Ports belong to the host.
        (Docker, "r.example:5000", ("r.example", "a/b"), None),
        (Docker, "r.example https://r.example:5000/v2/", ("r.example:5000", "a"), Some("https://r.example:5000/v2/")),
        (Docker, "[::1]:5000", ("[::1]:5000", "a"), Some("[::1]:5000")),
        // Podman: the longest namespace, by whole components, then the host.
        (Containers, "r.example r.example/a r.example/a/b", ("r.example", "a/b"), Some("r.example/a/b")),
        (Containers, "r.example r.example/a r.example/a/b/c", ("r.example", "a/b"), Some("r.example/a")),
        (Containers, "r.example r.example/a/", ("r.example", "a/b"), Some("r.example/a/")),
        (Containers, "r.example r.example/a", ("r.example", "ab"), Some("r.example")),
        (Containers, "r.example/a", ("r.example", "z"), None),
        (Containers, "https://r.example/v1/ r.example", ("r.example", "a"), Some("r.example")),
        (Containers, "https://r.example/v1/", ("r.example", "a"), Some("https://r.example/v1/")),
        // Docker Hub's three names are one, and its key is a URL.
        (Docker, "HUB", ("docker.io", "library/alpine"), Some("HUB")),
        (Docker, "HUB", ("index.docker.io", "library/alpine"), Some("HUB")),
        (Docker, "HUB", ("registry-1.docker.io", "library/alpine"), Some("HUB")),
        (Docker, "HUB docker.io", ("docker.io", "library/alpine"), Some("HUB")),
        (Docker, "index.docker.io docker.io", ("docker.io", "library/alpine"), Some("docker.io")),
        (Docker, "registry-1.docker.io", ("docker.io", "library/alpine"), Some("registry-1.docker.io")),
        (Containers, "HUB docker.io", ("docker.io", "library/alpine"), Some("docker.io")),
        (Containers, "HUB", ("docker.io", "library/alpine"), Some("HUB")),
        (Containers, "docker.io/team docker.io", ("index.docker.io", "team/app"), Some("docker.io/team")),
        // Nothing that merely resembles a registry gets its credentials.
        (Docker, "HUB docker.io", ("docker.io.evil.example", "a"), None),
        (Docker, "docker.io", ("xdocker.io", "a"), None),
        (Docker, "https://docker.io@evil.example/", ("docker.io", "a"), None),
        (Docker, " / https:// https:///v1/", ("", "a"), None),
        (Docker, " / https://", ("docker.io", "a"), None),
        (Containers, " /a a/b", ("r.example", "a/b"), None),
    ];
    for (kind, keys, (registry, repository), expected) in cases {
        let keys = keys.replace("HUB", HUB);
        let entries: Vec<String> =
            keys.split(' ').map(|key| format!(r#""{key}":{{"username":"{key}!","password":"p"}}"#)).collect();
        let file = parse(kind, &format!(r#"{{"auths":{{{}}}}}"#, entries.join(",")));
        let expected = expected.map_or(Finding::Nothing, |key| basic(&format!("{}!", key.replace("HUB", HUB)), "p"));
        assert_eq!(file.find(registry, repository), expected, "{kind:?} {keys} for {registry} {repository}");
    }
}

#[test]
fn entries_are_read_in_every_form_that_logins_write() {
    let cases = [
        (entry("u:p"), basic("u", "p")),
        (entry("u:p:q:"), basic("u", "p:q:")),
        (entry(":p"), basic("", "p")),
        (entry("u:"), basic("u", "")),
        (entry("u:p\0\0"), basic("u", "p")),
        (entry("ü:p\n"), basic("ü", "p\n")),
        (r#"{"auth":"dTpw\nZA=="}"#.into(), basic("u", "pd")),
        (r#"{"auth":"dTpwZA"}"#.into(), basic("u", "pd")),
        (r#"{"auth":"","username":"u","password":"p:\u0000"}"#.into(), basic("u", "p:")),
        (r#"{"auth":null,"username":"u","password":"p","email":["x"],"new":{"a":1}}"#.into(), basic("u", "p")),
        (r#"{"auth":"dTpw","username":"other","password":"other"}"#.into(), basic("u", "p")),
        (r#"{"identitytoken":"t\u0000"}"#.into(), Finding::Credential(Credential::IdentityToken(Secret::new("t")))),
        (
            r#"{"identitytoken":"t","auth":"MDAwOg=="}"#.into(),
            Finding::Credential(Credential::IdentityToken(Secret::new("t"))),
        ),
        (
            r#"{"registrytoken":"r","identitytoken":"t","auth":"dTpw"}"#.into(),
            Finding::Credential(Credential::RegistryToken(Secret::new("r"))),
        ),
        ("{}".into(), Finding::Nothing),
        ("null".into(), Finding::Nothing),
        (r#"{"auth":""}"#.into(), Finding::Nothing),
        (r#"{"auth":null,"identitytoken":null,"registrytoken":""}"#.into(), Finding::Nothing),
        (r#"{"email":"u@example.com"}"#.into(), Finding::Nothing),
        (entry(":"), Finding::Nothing),
        (entry("secret"), Finding::Malformed(AuthFileError::Entry(EntryFault::Colon))),
        (entry(b"secret:\xff"), Finding::Malformed(AuthFileError::Entry(EntryFault::Utf8))),
        (r#"{"auth":"secret!"}"#.into(), Finding::Malformed(AuthFileError::Entry(EntryFault::Base64))),
        (r#"{"auth":5}"#.into(), Finding::Malformed(AuthFileError::Entry(EntryFault::Shape))),
        (r#""secret""#.into(), Finding::Malformed(AuthFileError::Entry(EntryFault::Shape))),
        (r#"["secret"]"#.into(), Finding::Malformed(AuthFileError::Entry(EntryFault::Shape))),
        (
            r#"{"registrytoken":"secret\r\nHost: x"}"#.into(),
            Finding::Malformed(AuthFileError::Entry(EntryFault::RegistryToken)),
        ),
    ];
    for (json, expected) in cases {
        for kind in [AuthFileKind::Docker, AuthFileKind::Containers] {
            let file = parse(kind, &format!(r#"{{"auths":{{"r.example":{json},"other":{{"auth":"!"}}}}}}"#));
            let found = file.find("r.example", "a/b");
            assert_eq!(found, expected, "{json}");
            assert!(!format!("{found:?}{file:?}").contains("secret"), "{found:?}");
        }
    }
}

#[test]
fn an_entry_that_holds_nothing_leaves_the_place_to_the_next_best() {
    let json = r#"{"auths":{"r.example/a/b":{},"r.example/a":null,"r.example":{"auth":"dTpw"}}}"#;
    for kind in [AuthFileKind::Docker, AuthFileKind::Containers] {
        assert_eq!(parse(kind, json).find("r.example", "a/b"), basic("u", "p"));
    }
}

#[test]
fn helpers_go_before_the_store_and_the_store_before_entries() {
    let hub = "https://index.docker.io/v1/";
    let entries = r#""auths":{"r.example":{"auth":"dTpw"},"empty.example":{}}"#;
    let cases = [
        (r#""credsStore":"s""#, "r.example", ask("s", "r.example", basic("u", "p"))),
        // Docker empties an entry when it hands the secret to the store.
        (r#""credsStore":"s""#, "empty.example", ask("s", "empty.example", Finding::Nothing)),
        (r#""credsStore":"s""#, "unknown.example", ask("s", "unknown.example", Finding::Nothing)),
        (r#""credsStore":"""#, "r.example", basic("u", "p")),
        (r#""credsStore":null,"credHelpers":null"#, "r.example", basic("u", "p")),
        (r#""credHelpers":{"r.example":"h"}"#, "r.example", ask("h", "r.example", basic("u", "p"))),
        (r#""credHelpers":{"r.example":null}"#, "r.example", basic("u", "p")),
        (r#""credHelpers":{"https://r.example/":"h"}"#, "r.example", ask("h", "r.example", basic("u", "p"))),
        (r#""credHelpers":{"other.example":"h"}"#, "r.example", basic("u", "p")),
        (
            r#""credHelpers":{"r.example":"h"},"credsStore":"s""#,
            "r.example",
            ask("h", "r.example", ask("s", "r.example", basic("u", "p"))),
        ),
        (r#""credHelpers":{"r.example":"s"},"credsStore":"s""#, "r.example", ask("s", "r.example", basic("u", "p"))),
        (r#""credHelpers":{"r.example":""},"credsStore":"s""#, "r.example", basic("u", "p")),
        (r#""credsStore":"s""#, "docker.io", ask("s", hub, Finding::Nothing)),
        (r#""credHelpers":{"https://index.docker.io/v1/":"h"}"#, "docker.io", ask("h", hub, Finding::Nothing)),
        (r#""credHelpers":{"docker.io":"h"}"#, "registry-1.docker.io", ask("h", hub, Finding::Nothing)),
        // A helper that cannot be asked never lets another credential be sent instead.
        (r#""credsStore":"../../x""#, "r.example", Finding::Malformed(AuthFileError::HelperName)),
        (
            r#""credHelpers":{"r.example":"a b"},"credsStore":"s""#,
            "r.example",
            Finding::Malformed(AuthFileError::HelperName),
        ),
        (
            r#""credsStore":"s""#,
            "r.example\nother",
            Finding::Malformed(AuthFileError::Address(HelperRequestError::Address)),
        ),
    ];
    for (fields, registry, expected) in cases {
        for kind in [AuthFileKind::Docker, AuthFileKind::Containers] {
            let file = parse(kind, &format!("{{{entries},{fields}}}"));
            assert_eq!(file.find(registry, "a/b"), expected, "{fields} for {registry}");
        }
    }
}

#[test]
fn files_without_credentials_are_fine() {
    for json in ["", " \n", "null", "{}", "\u{feff}{}", r#"{"auths":null,"HttpHeaders":{"a":"b"},"proxies":[]}"#] {
        assert_eq!(parse(AuthFileKind::Docker, json).find("r.example", "a/b"), Finding::Nothing, "{json:?}");
    }
}

#[test]
fn malformed_files_are_refused_without_showing_them() {
    let deep = format!(r#"{{"auths":{}"#, "[".repeat(100_000));
    for json in [
        r#"{"auths":{"r":{"auth":"secret"}}"#,
        r#"{"auths":"secret"}"#,
        r#"{"credsStore":{"secret":1}}"#,
        r#"{"credHelpers":{"r":["secret"]}}"#,
        r#"["secret"]"#,
        "[]",
        r#""secret""#,
        "secret",
        "{} secret",
        &deep,
    ] {
        let error = AuthFile::parse(AuthFileKind::Docker, json.as_bytes()).expect_err(json);
        assert!(matches!(error, AuthFileError::Json { .. }), "{error:?}");
        assert_eq!((error.class(), error.code()), (Class::Authentication, "malformed-auth-file"));
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn a_file_may_have_the_limits_size_and_no_more() {
    let mut bytes = b"{}".to_vec();
    bytes.resize(AUTH_FILE_BYTES, b' ');
    assert!(AuthFile::parse(AuthFileKind::Containers, &bytes).is_ok());
    bytes.push(b' ');
    assert_eq!(
        AuthFile::parse(AuthFileKind::Containers, &bytes),
        Err(AuthFileError::TooLarge { limit: AUTH_FILE_BYTES })
    );
}

#[test]
fn helper_names_never_leave_the_folder_they_are_looked_up_in() {
    for name in ["desktop", "ecr-login", "gcr", "acr-env", "a.b_c", "0", "_x"] {
        assert_eq!(name.parse::<HelperName>().expect(name).program(), format!("docker-credential-{name}"));
    }
    for name in ["", ".", "..", "../x", "/x", "x/y", "x\\y", "-x", ".x", "x y", "x\n", "x\0", "ä", "x;y", "C:x", "x$y"]
    {
        assert_eq!(name.parse::<HelperName>(), Err(HelperRequestError::Name), "{name:?}");
    }
}

#[test]
fn addresses_are_one_word() {
    let helper: HelperName = "x".parse().expect("a name");
    for address in ["r.example", "[::1]:5000", "https://index.docker.io/v1/"] {
        assert_eq!(HelperRequest::new(helper.clone(), address).expect(address).address(), address);
    }
    for address in ["", "a\nb", "a\r", "a\u{85}b", "a\u{2028}b", "a b", "\0"] {
        let refused = HelperRequest::new(helper.clone(), address);
        assert_eq!(refused, Err(HelperRequestError::Address), "{address:?}");
    }
}

#[test]
fn answers_are_read_and_everything_else_is_refused_unseen() {
    let basic = |username: &str, password: &str| {
        Ok(HelperAnswer::Credential(Credential::Basic { username: username.into(), password: Secret::new(password) }))
    };
    let cases = [
        (r#"{"ServerURL":"https://r.example","Username":"u","Secret":"p"}"#, basic("u", "p")),
        ("{\"Username\":\"u\",\"Secret\":\"p:\\nq\",\"Expires\":7}\n", basic("u", "p:\nq")),
        (r#"{"Username":"","Secret":"p"}"#, basic("", "p")),
        (
            r#"{"Username":"<token>","Secret":"t"}"#,
            Ok(HelperAnswer::Credential(Credential::IdentityToken(Secret::new("t")))),
        ),
        (r#"{"Username":"<token>","Secret":""}"#, Ok(HelperAnswer::NotFound)),
        (r#"{"ServerURL":"","Username":"","Secret":""}"#, Ok(HelperAnswer::NotFound)),
        (r#"{"Username":null,"Secret":null}"#, Ok(HelperAnswer::NotFound)),
        ("credentials not found in native keychain\r\n", Ok(HelperAnswer::NotFound)),
        ("no credentials server URL", Ok(HelperAnswer::NotFound)),
        ("no credentials username", Ok(HelperAnswer::NotFound)),
        ("", Err(AnswerError)),
        ("secret", Err(AnswerError)),
        (r#"{"Username":"u","Secret":["secret"]}"#, Err(AnswerError)),
        (r#"["s","u","secret"]"#, Err(AnswerError)),
        (r#"{"Username":"u","Secret":"secret"} credentials not found in native keychain"#, Err(AnswerError)),
    ];
    for (output, expected) in cases {
        assert_eq!(HelperAnswer::parse(output.as_bytes()), expected, "{output}");
    }
    assert_eq!(HelperAnswer::parse(b"{\"Secret\":\"\xff\"}"), Err(AnswerError));
}
