//! Where credentials come from: files, variables, and helpers as processes.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::forward_proxy::ForwardProxy;
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure, measure_with_input};
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, Rule};
use oci_fetcher_tests::tls::{Authority, Tls};

/// A registry that asks for a password and takes any.
fn any_password() -> Registry {
    let mut content = Content::new();
    for repository in ["app", "team/app", "team/sub/app", "teams/app"] {
        content.push(repository, "1", Image::new().layer(Layer::new().file("a", b"content")));
    }
    let challenge = Action::challenge("Basic realm=\"registry.test\"");
    let rule = Rule::on(Method::Any, "/v2/*").without_header("authorization").then(challenge);
    Registry::start(content, Options::new().rule(rule))
}

/// Who the last request was from; nobody if it named no user.
fn last_user(registry: &Registry) -> Option<String> {
    let requests = registry.requests();
    let field = requests.last().expect("something was asked").header("authorization")?;
    let decoded = STANDARD.decode(field.strip_prefix("Basic ").expect("Basic")).expect("base64");
    let decoded = String::from_utf8(decoded).expect("text");
    let (user, password) = decoded.split_once(':').expect("a pair");
    assert_eq!(password, SECRET, "of {user}");
    Some(user.to_owned())
}

const SECRET: &str = "s3cret:word";

/// Returns the `auth` of a user.
fn auth(user: &str) -> String {
    STANDARD.encode(format!("{user}:{SECRET}"))
}

