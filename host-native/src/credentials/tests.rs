//! The order of the places, and helpers as real processes.

use std::error::Error as _;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_fetcher_core::credentials::{AuthFileKind, Secret};
use oci_fetcher_core::error::{Class, Explain};
use tempfile::TempDir;

use super::*;

/// A user's home with a folder of helpers, which is first on the search path.
struct Home {
    folder: TempDir,
    environment: Environment,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("bin")).expect("a folder for helpers");
        let mut environment = Environment { home: Some(folder.path().into()), ..Environment::default() };
        let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
        environment.variables.insert("PATH".into(), path.into());
        Self { folder, environment }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.variables.insert(name.into(), value.into());
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("the parent");
        fs::write(&path, content).expect("the file");
        path
    }

    /// Installs a shell script as a helper. A copy by another process: a descriptor open for writing
    /// here could be inherited by another test's child and make the script "busy".
    fn helper(&self, name: &str, script: &str) {
        let source = self.write("script", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&source, fs::Permissions::from_mode(0o755)).expect("the mode");
        let target = self.path(&format!("bin/docker-credential-{name}"));
        let status = std::process::Command::new("cp").arg(source).arg(target).status().expect("cp");
        assert!(status.success());
    }

    /// Names a helper for everything, and an entry besides it.
    fn store(&self, name: &str) {
        let config = format!(r#"{{"credsStore":"{name}","auths":{{"r.example":{{"auth":"ZmlsZTpw"}}}}}}"#);
        self.write(".docker/config.json", &config);
    }

    fn search(&self) -> Search {
        Search::new(self.environment.clone()).with_helper_time_limit(Duration::from_secs(20))
    }

    async fn find(&self) -> Result<Lookup, CredentialError> {
        self.search().find("r.example", "a/b").await
    }

    /// What the helper fails with, after a check that no message shows what it wrote.
    async fn helper_error(&self) -> HelperError {
        let error = self.find().await.expect_err("the helper fails");
        assert_eq!(error.class(), Class::Authentication);
        let shown = format!("{error} {:?} {error:?} {:?}", error.source().map(ToString::to_string), error.advice());
        assert!(!shown.contains("secret"), "{shown}");
        assert!(error.advice().is_some(), "{shown}");
        let CredentialError::Helper { source, origin: Origin::Helper { .. } } = error else { panic!("{error:?}") };
        source
    }
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.into(), password: Secret::new(password) }
}

fn credential(lookup: Result<Lookup, CredentialError>) -> Option<Credential> {
    lookup.expect("no fault").found.map(|found| found.credential)
}

