//! The bytes to begin with.

use oci_fetcher_core::digest::{Algorithm, Digest};

use crate::awkward;
use crate::content::Blob;
use crate::image::{Artifact, Compression, Image, Index, Layer, Manifest, Types, wasm_module};

/// Returns the seeds of a target, well-formed ones and what is refused.
///
/// # Panics
///
/// Panics if there is no such target.
#[must_use]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "tar" | "archive-index" => layers().iter().map(Layer::tar).collect(),
        "pax" => texts(PAX),
        "sparse" => sparse(),
        "gzip" => gzips(),
        "zstd" => zstds(),
        "layer" => layers()
            .into_iter()
            .zip(COMPRESSIONS.iter().cycle())
            .map(|(layer, how)| layer.compress(how.clone()).blob())
            .collect(),
        "merge" => merges(),
        "manifest" => manifests().into_iter().map(|manifest| manifest.bytes).collect(),
        "config" => configs(),
        "layout-index" => layout_indexes(),
        "docker-archive" => texts(DOCKER_ARCHIVES),
        "auth-file" => texts(AUTH_FILES),
        "helper" => texts(HELPERS),
        "grant" => texts(GRANTS),
        "challenge" => texts(CHALLENGES),
        "reference" => texts(REFERENCES),
        "digest" => digests(),
        "content-range" => {
            texts(&["bytes 42-1233/1234", "bytes 0-0/*", "bytes */47022", "bytes 9-5/10", "items 0-1/2"])
        }
        "link" => texts(LINKS),
        "texts" => texts(TEXTS),
        "url" => texts(URLS),
        "artifact" => {
            [texts(&["bin/tool\nREADME.md\n\nbin/other", "../x", "a\na/b", "C:x"]), vec![wasm_module()]].concat()
        }
        "pull" => pulls(),
        _ => panic!("no seeds for {target}"),
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Layers of every kind of member, small enough that each byte gets its turn.
fn layers() -> Vec<Layer> {
    let long = "a-long-directory/".repeat(9);
    let mut layers = vec![
        Layer::new(),
        Layer::new()
            .directory("etc", 0o755)
            .file("etc/motd", b"hello\n")
            .mode(0o4711)
            .owner(1000, 50)
            .symlink("l", "/etc"),
        Layer::new()
            .file("a", vec![7; 600])
            .hard_link("b", "a")
            .hard_link("c", "./a")
            .fifo("p")
            .character_device("n", 1, 3),
        Layer::new().whiteout("etc/gone").opaque("etc").file(".wh..wh.plnk/x", b"").whiteout(".hid"),
        Layer::new().file(&long, b"x").symlink("long", &long).modified(-1, 500_000_000).owner(3_000_000, 3_000_000),
        Layer::new().gnu_long_name(&long).file("short", b"x").gnu_long_link(&long).symlink("s", "t"),
        Layer::new()
            .file("x", b"y")
            .xattr("user.origin", b"v")
            .xattr("security.capability", [1, 0, 0, 2])
            .xattr("trusted.a", b""),
        Layer::new().global_pax("comment", "0123").file("f", b"1234").pax("size", "4").pax("mtime", "1.25"),
        Layer::new().file("../e", b""),
        Layer::new().file("f", b"f").pax("path", "/p").hard_link("h", "/../out"),
        Layer::new().directory("./", 0o700).block_device("dev/sda", 8, 0).file("f", b"").trailer(b""),
    ];
    layers.extend(awkward::refused().into_iter().map(|(_, layer)| layer));
    layers
}

const COMPRESSIONS: [Compression; 5] =
    [Compression::Gzip, Compression::Zstd, Compression::None, Compression::GzipMembers(3), Compression::ZstdFrames(2)];

const PAX: &[&str] = &[
    "path=name\nsize=12\nmtime=-1.5",
    "12 path=abc\n10 uid=70\n",
    "SCHILY.xattr.user.a=v\nSCHILY.xattr.trusted.a=v\nLIBARCHIVE.xattr.b=eA==",
    "GNU.sparse.major=1\nGNU.sparse.minor=0\nGNU.sparse.name=n\nGNU.sparse.realsize=2000",
    "GNU.sparse.size=20\nGNU.sparse.map=0,1,4,2\nsize=3",
    "GNU.sparse.size=20\nGNU.sparse.offset=0\nGNU.sparse.numbytes=3\nGNU.sparse.offset=9\nGNU.sparse.numbytes=4\nsize=7",
    "linkpath=t\nhdrcharset=BINARY\ncomment=c\nSCHILY.devmajor=8",
    "size=0",
    "size=512",
];