/// A credential file with one entry for each key and user.
fn auths(entries: &[(&str, &str)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, user)| format!(r#""{key}": {{"auth": "{}"}}"#, auth(user))).collect();
    format!(r#"{{"auths": {{{}}}}}"#, entries.join(", "))
}

/// Runs a command, of which no output may hold the secret.
#[track_caller]
fn run(command: &Command) -> Measured {
    let measured = measure(command);
    let shown = measured.stdout_text() + &measured.stderr_text();
    assert!(!shown.contains("s3cret") && !shown.contains(&STANDARD.encode("s3cret")[..6]), "{measured:?}");
    measured
}

/// A folder with credential helpers and a credential file that names them.
struct Helpers(Place);

impl Helpers {
    fn new() -> Self {
        Self(Place::new())
    }

    /// Installs a helper that notes what it is asked, and then does this.
    fn install(&self, name: &str, script: &str) {
        let noted = self.0.text(&format!("asked-{name}"));
        let text = format!("#!/bin/sh\nprintf '%s ' \"$*\" >> '{noted}'\ncat >> '{noted}'\n{script}\n");
        let path = self.0.write(&format!("bin/docker-credential-{name}"), text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }

    /// Installs a helper that answers with this user.
    fn install_answering(&self, name: &str, user: &str, secret: &str) {
        let answer = format!(r#"{{"ServerURL": "x", "Username": "{user}", "Secret": "{secret}"}}"#);
        self.install(name, &format!("printf '%s' '{answer}'"));
    }

    fn asked(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.0.path(&format!("asked-{name}"))).ok()
    }

    /// Asks for a digest with this credential file.
    fn digest(&self, source: &str, config: &str, more: &[&str]) -> Measured {
        self.0.write(".docker/config.json", config);
        let arguments = [&["digest", "--no-cache", "--retries", "0", source], more].concat();
        let mut command = self.0.command(&arguments);
        let path = format!("relative:{}:/usr/bin:/bin", self.0.text("bin"));
        run(command.env("PATH", path).current_dir(self.0.root()))
    }
}

#[test]
fn helpers_are_asked_before_entries_are_read() {
    let helpers = Helpers::new();
    let registry = any_password();
    let host = registry.host();
    let source = format!("{host}/app:1");
    helpers.install_answering("one", "of-one", SECRET);
    helpers.install_answering("store", "of-store", SECRET);
    helpers.install("empty", "echo 'credentials not found in native keychain'; exit 1");
    let auths = format!(r#""auths": {{"{host}": {{"auth": "{}"}}}}"#, auth("of-file"));
    for (named, user) in [
        (String::new(), "of-file"),
        (r#""credsStore": "store", "#.to_owned(), "of-store"),
        (format!(r#""credsStore": "store", "credHelpers": {{"{host}": "one"}}, "#), "of-one"),
        (format!(r#""credsStore": "store", "credHelpers": {{"{host}": "empty"}}, "#), "of-store"),
        (r#""credsStore": "store", "credHelpers": {"another.example": "one"}, "#.to_owned(), "of-store"),
        (format!(r#""credsStore": "store", "credHelpers": {{"{host}": ""}}, "#), "of-file"),
        (format!(r#""credsStore": "empty", "credHelpers": {{"{host}": "empty"}}, "#), "of-file"),
    ] {
        helpers.digest(&source, &format!("{{{named}{auths}}}"), &["-v"]).expect_code(0);
        assert_eq!(last_user(&registry).as_deref(), Some(user), "{named}");
    }
    assert_eq!(helpers.asked("one"), Some(format!("get {host}")), "one question, without a line end");
}

#[test]
fn a_helper_may_keep_an_identity_token() {
    let helpers = Helpers::new();
    let mut content = Content::new();
    content.push("app", "1", Image::new());
    let issuer = Issuer::new().account("ann", "unused", "app").identity_token("ann", SECRET);
    let registry = Registry::start(content, Options::new().tokens(issuer));
    helpers.install_answering("keychain", "<token>", SECRET);
    helpers.digest(&format!("{}/app:1", registry.host()), r#"{"credsStore": "keychain"}"#, &["-v"]).expect_code(0);
    let posts = registry.requests_to(Method::Post, "/token");
    assert_eq!(posts.len(), 1);
    assert!(posts[0].form().contains(&("refresh_token".to_owned(), SECRET.to_owned())));
}

#[test]
fn a_helper_that_fails_ends_the_search_and_is_not_quoted() {
    let helpers = Helpers::new();
    let registry = any_password();
    let host = registry.host();
    helpers.install("failing", "echo s3cret; echo s3cret >&2; exit 3");
    helpers.install("chatty", "echo 's3cret and no JSON'");
    helpers.install("odd", r#"printf '{"Username": "s3cret", "Secret": 1}'"#);
    helpers.install("endless", "exec yes s3cret");
    // What a name that leads elsewhere would reach.
    helpers.install("x", "exit 0");
    std::fs::create_dir_all(helpers.0.path("bin/docker-credential-")).expect("writable");
    std::fs::copy(helpers.0.path("bin/docker-credential-x"), helpers.0.path("x")).expect("copied");
    // What a relative entry of PATH would reach.
    helpers.0.write("relative/docker-credential-near", "#!/bin/sh\necho > ran\n");
    let near = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(helpers.0.path("relative/docker-credential-near"), near).expect("ours");
    for (name, code) in [
        ("failing", "helper-failed"),
        ("chatty", "malformed-helper-answer"),
        ("odd", "malformed-helper-answer"),
        ("endless", "helper-answer-too-long"),
        ("missing", "helper-missing"),
        ("near", "helper-missing"),
        ("../../x", "malformed-helper-name"),
        ("/../../x", "malformed-helper-name"),
        ("a b", "malformed-helper-name"),
    ] {
        let auths = format!(r#""auths": {{"{host}": {{"auth": "{}"}}}}"#, auth("of-file"));
        let config = format!(r#"{{"credHelpers": {{"{host}": "{name}"}}, {auths}}}"#);
        let told = helpers.digest(&format!("{host}/app:1"), &config, &["--json"]).expect_code(4);
        assert_eq!(told.json()["error"]["code"], code, "{name}");
        let told = helpers.digest(&format!("{host}/app:1"), &config, &["-v"]).expect_code(4).stderr_text();
        assert!(told.contains("config.json") && told.contains("help: "), "{name}: {told}");
        assert_eq!(last_user(&registry), None, "{name}: the entry is not taken instead");
    }
    assert_eq!(helpers.asked("x"), None);
    assert!(!helpers.0.path("ran").exists());
}

#[test]
fn a_helper_that_hangs_is_ended() {
    let helpers = Helpers::new();
    let registry = any_password();
    let pid_file = helpers.0.text("pid");
    helpers.install("hanging", &format!("echo s3cret; echo $$ > '{pid_file}'; exec sleep 600"));
    let config = r#"{"credsStore": "hanging"}"#;
    let ended = helpers.digest(&format!("{}/app:1", registry.host()), config, &["--json"]).expect_code(4);
    assert_eq!(ended.json()["error"]["code"], "helper-timed-out");
    assert!(ended.elapsed < Duration::from_secs(120), "{ended:?}");
    let pid = helpers.0.read("pid");
    let status = std::fs::read_to_string(format!("/proc/{}/status", String::from_utf8_lossy(&pid).trim()));
    // Whoever inherits the process may not have taken note of its end yet.
    let ended = status.as_ref().map_or(true, |status| status.contains("State:\tZ"));
    assert!(ended, "the helper is still there: {status:?}");
}

#[test]
fn the_first_place_that_has_an_entry_wins() {
    let place = Place::new();
    let registry = any_password();
    let host = registry.host();
    let files = [
        ("REGISTRY_AUTH_FILE", "podman/auth.json", "podman/auth.json"),
        ("XDG_RUNTIME_DIR", "runtime", "runtime/containers/auth.json"),
        ("XDG_CONFIG_HOME", "config", "config/containers/auth.json"),
        ("DOCKER_CONFIG", "docker", "docker/config.json"),
    ];
    let mut variables = vec![("DOCKER_AUTH_CONFIG", auths(&[(&host, "inline")]))];
    let mut users = vec!["inline"];
    for (variable, value, file) in files {
        place.write(file, auths(&[(&host, variable)]));
        variables.push((variable, place.text(value)));
        users.push(variable);
    }
    let source = format!("{host}/app:1");
    let ask = |from: usize, arguments: &[&str]| {
        let mut command = place.command(&[&["digest", "-v", "--no-cache", &source], arguments].concat());
        command.envs(variables[from..].iter().map(|(name, value)| (name, value)));
        command
    };
    for (from, user) in users.iter().enumerate() {
        run(&ask(from, &[])).expect_code(0);
        assert_eq!(last_user(&registry).as_deref(), Some(*user));
    }
    // A place without an entry, or with an empty one, is passed over; a broken one is not.
    for (inline, expected) in [
        (auths(&[("another.example", "other")]), Ok("REGISTRY_AUTH_FILE")),
        (format!(r#"{{"auths": {{"{host}": {{}}}}}}"#), Ok("REGISTRY_AUTH_FILE")),
        ("{}".to_owned(), Ok("REGISTRY_AUTH_FILE")),
        ("{\"auths\": s3cret".to_owned(), Err("malformed-auth-file")),
        (format!(r#"{{"auths": {{"{host}": {{"auth": "s3cret!"}}}}}}"#), Err("malformed-auth-entry")),
    ] {
        let mut command = ask(1, &["--json"]);
        command.env("DOCKER_AUTH_CONFIG", &inline);
        let asked = run(&command);
        match expected {
            Ok(user) => {
                asked.expect_code(0);
                assert_eq!(last_user(&registry).as_deref(), Some(user), "{inline}");
            }
            Err(code) => assert_eq!(asked.expect_code(4).json()["error"]["code"], code),
        }
    }
    // What the command line says goes before, and alone.
    place.write("given.json", auths(&[(&host, "given")]));
    run(&ask(0, &["--auth-file", &place.text("given.json")])).expect_code(0);
    assert_eq!(last_user(&registry).as_deref(), Some("given"));
    place.write("given.json", auths(&[("another.example", "given")]));
    run(&ask(0, &["--auth-file", &place.text("given.json")])).expect_code(4);
    assert_eq!(last_user(&registry), None);
    run(&ask(0, &["--auth-file", &place.text("absent.json")])).expect_code(4);
    let named = ask(0, &["--username", "named", "--password-stdin"]);
    measure_with_input(&named, SECRET.as_bytes()).expect_code(0);
    assert_eq!(last_user(&registry).as_deref(), Some("named"));
}

#[test]
fn the_key_that_fits_best_is_taken() {
    let place = Place::new();
    let registry = any_password();
    let host = registry.host();
    // Keys, with HOST for the registry's; each key's user is the key.
    let all: &[&str] = &["HOST", "HOST/team", "HOST/team/sub", "HOST/team/sub/app"];
    let cases: &[(&str, &[&str], &str, Option<&str>)] = &[
        ("auth.json", all, "app", Some("HOST")),
        ("auth.json", all, "team/app", Some("HOST/team")),
        ("auth.json", all, "team/sub/app", Some("HOST/team/sub/app")),
        ("auth.json", all, "teams/app", Some("HOST")),
        ("auth.json", &["HOST/team"], "teams/app", None),
        ("auth.json", &["HOST/team"], "app", None),
        ("config.json", &["HOST", "https://HOST/v1/"], "app", Some("HOST")),
        ("config.json", &["https://HOST/v2/"], "app", Some("https://HOST/v2/")),
        ("config.json", &["http://HOST"], "app", Some("http://HOST")),
        ("config.json", &["HOST0", "1HOST", "other.example/HOST"], "app", None),
    ];
    for (file, keys, repository, expected) in cases {
        let keys: Vec<(String, String)> =
            keys.iter().map(|key| (key.replace("HOST", &host), key.replace([':', '/'], "-"))).collect();
        let entries: Vec<(&str, &str)> = keys.iter().map(|(key, user)| (key.as_str(), user.as_str())).collect();
        place.write(file, auths(&entries));
        let source = format!("{host}/{repository}:1");
        let asked = run(&place.command(&["digest", &source, "--no-cache", "-v", "--auth-file", &place.text(file)]));
        assert_eq!(asked.code, if expected.is_some() { 0 } else { 4 }, "{file} {keys:?} {repository}: {asked:?}");
        assert_eq!(last_user(&registry), expected.map(|user| user.replace([':', '/'], "-")), "{file} {keys:?}");
    }
}

#[test]
fn docker_hub_is_known_by_its_old_address() {
    let helpers = Helpers::new();
    let authority = Authority::new();
    helpers.0.write("ca.pem", authority.pem());
    let mut content = Content::new();
    content.push("library/app", "latest", Image::new().layer(Layer::new().file("a", b"of the hub")));
    let issuer = Issuer::new().account("ann", SECRET, "library/*").realm("https://auth.docker.io/token");
    let options = Options::new()
        .tls(Tls::new(authority.server_named(&["registry-1.docker.io", "auth.docker.io"])))
        .tokens(issuer);
    let registry = Registry::start(content, options);
    let address = registry.address();
    let proxy = ForwardProxy::start(&[("registry-1.docker.io:443", address), ("auth.docker.io:443", address)]);
    let hub = "https://index.docker.io/v1/";
    helpers.install_answering("keychain", "ann", SECRET);
    let by_auths = auths(&[(hub, "ann"), ("registry.example", "bob")]);
    let by_store = r#"{"credsStore": "keychain"}"#.to_owned();
    let by_helper = format!(r#"{{"credHelpers": {{"{hub}": "keychain"}}}}"#);
    for config in [by_auths, by_store, by_helper] {
        for name in ["app", "docker.io/library/app", "index.docker.io/app:latest", "registry-1.docker.io/library/app"] {
            helpers.0.write(".docker/config.json", &config);
            let mut command = helpers.0.command(&["digest", name, "--no-cache", "-v", "--retries", "0"]);
            command.args(["--ca-file", &helpers.0.text("ca.pem")]).env("HTTPS_PROXY", proxy.url());
            command.env("PATH", format!("{}:/usr/bin:/bin", helpers.0.text("bin")));
            let asked = run(&command);
            assert_eq!(asked.code, 0, "{name} {config}: {asked:?}");
        }
    }
    let asked = helpers.asked("keychain").expect("it was asked");
    assert_eq!(asked, format!("get {hub}").repeat(8), "whatever the registry is called");
}
