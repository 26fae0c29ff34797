//! The program against Debian's docker-registry, in three set-ups, with images that skopeo pushed
//! and layouts that skopeo and umoci read.
#![cfg(unix)]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::docker_registry::{DockerRegistry, Setup};
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{measure, required, run};
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Issuer, Registry as Loopback};

/// Several layers with most of what an image can hold, as umoci reads them.
fn image() -> Image {
    image_with(Compression::Gzip)
}

fn image_with(compression: Compression) -> Image {
    let base = Layer::new()
        .directory("etc", 0o755)
        .file("etc/hostname", b"one\n")
        .file("etc/gone", b"gone\n")
        .directory("usr", 0o755)
        .directory("usr/bin", 0o755)
        .file("usr/bin/tool", b"#!/bin/sh\n")
        .mode(0o4755)
        .owner(0, 50)
        .symlink("bin", "usr/bin")
        .directory("var", 0o755)
        .directory("var/cache", 0o1777)
        .file("var/cache/old", vec![7; 300_000])
        .directory("dev", 0o755)
        .fifo("dev/pipe")
        .character_device("dev/null", 1, 3);
    let next = Layer::new()
        .directory("etc", 0o755)
        .whiteout("etc/gone")
        .file("etc/hostname", b"two\n")
        .owner(1000, 1000)
        .modified(1_700_000_000, 123_456_789)
        .hard_link("usr/bin/linked", "usr/bin/tool")
        .directory("var", 0o755)
        .directory("var/cache", 0o755)
        .file("var/cache/new", b"new\n")
        .opaque("var/cache")
        .directory("srv", 0o700)
        .file("srv/attributed", b"x")
        .xattr("user.origin", b"test");
    Image::new()
        .platform("linux/amd64")
        .layer(base.compress(compression.clone()))
        .layer(next.compress(compression))
        .env("A=b")
        .label("l", "v")
        .command("sh")
}

fn content(name: &str, image: &Image) -> Content {
    let mut content = Content::new();
    content.push(name, "1", image);
    content
}

/// Copies an image into the layout `layout`, and unpacks it with umoci.
fn unpack_with_umoci(place: &Place, reference: &str, more: &[&str]) -> std::path::PathBuf {
    let layout = place.path("layout");
    let mut arguments = vec!["pull", reference, "--ref-name", "image", "--layout"];
    let layout_text = layout.to_str().expect("a plain path");
    arguments.push(layout_text);
    arguments.extend(more);
    place.run(&arguments).expect_code(0);
    umoci(layout_text, "image", &place.path("umoci"));
    place.path("umoci/rootfs")
}

fn umoci(layout: &str, tag: &str, bundle: &Path) {
    let image = format!("{layout}:{tag}");
    let arguments = ["unpack", "--image", &image].map(OsStr::new);
    run(&required("umoci", "umoci"), &[&arguments[..], &[bundle.as_os_str()]].concat());
}

#[test]
fn from_an_open_registry_it_equals_what_umoci_unpacks() {
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::open());
    registry.push_content(&content("group/app", &image()), "group/app", "1");
    let reference = format!("{}/group/app:1", registry.host());
    place.pull(&reference, "ours", &[]).expect_code(0);
    let theirs = unpack_with_umoci(&place, &reference, &[]);
    // umoci stamps the root, which no entry names, with the present time.
    Comparison::new().ignore_modified_of([""]).assert_equal(&place.path("ours"), &theirs);

    let tags = place.run(&["tags", &format!("{}/group/app", registry.host())]).expect_code(0);
    assert_eq!(tags.stdout_text(), "1\n");
    let served = image().pack();
    assert_eq!(place.run(&["manifest", &reference]).expect_code(0).stdout, served.bytes);
    assert_eq!(place.run(&["digest", &reference]).expect_code(0).stdout_text(), format!("{}\n", served.digest()));
    let config = place.run(&["config", &reference]).expect_code(0).stdout_text();
    assert!(config.contains("\"A=b\""), "{config}");
}

#[test]
fn with_a_password_over_tls() {
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::password_over_tls("ann", "open:sesame"));
    registry.push_content(&content("app", &image()), "app", "1");
    let reference = format!("{}/app:1", registry.host());
    let authority = place.path("ca.pem");
    std::fs::write(&authority, registry.authority_pem().expect("it has one")).expect("writable");
    let authority = authority.to_str().expect("a plain path").to_owned();

    // The environment's credentials, as docker keeps them.
    let folder = place.path(".docker");
    std::fs::create_dir(&folder).expect("writable");
    let auth = "YW5uOm9wZW46c2VzYW1l";
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.host());
    std::fs::write(folder.join("config.json"), config).expect("writable");
    place.pull(&reference, "ours", &["--ca-file", &authority]).expect_code(0);
    let theirs = unpack_with_umoci(&place, &reference, &["--ca-file", &authority]);
    Comparison::new().ignore_modified_of([""]).assert_equal(&place.path("ours"), &theirs);

    // Nobody vouches for the certificate.
    let refused = place.pull(&reference, "other", &["--cert-file", &authority, "--key-file", &authority]);
    assert_ne!(refused.code, 0, "{}", refused.stderr_text());

    std::fs::write(folder.join("config.json"), "{}").expect("writable");
    let refused = place.pull(&reference, "other", &["--ca-file", &authority, "--no-cache"]).expect_code(4);
    let message = refused.stderr_text();
    assert!(message.contains("config.json"), "{message}");
    assert!(!place.path("other").exists());
}