/// In all four formats: nothing, few extents, more than one block's, gaps, and unsound ones.
fn sparse() -> Vec<Vec<u8>> {
    let many: Vec<u8> = (0..60u8).flat_map(|at| [at, 0, at % 9]).collect();
    let extents: [&[u8]; 4] = [b"", b"\x05\0\x03\x10\0\x04", b"\0\x02\xff\0\0\x01\xff\xff\x07", &many];
    let control = (0..4u8).flat_map(|format| [format, 0x40 | format, 0x80 | format]);
    control.flat_map(|control| extents.iter().map(move |extents| [&[control], *extents].concat())).collect()
}

fn texts_to_compress() -> [Vec<u8>; 3] {
    let mixed: Vec<u8> = (0..3_000u32).map(|at| u8::try_from(at * at / 7 % 251).expect("below 251")).collect();
    [b"hello\n".to_vec(), b"a run of letters, ".repeat(60), mixed]
}

/// Members, and deflated data without a frame.
fn gzips() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = texts_to_compress().iter().map(|text| Compression::Gzip.apply(text)).collect();
    seeds.extend(seeds.clone().iter().map(|member| member[10..member.len() - 8].to_vec()));
    seeds.push(Compression::GzipMembers(3).apply(b"in three members"));
    seeds.push([Compression::Gzip.apply(b"padded"), vec![0; 40]].concat());
    // Extra field, name, comment and a checksum of the header.
    let fields = b"\x1f\x8b\x08\x1c\0\0\0\0\0\xff\x04\0ab\0\0name\0comment\0".as_slice();
    seeds.push([fields, &Compression::Gzip.apply(b"with fields")[10..]].concat());
    seeds
}

fn zstds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = texts_to_compress().iter().map(|text| Compression::Zstd.apply(text)).collect();
    seeds.push(Compression::ZstdFrames(3).apply(b"in three frames"));
    seeds.push([&b"\x50\x2a\x4d\x18\x04\0\0\0skip"[..], &seeds[0]].concat());
    // A raw block, a run, and a window that is too large.
    seeds.push(b"\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello".to_vec());
    seeds.push(b"\x28\xb5\x2f\xfd\0\x40\x03\x20\0x".to_vec());
    seeds.push(b"\x28\xb5\x2f\xfd\0\xf8\x29\0\0hello".to_vec());
    seeds
}

/// Triples of a kind, a path and what the kind needs.
fn merges() -> Vec<Vec<u8>> {
    let sequences: [&[[u8; 3]]; 6] = [
        &[[4, 5, 0], [1, 6, 9], [0, 0, 0], [14, 6, 0], [1, 10, 3]],
        &[[6, 5, 2], [1, 70, 4], [0, 0, 0], [4, 5, 0], [1, 22, 1]],
        &[[1, 5, 7], [9, 25, 5], [9, 41, 25], [0, 0, 0], [14, 5, 0], [1, 25, 2]],
        &[[4, 5, 0], [1, 6, 1], [0, 0, 0], [13, 5, 0], [1, 22, 2], [0, 0, 0], [13, 0, 0]],
        &[[6, 5, 10], [6, 25, 9], [1, 6, 3], [7, 41, 12], [1, 42, 5]],
        &[[11, 5, 0], [12, 21, 8], [15, 0, 200], [15, 9, 3], [10, 37, 5], [1, 5, 31]],
    ];
    sequences.iter().map(|sequence| sequence.concat()).collect()
}

fn images() -> [Manifest; 3] {
    let layer = || Layer::new().file("f", b"content");
    [
        Image::new()
            .platform("linux/amd64")
            .layer(layer())
            .layer(layer().compress(Compression::Zstd))
            .annotation("a", "b")
            .pack(),
        Image::new()
            .types(Types::Docker)
            .platform("linux/arm/v7")
            .layer(layer().url("https://foreign.example/l"))
            .pack(),
        Image::new().platform("windows/amd64").os_version("10.0.20348.2700").pack(),
    ]
}