fn entry_for(registry: &str, user: &str) -> String {
    format!(r#"{{"auths":{{"{registry}":{{"username":"{user}","password":"p"}}}}}}"#)
}

#[tokio::test]
async fn the_first_matching_entry_wins_in_the_order_of_the_places() {
    let mut home = Home::new();
    let absent = home.path("absent");
    home.set("DOCKER_AUTH_CONFIG", entry_for("r.example", "inline"));
    home.set("REGISTRY_AUTH_FILE", home.path("registry-auth"));
    home.set("XDG_RUNTIME_DIR", home.path("run"));
    home.set("XDG_CONFIG_HOME", home.path("xdg"));
    home.set("DOCKER_CONFIG", home.path("docker"));
    home.write("registry-auth", &entry_for("r.example", "variable"));
    home.write("run/containers/auth.json", &entry_for("r.example", "runtime"));
    home.write("xdg/containers/auth.json", &entry_for("r.example", "config"));
    home.write("docker/config.json", &entry_for("r.example", "docker"));
    home.write(".config/containers/auth.json", &entry_for("r.example", "default config"));
    home.write(".docker/config.json", &entry_for("r.example", "default docker"));

    // Each place in turn loses its entry: by holding another's, or by being absent.
    let no_match = entry_for("other.example", "other");
    for (user, variable, replacement) in [
        ("inline", "DOCKER_AUTH_CONFIG", Some(OsString::from(&no_match))),
        ("variable", "REGISTRY_AUTH_FILE", Some(absent.clone().into())),
        ("runtime", "XDG_RUNTIME_DIR", Some(absent.into())),
        ("config", "XDG_CONFIG_HOME", None),
        ("default config", "", None),
        ("docker", "DOCKER_CONFIG", Some("".into())),
        ("default docker", "", None),
    ] {
        assert_eq!(credential(home.find().await), Some(basic(user, "p")));
        match replacement {
            Some(value) => home.set(variable, value),
            None if variable.is_empty() => {
                let name =
                    if user == "default docker" { ".docker/config.json" } else { ".config/containers/auth.json" };
                home.write(name, &no_match);
            }
            None => drop(home.environment.variables.remove(&OsString::from(variable))),
        }
    }
    let lookup = home.find().await.expect("no fault");
    assert_eq!(lookup.found, None);
    let folder = home.folder.path().display();
    assert_eq!(
        lookup.to_string(),
        format!(
            "no credentials found in $DOCKER_AUTH_CONFIG, {folder}/absent (absent), \
             {folder}/absent/containers/auth.json (absent), {folder}/.config/containers/auth.json, \
             {folder}/.docker/config.json"
        )
    );
}

#[test]
fn places_follow_the_user_and_disregard_void_variables() {
    let mut environment = Environment { home: Some("/home/u".into()), uid: Some(1000), ..Environment::default() };
    let shown = |environment: &Environment| -> Vec<String> {
        place::places(environment, None).iter().map(|place| format!("{} {:?}", place.origin, place.kind)).collect()
    };
    let defaults = [
        "/run/containers/1000/auth.json Containers",
        "/home/u/.config/containers/auth.json Containers",
        "/home/u/.docker/config.json Docker",
    ];
    assert_eq!(shown(&environment), defaults);
    for name in ["DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"] {
        environment.variables.insert(name.into(), "".into());
    }
    assert_eq!(shown(&environment), defaults);
    environment.variables.insert("XDG_RUNTIME_DIR".into(), "run".into());
    environment.variables.insert("XDG_CONFIG_HOME".into(), "config".into());
    assert_eq!(shown(&environment), defaults);
    // A place that is named twice is searched once.
    environment.variables.insert("REGISTRY_AUTH_FILE".into(), "/home/u/.docker/config.json".into());
    assert_eq!(
        shown(&environment),
        [
            "/home/u/.docker/config.json Docker",
            "/run/containers/1000/auth.json Containers",
            "/home/u/.config/containers/auth.json Containers",
        ]
    );
    environment.home = Some("".into());
    environment.uid = None;
    environment.variables.clear();
    assert_eq!(shown(&environment), Vec::<String>::new());
}

#[tokio::test]
async fn a_named_file_hides_all_places_and_must_exist() {
    let mut home = Home::new();
    home.set("DOCKER_AUTH_CONFIG", entry_for("r.example", "inline"));
    home.store("never-asked");
    let named = home.write("named.json", &entry_for("r.example/a", "named"));
    let search = home.search().with_auth_file(&named);
    let lookup = search.find("r.example", "a/b").await.expect("no fault");
    assert_eq!(lookup.to_string(), format!("credentials from {}", named.display()));
    assert_eq!(search.find("r.example", "z").await.expect("no fault").found, None);
    // Named as docker's file it is read as such, so that a path in a key is disregarded.
    let named = home.write("copy/config.json", &entry_for("r.example/a", "named"));
    let found = home.search().with_auth_file(named).find("r.example", "z").await;
    assert_eq!(credential(found), Some(basic("named", "p")));

    for missing in [home.path("missing"), home.path("named.json/below")] {
        let error = home.search().with_auth_file(&missing).find("r.example", "a/b").await.expect_err("missing");
        assert_eq!((error.class(), error.code()), (Class::Authentication, "auth-file-missing"));
        assert_eq!(error.to_string(), format!("there is no credential file {}", missing.display()));
    }
}

#[tokio::test]
async fn faulty_places_end_the_search_and_are_named() {
    let mut home = Home::new();
    home.store("unused");
    let file = home.write(".config/containers/auth.json", r#"{"auths":{"r.example":{"auth":"secret!"}}}"#);
    let cases: &[(&str, &str)] = &[
        (r#"{"auths":{"r.example":{"auth":"secret!"}}}"#, "malformed-auth-entry"),
        (r#"{"auths":{"r.example":"secret"#, "malformed-auth-file"),
        (r#"{"credHelpers":{"r.example":"../../secret"}}"#, "malformed-helper-name"),
        (&format!("{{\"secret\":\"{}\"}}", "x".repeat(1 << 20)), "auth-file-too-large"),
    ];
    for (content, code) in cases {
        fs::write(&file, content).expect("the file");
        let error = home.find().await.expect_err(code);
        assert_eq!((error.class(), error.code()), (Class::Authentication, *code));
        assert_eq!(error.to_string(), format!("cannot use the credentials in {}", file.display()));
        let shown = format!("{error:?} {:?} {}", error.advice(), error.source().expect("a cause"));
        assert!(shown.contains(&file.display().to_string()) && !shown.contains("secret"), "{shown}");
    }
    fs::remove_file(&file).expect("the file goes");
    fs::create_dir(&file).expect("a folder in its place");
    assert_eq!(home.find().await.expect_err("a folder").code(), "auth-file-unreadable");

    home.set("DOCKER_AUTH_CONFIG", "secret");
    let error = home.find().await.expect_err("not JSON");
    assert_eq!(error.to_string(), "cannot use the credentials in $DOCKER_AUTH_CONFIG");
    assert!(!format!("{home:?} {error:?} {:?}", home.search(), home = home.environment).contains("secret"));
}

#[tokio::test]
async fn a_helper_gets_the_address_and_answers() {
    let mut home = Home::new();
    home.set("MARK", home.path("asked"));
    home.store("ok");
    home.helper(
        "ok",
        r#"{ printf '%s|' "$@"; cat; printf '|'; printenv HOME | cat; } > "$MARK"
        printf '{"ServerURL":"r.example","Username":"u","Secret":"p:\\nq"}\n'"#,
    );
    let lookup = home.find().await.expect("no fault");
    let config = home.path(".docker/config.json");
    assert_eq!(lookup.to_string(), format!("credentials from docker-credential-ok (named by {})", config.display()));
    assert_eq!(lookup.found.map(|found| found.credential), Some(basic("u", "p:\nq")));
    assert_eq!(fs::read_to_string(home.path("asked")).expect("the mark"), "get|r.example|");

    let hub = home.search().find("docker.io", "library/alpine").await;
    assert_eq!(credential(hub), Some(basic("u", "p:\nq")));
    assert_eq!(fs::read_to_string(home.path("asked")).expect("the mark"), "get|https://index.docker.io/v1/|");
}

#[tokio::test]
async fn helpers_differ_in_how_they_answer() {
    let home = Home::new();
    home.store("x");
    let (file, answer) = (basic("file", "p"), r#"echo '{"Username":"u","Secret":"p"}'"#);
    let cases = [
        // Nothing found, so that the file's own entry counts.
        ("echo credentials not found in native keychain; exit 1".into(), file.clone()),
        ("echo credentials not found in native keychain >&2; exit 1".into(), file.clone()),
        ("echo credentials not found in native keychain".into(), file.clone()),
        (r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#.into(), file),
        (r#"echo '{"Username":"<token>","Secret":"opaque"}'"#.into(), Credential::IdentityToken(Secret::new("opaque"))),
        // Without reading the address, with much on standard error, with a daemon left behind.
        (format!("exec 0<&-; {answer}"), basic("u", "p")),
        (format!("head -c 1000000 /dev/zero >&2; {answer}"), basic("u", "p")),
        (format!("sleep 25 & {answer}"), basic("u", "p")),
    ];
    for (script, expected) in cases {
        home.helper("x", &script);
        let started = Instant::now();
        assert_eq!(credential(home.find().await), Some(expected), "{script}");
        assert!(started.elapsed() < Duration::from_secs(15), "{script} took {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_miss_lets_the_search_go_on_in_later_places() {
    let home = Home::new();
    home.helper("none", "echo credentials not found in native keychain; exit 1");
    home.write(".config/containers/auth.json", r#"{"credHelpers":{"r.example":"none"}}"#);
    home.write(".docker/config.json", &entry_for("r.example", "docker"));
    let lookup = home.find().await.expect("no fault");
    let tried: Vec<String> = lookup.tried.iter().map(ToString::to_string).collect();
    let named_by = home.path(".config/containers/auth.json").display().to_string();
    assert_eq!(tried, [format!("docker-credential-none (named by {named_by})"), named_by]);
    assert_eq!(lookup.found.map(|found| found.credential), Some(basic("docker", "p")));
}

#[tokio::test]
async fn failures_are_errors_that_show_nothing_of_the_output() {
    let home = Home::new();
    home.store("x");
    let no_answer = "the output is not a credential helper's answer";
    let too_long = "an answer of more than 65536 bytes";
    let cases = [
        ("echo secret; echo secret >&2; exit 3", "the program failed (exit status: 3)"),
        (r#"echo '{"Username":"u","Secret":"secret"}'; exit 1"#, "the program failed (exit status: 1)"),
        ("kill -9 $$", "the program failed (signal: 9 (SIGKILL))"),
        ("echo secret", no_answer),
        ("true", no_answer),
        ("printf '\\377{secret'", no_answer),
        (r#"echo '{"Username":"u","Secret":["secret"]}'"#, no_answer),
        ("yes secret", too_long),
        ("head -c 65537 /dev/zero", too_long),
        ("head -c 65536 /dev/zero", no_answer),
    ];
    for (script, expected) in cases {
        home.helper("x", script);
        assert_eq!(home.helper_error().await.to_string(), expected, "{script}");
    }
    // An interpreter that is not there.
    home.helper("x", "");
    let broken = home.write("script", "#!/absent/interpreter\n");
    assert!(std::process::Command::new("cp").arg(broken).arg(home.path("bin/docker-credential-x")).status().is_ok());
    assert!(matches!(home.helper_error().await, HelperError::Start(_)));
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed_at_its_time_limit_or_with_the_future() {
    let mut home = Home::new();
    home.set("MARK", home.path("pid"));
    home.store("slow");
    home.helper("slow", r#"echo $$ > "$MARK"; exec sleep 600"#);
    let limit = Duration::from_secs(2);

    let error = home.search().with_helper_time_limit(limit).find("r.example", "a/b").await.expect_err("a time-out");
    assert_eq!((error.class(), error.code()), (Class::Authentication, "helper-timed-out"));
    wait_until_gone(&home.path("pid")).await;

    fs::remove_file(home.path("pid")).expect("the mark goes");
    assert!(tokio::time::timeout(limit, home.find()).await.is_err());
    wait_until_gone(&home.path("pid")).await;
}

async fn wait_until_gone(mark: &Path) {
    let text = fs::read_to_string(mark).expect("the helper has started");
    let raw = text.trim().parse().expect("a process id");
    let id = rustix::process::Pid::from_raw(raw).expect("a process id");
    for _ in 0..200 {
        if rustix::process::test_kill_process(id).is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the helper still runs");
}

#[tokio::test]
async fn helpers_are_looked_up_in_absolute_folders_alone() {
    let mut home = Home::new();
    home.store("x");
    home.helper("x", r#"echo '{"Username":"u","Secret":"p"}'"#);
    let bin = home.path("bin");
    let here = std::env::current_dir().expect("a working folder");
    let up = "../".repeat(here.components().count());
    let relative = format!("{up}{}", bin.display().to_string().trim_start_matches('/'));
    assert!(Path::new(&relative).join("docker-credential-x").is_file());

    for path in [relative.as_str(), "", ":", ".", "/absent"] {
        home.set("PATH", path);
        assert!(matches!(home.helper_error().await, HelperError::NotOnPath), "{path:?}");
    }
    home.environment.variables.remove(&OsString::from("PATH"));
    let error = home.find().await.expect_err("no search path");
    let config = home.path(".docker/config.json");
    assert_eq!(
        error.advice().expect("an advice"),
        format!("install docker-credential-x in a folder of PATH, or take x out of {}", config.display())
    );
    // A folder and a file without the permission are passed over.
    fs::create_dir_all(home.path("1/docker-credential-x")).expect("a folder");
    home.write("2/docker-credential-x", "");
    home.set("PATH", format!("{}:{}:{}", home.path("1").display(), home.path("2").display(), bin.display()));
    assert_eq!(credential(home.find().await), Some(basic("u", "p")));
}

#[test]
fn origins_do_not_steer_a_terminal() {
    let origin = Origin::File(PathBuf::from("/home/\u{1b}[2J\u{202e}ü 'x'\\y"));
    assert_eq!(origin.to_string(), r"/home/\u{1b}[2J\u{202e}ü 'x'\y");
    let place = place::places(&Environment::default(), Some(Path::new("config.json")));
    assert_eq!(place.first().map(|place| place.kind), Some(AuthFileKind::Docker));
}