#[test]
fn with_tokens() {
    let place = Place::new();
    let issuer = Issuer::new().account("ann", "open sesame", "app").anonymous("public");
    let registry = DockerRegistry::start(&place.path("storage"), Setup::tokens("pusher", "push", issuer));
    registry.push_content(&content("app", &image()), "app", "1");
    registry.push_content(&content("public", &image()), "public", "1");

    place.pull(&format!("{}/public:1", registry.host()), "public", &[]).expect_code(0);
    let denied = place.pull(&format!("{}/app:1", registry.host()), "denied", &[]).expect_code(4);
    assert!(denied.stderr_text().contains("does not exist or needs authorisation"), "{}", denied.stderr_text());

    // The issuer is on another port of loopback, in plain http like the registry itself.
    for (password, code) in [("open sesame", 0), ("not-it-9", 4)] {
        let secret = place.path("password");
        std::fs::write(&secret, password).expect("writable");
        let mut command = Command::new("sh");
        program::isolate(&mut command, place.root());
        command.args(["-c", "exec \"$0\" \"$@\" < \"$PASSWORD\""]).env("PASSWORD", &secret).arg(program::path());
        command.args(["pull", &format!("{}/app:1", registry.host()), "--username", "ann", "--password-stdin"]);
        command.arg(place.path("app")).arg("--force");
        let pulled = measure(&command).expect_code(code);
        assert!(!pulled.stderr_text().contains(password), "{}", pulled.stderr_text());
    }
    Comparison::new().assert_equal(&place.path("public"), &place.path("app"));
}

#[test]
fn skopeo_and_umoci_accept_the_layout() {
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::open());
    registry.push_content(&content("oci", &image()), "oci", "1");
    let reference = format!("{}/oci:1", registry.host());
    unpack_with_umoci(&place, &reference, &[]);
    let skopeo = required("skopeo", "skopeo");
    let layout = format!("oci:{}:image", place.path("layout").display());
    let inspected = run(&skopeo, &["inspect", &layout].map(OsStr::new));
    assert!(String::from_utf8_lossy(&inspected).contains(image().pack().digest().as_str()));
    let raw = run(&skopeo, &["inspect", "--raw", &layout].map(OsStr::new));
    assert_eq!(raw, image().pack().bytes, "the manifest is as it was pushed");

    // The same trees from Docker's types, zstd, archives and the layout itself.
    place.pull(&reference, "first", &[]).expect_code(0);
    let docker = format!("docker://{}/docker:1", registry.host());
    run(&skopeo, &["copy", "-q", "--format", "v2s2", "--dest-tls-verify=false", &layout, &docker].map(OsStr::new));
    let (oci_archive, docker_archive) = (place.path("oci.tar"), place.path("docker.tar"));
    for (kind, file) in [("oci-archive", &oci_archive), ("docker-archive", &docker_archive)] {
        let target = format!("{kind}:{}:image:1", file.display());
        run(&skopeo, &["copy", "-q", &layout, &target].map(OsStr::new));
    }
    let zstd = Loopback::open(content("zstd", &image_with(Compression::Zstd)));
    let sources = [
        format!("{}/zstd:1", zstd.host()),
        format!("{}/docker:1", registry.host()),
        layout,
        format!("oci-archive:{}", oci_archive.display()),
        format!("docker-archive:{}", docker_archive.display()),
    ];
    for (number, source) in sources.iter().enumerate() {
        let name = format!("twin{number}");
        place.pull(source, &name, &[]).expect_code(0);
        Comparison::new().assert_equal(&place.path("first"), &place.path(&name));
    }
}

#[test]
fn eight_processes_lose_no_image_of_one_layout() {
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::open());
    let names: Vec<String> = (0..8).map(|number| format!("app{number}")).collect();
    for name in &names {
        let image = Image::new().layer(Layer::new().file("name", name.as_bytes()));
        registry.push_content(&content(name, &image), name, "1");
    }
    let layout = place.path("layout");
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = program::command(place.root());
            let reference = format!("{}/{name}:1", registry.host());
            command.args(["pull", "-q", &reference, "--ref-name", name, "--layout"]).arg(&layout);
            command.stdout(std::process::Stdio::null()).spawn().expect("the program starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    for name in &names {
        let image = format!("oci:{}:{name}", layout.display());
        run(&required("skopeo", "skopeo"), &["inspect", &image].map(OsStr::new));
    }
}

#[test]
fn an_unprivileged_user_gets_the_tree_and_a_report() {
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::open());
    registry.push_content(&content("app", &image()), "app", "1");
    let home = place.path("home");
    std::fs::create_dir(&home).expect("writable");
    std::os::unix::fs::chown(&home, Some(65534), Some(65534)).expect("root may");
    std::fs::set_permissions(place.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    // A copy, since the program's own folder need not be open to others.
    let program = place.path("oci-fetcher");
    std::fs::copy(program::path(), &program).expect("copied");

    let mut command = Command::new("setpriv");
    program::isolate(&mut command, &home);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
    command.args(["pull", "--json", &format!("{}/app:1", registry.host())]).arg(home.join("out"));
    let pulled = measure(&command).expect_code(0);
    let result: serde_json::Value = serde_json::from_slice(&pulled.stdout).expect("one object");
    let counts = &result["report"]["counts"];
    assert_eq!(counts["device"], 1, "{result}");
    assert!(counts["ownership"].as_u64() > Some(5), "{result}");
    assert_eq!(std::fs::read(home.join("out/etc/hostname")).expect("there"), b"two\n");
    assert!(!home.join("out/dev/null").exists());
}