fn manifests() -> Vec<Manifest> {
    let [oci, docker, windows] = images();
    let artifact = Artifact::wasm(&wasm_module()).subject(&oci).pack();
    let inner = Index::new().manifest(windows.clone()).annotation("org.example", "inner");
    let list = Index::new().types(Types::Docker).manifest(docker.clone()).pack();
    let index =
        Index::new().attested(oci.clone()).manifest(docker.clone()).manifest(inner).manifest(artifact.clone()).pack();
    let embedded = Image::new().edit_manifest(|manifest| {
        let data = serde_json::json!("e30=");
        manifest["config"] = serde_json::json!({ "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "data": data,
            "digest": Digest::of(Algorithm::Sha256, b"{}").as_str() });
    });
    let both = Image::new().edit_manifest(|manifest| manifest["manifests"] = serde_json::json!([]));
    let schema_1 = Manifest::raw("", br#"{"schemaVersion":1,"name":"a","fsLayers":[],"history":[]}"#.to_vec());
    vec![oci, docker, windows, artifact, list, index, embedded.pack(), both.pack(), schema_1]
}

/// The configs of images, with all that can stand in one.
fn configs() -> Vec<Vec<u8>> {
    let full = Image::new()
        .env("PATH=/bin")
        .label("a", "b")
        .entrypoint("/init")
        .command("x")
        .user("1:1")
        .working_directory("/w");
    let odd = r#"{"os":"Linux","architecture":"x86_64","variant":"","config":{"Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},"Env":null,"StopSignal":"TERM"},"rootfs":null,"os.features":["f"],"history":null}"#;
    let images = images().into_iter().chain([full.pack()]);
    images.map(|image| bytes(&image.blobs[0].1)).chain(texts(&[odd, "{}"])).collect()
}

fn bytes(blob: &Blob) -> Vec<u8> {
    match blob {
        Blob::Bytes(bytes) => bytes.to_vec(),
        Blob::File { path, .. } => panic!("{} is no seed", path.display()),
    }
}

fn layout_indexes() -> Vec<Vec<u8>> {
    let named = |name: &'static str| {
        Index::new().manifest(images()[0].clone()).edit(move |index| {
            index["manifests"][0]["annotations"] =
                serde_json::json!({ "org.opencontainers.image.ref.name": name, "io.containerd.image.name": "h/a:1" });
            index["x-unknown"] = serde_json::json!({ "kept": [1, null] });
        })
    };
    let indexes = [Index::new(), named("app:1"), named("22")].map(|index| index.pack().bytes);
    indexes
        .into_iter()
        .chain(texts(&[r#"{"imageLayoutVersion":"1.0.0"}"#, r#"{"schemaVersion":2,"manifests":null}"#]))
        .collect()
}

fn digests() -> Vec<Vec<u8>> {
    let mut seeds =
        texts(&["multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", "sha256:../../x", "a..b:cd"]);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        seeds.push(Digest::of(algorithm, b"").as_str().into());
    }
    seeds
}

const DOCKER_ARCHIVES: &[&str] = &[
    r#"[{"Config":"1f2e.json","RepoTags":["busybox:1","docker.io/library/busybox:latest"],"Layers":["a/layer.tar","./b/layer.tar"]}]"#,
    r#"[{"Config":"blobs/sha256/3d","RepoTags":null,"Layers":null},{"Config":"e.json","RepoTags":["quay.io/x/y:1"],"Layers":[]}]"#,
    r#"[{"Config":"../c","Layers":["a/../../l"]}]"#,
    r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#,
];
const AUTH_FILES: &[&str] = &[
    r#"{"auths":{"registry.example":{"auth":"YWxpY2U6czpjcmV0"},"https://index.docker.io/v1/":{"identitytoken":"opaque"}}}"#,
    r#"{"credsStore":"desktop","credHelpers":{"registry.example":"pass","docker.io":""},"auths":{"registry.example":{}}}"#,
    r#"{"auths":{"registry.example/team":{"username":"a","password":"b:c"},"registry.example:5000":{"registrytoken":"t"}}}"#,
    r#"{"auths":null,"credHelpers":{"127.0.0.1:5000":"../../x"}}"#,
    r#"{"auths":{"docker.io":{"auth":"%%%"},"127.0.0.1:5000":{"auth":"YQ=="}}}"#,
];
const HELPERS: &[&str] = &[
    r#"{"ServerURL":"registry.example","Username":"<token>","Secret":"an opaque token"}"#,
    r#"{"Username":"alice","Secret":"a secret, quite long"}"#,
    "credentials not found in native keychain\n",
    "ecr-login",
    "../../x",
];
const GRANTS: &[&str] = &[
    r#"{"token":"abc.def.ghi","expires_in":300,"issued_at":"2023-11-14T22:13:20Z"}"#,
    r#"{"access_token":"a-token-of-some-length","expires_in":"3600","refresh_token":"r"}"#,
    r#"{"token":"","access_token":null}"#,
    r#"{"token":"a\r\nb: c"}"#,
];
const CHALLENGES: &[&str] = &[
    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
    r#"Basic realm="a", Bearer realm="http://127.0.0.1:5001/t", service="c""#,
    "Negotiate YII+/a==, Bearer realm=https://registry.example/t?x=y,service=s",
    r#"Bearer realm="http://registry.example/token""#,
    r#"Bearer realm="https://169.254.169.254/latest""#,
    "Bearer realm=\"http://10.0.0.2/t\"\nBearer realm=\"https://user@host/\"",
];
const REFERENCES: &[&str] = &[
    "heroku/builder:22",
    "alpine",
    "registry.example:5000/a/b__c/d-e:tag_1.2@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "[::1]:5000/a",
    "LOCALHOST/a",
    "docker://index.docker.io/library/x",
    "oci:images:heroku/builder:22",
    "docker-archive:C:/x.tar:a:1",
    "oci-archive:a.tar",
    "linux/arm64/v8",
    "linux/armhf",
    "windows/amd64",
];
const LINKS: &[&str] = &[
    r#"</v2/a/tags/list?n=2&last=b>; rel="next""#,
    r#"<?last=b>; title="a, <b>; rel=no"; rel="last next""#,
    "</p>; rel=prev, , </n>; rel=next",
    "<//evil.example/v2/>; rel=next",
    "</n>; anchor=\"/other\"; rel=next\n<https://registry.example:443/y>; rel=next",
];
const TEXTS: &[&str] = &[
    "120\n\n299 - \"this tag goes away soon\"",
    "Sun, 06 Nov 1994 08:51:37 GMT\nSun, 06 Nov 1994 08:49:37 GMT\n299 - \"a\", 299 - \"b, c\", 199 - \"other code\"",
    "Sunday, 06-Nov-94 08:49:37 GMT\nSun Nov  6 08:49:37 1994\n299 - \"\u{1b}[31mred\u{202e}\"",
    "18446744073709551616\nyesterday\n299 host:80 \"other agent\"",
];
const URLS: &[&str] = &[
    "HTTPS://Registry.example:443/v2/a/./b/../blobs/sha256:ab\n//cdn.example/x?s=1\n../y\n?z\n#f\nhttp://127.1/",
    "http://[::ffff:127.0.0.1]:5000/a%20b\nhttps://2130706433/\nhttps://0x7f.1/\n/%2e%2e/x",
    "https://a.b.c./\nhttps://xn--bcher-kva.example/\nftp://x/\nhttps://u:p@h/\n\\\\h\\x",
    "https://registry.example\nx:y\n//\n/\n.\n..",
];

/// Two bytes for plan and manner, and answers: 0 for what goes well.
fn pulls() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        (0..7).flat_map(|plan| [[plan, 64], [plan, 68], [plan, 64 + 2 * 3 + 16]]).map(Vec::from).collect();
    // A challenge, a token, a redirect, pauses, a resume, a link: each once, after which all goes well.
    for answers in [
        &[0, 255, 1, 1, 1, 0, 0, 0][..],
        &[0, 255, 1, 1, 1, 4, 0, 0],
        &[0, 255, 1, 3, 1, 5, 0],
        &[0, 255, 1, 7, 1, 10, 0],
        &[255, 255, 1, 8, 0, 255, 0, 0],
        &[0, 0, 255, 0, 2, 0, 0, 255, 1, 4, 1, 15, 0],
        &[0, 255, 1, 0, 1, 12, 0, 0, 255, 1, 0, 1, 13, 0],
        &[0, 255, 1, 1, 1, 23, 40],
    ] {
        for plan in 0..7 {
            let text = br#"Bearer realm="https://auth.example/t",scope="x" "#;
            seeds.push([&[plan, 64 + 16 + (plan & 1)], answers, text].concat());
            seeds.push([&[plan, 16 + 32], answers].concat());
        }
    }
    seeds
}
