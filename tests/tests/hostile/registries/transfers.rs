//! 64: encodings and ranges. 65: a tag that moves. 66: failures that are not "not found". 67: a poisoned cache.

use std::time::{Duration, SystemTime};

use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::registry::{Action, Method, RetryAfter, Rule};
use serde_json::json;

use super::answer::Answer;
use super::digests::{layer_digest, layer_path};
use super::row::Row;
use super::stage::{BLOBS, MANIFESTS, Stage, fine, holding, on, open, secured};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = encodings();
    rows.extend(ranges());
    rows.extend(moving());
    rows.extend(failures());
    rows.extend(poisoned());
    rows
}

fn encodings() -> Vec<Row> {
    let encoded = |path: String, encoding: &'static str| {
        move |stage: &mut Stage| {
            let says = Action::SetHeader("Content-Encoding".to_owned(), encoding.to_owned());
            stage.registry(fine(), open().rule(Rule::on(Method::Get, &path).then(says)));
        }
    };
    vec![
        Row::new(64, "a gzipped layer that is called encoded, too", "works", encoded(layer_path(), "gzip"))
            .not_on(&["wasm"], "a runtime's fetch decodes it: see the next"),
        Row::new(64, "a layer in an encoding that nobody knows", "works", encoded(layer_path(), "x-nothing")),
        Row::new(64, "what asks for a blob asks for it as it is", "works", |stage| {
            stage.registry(fine(), open());
            stage.check(|stage, _| {
                let asked = stage.home().requests_to(Method::Get, BLOBS);
                let odd = asked
                    .iter()
                    .find(|request| request.header("accept-encoding").is_some_and(|value| value != "identity"));
                odd.filter(|request| request.path() == layer_path())
                    .map_or(Ok(()), |request| Err(format!("{:?}", request.headers)))
            });
        }),
    ]
}

/// Puts the first bytes of the layer into the cache, as a pull that was killed leaves them.
fn half_there(stage: &Stage, bytes: &[u8]) {
    stage.place.write(&partial(), bytes);
}

fn partial() -> String {
    format!("cache/partial/sha256-{}", layer_digest().encoded())
}

fn whole() -> String {
    format!("cache/blobs/sha256/{}", layer_digest().encoded())
}

/// The layer that most cases serve.
fn layer() -> Vec<u8> {
    Layer::new().file("a", vec![7; 20_000]).directory("d", 0o755).blob()
}

const NO_CACHE: &str = "it has no cache of downloads";

fn ranges() -> Vec<Row> {
    let answered = |rule: fn() -> Rule| {
        move |stage: &mut Stage| {
            stage.registry(fine(), open().rule(rule()));
            half_there(stage, &layer()[..60]);
        }
    };
    let part = |range: &'static str, body: &'static [u8]| {
        move |stage: &mut Stage| {
            let headers = vec![("Content-Range".to_owned(), range.to_owned())];
            let answer = Action::Respond { status: 206, headers, body: body.to_vec() };
            stage.registry(fine(), open().rule(on(&layer_path(), answer)));
            half_there(stage, &layer()[..60]);
        }
    };
    let rows = vec![
        Row::new(
            64,
            "a range is answered with the whole",
            "works",
            answered(|| on(&layer_path(), Action::IgnoreRange)),
        ),
        Row::new(64, "a range is answered with another, once", "works", |stage| {
            let headers = vec![("Content-Range".to_owned(), "bytes 0-9/10".to_owned())];
            let other = Action::Respond { status: 206, headers, body: vec![0; 10] };
            stage.registry(fine(), open().rule(on(&layer_path(), other).with_header("range")));
            half_there(stage, &layer()[..60]);
        }),
        Row::new(64, "parts come, whatever is asked", "protocol (5)", part("bytes 0-9/10", &[0; 10])),
        Row::new(64, "parts of another size", "protocol (5)", part("bytes 60-69/70", &[0; 10])),
        Row::new(64, "parts that begin elsewhere", "protocol (5)", part("bytes 61-69/4096", &[0; 9])),
        Row::new(64, "parts without a range", "protocol (5)", part("nonsense", &[0; 10])),
        Row::new(
            64,
            "a range is refused with 416",
            "works",
            answered(|| on(&layer_path(), Action::respond(416, "")).with_header("range")),
        ),
        Row::new(
            64,
            "everything is refused with 416",
            "status (5)",
            answered(|| on(&layer_path(), Action::respond(416, ""))),
        ),
        Row::new(
            64,
            "a byte of the rest is flipped",
            "tar-checksum (6)",
            answered(|| on(&layer_path(), Action::FlipByte(80))),
        ),
        Row::new(64, "one byte comes at a time, and then the connection ends", "connection-broken (5)", |stage| {
            let one = on(&layer_path(), Action::CutBody(1));
            stage.registry(fine(), open().rule(one));
            stage.with(&["--retries", "3"]);
            stage.settings = json!({ "retry": { "attempts": 4, "firstPause": 10 } });
            stage.check(|stage, _| match stage.home().requests_to(Method::Get, &layer_path()).len() {
                // As often as it may be tried, and once more from the beginning.
                asked if asked <= 8 => Ok(()),
                asked => Err(format!("it was asked for {asked} times")),
            });
        }),
    ];
    rows.into_iter().map(|row| row.ours(NO_CACHE)).collect()
}

fn moving() -> Vec<Row> {
    vec![
        Row::new(65, "a tag that moves after it was read", "works", |stage| {
            let mut content = fine();
            let evil = Image::new().layer(Layer::new().file("evil", b"evil")).pack();
            content.push_untagged("app", evil.clone());
            // The first answer is right, every later one another image.
            let headers = vec![("Content-Type".to_owned(), evil.media_type.clone())];
            let moved = Action::Respond { status: 200, headers, body: evil.bytes };
            stage.registry(
                content,
                secured().rule(on("/v2/app/manifests/1", moved).with_header("authorization").after(1)),
            );
            stage.check(|stage, answer| {
                let there = stage.place.path(&format!("parent/{}/evil", answer.host)).exists();
                if there { Err("another image came".to_owned()) } else { Ok(()) }
            });
        }),
        Row::new(65, "HEAD tells of another manifest than GET", "works", |stage| {
            let lie = Action::SetHeader("Docker-Content-Digest".to_owned(), layer_digest().to_string());
            stage.registry(fine(), open().rule(Rule::on(Method::Head, MANIFESTS).then(lie)));
        }),
        Row::new(65, "what a tag is called in the cache is a path for nobody", "works", |stage| {
            stage.registry(fine(), open());
            let reference = format!("{}/app:1", stage.home().host());
            let name =
                oci_fetcher_core::digest::Digest::of(oci_fetcher_core::digest::Algorithm::Sha256, reference.as_bytes());
            let record = json!({ "reference": reference, "digest": "sha256:../../../victim", "time": 0 });
            stage.place.write(&format!("cache/tags/{}", name.encoded()), record.to_string());
        })
        .ours(NO_CACHE),
    ]
}

fn failures() -> Vec<Row> {
    let refused = |path: &'static str, status: u16, retry_after: RetryAfter| {
        move |stage: &mut Stage| {
            stage.registry(fine(), open().rule(Rule::on(Method::Any, path).then(Action::Refuse(status, retry_after))));
            stage.with(&["--retries", "1", "--retry-time", "4"]);
            stage.settings = json!({ "retry": { "attempts": 2, "firstPause": 10, "patience": 4_000 } });
            stage.most_seconds = 10;
        }
    };
    let mut rows = Vec::new();
    for (path, what) in [(MANIFESTS, "manifest"), (BLOBS, "blob")] {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let name = format!("{status} for a {what} is not \"not found\"");
            rows.push(Row::named(66, name, "status (5)", refused(path, status, RetryAfter::Absent)));
        }
    }
    rows.extend([
        Row::new(
            66,
            "429 with a Retry-After of a week",
            "status (5)",
            refused(MANIFESTS, 429, RetryAfter::Seconds(604_800)),
        ),
        Row::new(66, "429 with a Retry-After of a date next year", "status (5)", |stage| {
            let year = RetryAfter::Date(Duration::from_secs(31_536_000));
            refused_by(stage, Action::Refuse(429, year));
        }),
        Row::new(66, "503 once, with a Retry-After of a second", "works", |stage| {
            let once = Rule::on(Method::Any, MANIFESTS).times(1).then(Action::Refuse(503, RetryAfter::Seconds(1)));
            stage.registry(fine(), open().rule(once));
            stage.with(&["--retries", "1"]);
            stage.settings = json!({ "retry": { "attempts": 2, "firstPause": 10 } });
            stage.check(|_, answer: &Answer| {
                if answer.elapsed > Duration::from_millis(900) { Ok(()) } else { Err("it did not wait".to_owned()) }
            });
        })
        .ours("they have pauses of their own"),
        Row::new(66, "404 is tried once", "not-found (3)", |stage| {
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(Action::respond(404, ""))));
            stage.with(&["--retries", "5"]);
            stage.settings = json!({ "retry": { "attempts": 6 } });
            stage.check(|stage, _| match stage.home().manifest_requests() {
                1 => Ok(()),
                asked => Err(format!("asked {asked} times")),
            });
        }),
        Row::new(66, "410 and a made-up status", "status (5)", |stage| {
            refused_by(stage, Action::respond(499, ""));
        }),
        Row::new(66, "an answer of 200 that is cut", "connection-broken (5)", |stage| {
            stage.registry(fine(), open().rule(on(MANIFESTS, Action::CutBody(10))));
        }),
        Row::new(66, "an answer that never begins", "timed-out (5)", |stage| {
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(Action::StallAnswer(0))));
            stage.most_seconds = 10;
        }),
        Row::new(66, "a layer that stands still", "timed-out (5)", |stage| {
            stage.registry(fine(), open().rule(on(&layer_path(), Action::StallBody(10))));
            stage.most_seconds = 10;
        }),
        Row::new(66, "a redirect to itself", "protocol (5)", |stage| {
            stage.registry(fine(), open());
            let origin = stage.home().origin();
            stage.rule(on(BLOBS, Action::RedirectOrigin(origin)));
        }),
        Row::new(66, "a redirect without a Location", "protocol (5)", |stage| {
            let nowhere = Action::Respond { status: 307, headers: Vec::new(), body: Vec::new() };
            stage.registry(fine(), open().rule(on(BLOBS, nowhere)));
        }),
        Row::new(66, "a 200 that is empty, for a layer", "blob-short (5)", |stage| {
            stage.registry(fine(), open().rule(on(&layer_path(), Action::respond(200, ""))));
        }),
        Row::new(66, "a 204 for a layer", "protocol (5)", |stage| {
            let none = Action::Respond { status: 204, headers: Vec::new(), body: Vec::new() };
            stage.registry(fine(), open().rule(on(&layer_path(), none)));
        }),
    ]);
    rows
}

fn refused_by(stage: &mut Stage, action: Action) {
    stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(action)));
    stage.with(&["--retries", "1", "--retry-time", "4"]);
    stage.settings = json!({ "retry": { "attempts": 2, "firstPause": 10, "patience": 4_000 } });
    stage.most_seconds = 10;
}

/// Holds that the victim keeps its content, also through links.
fn victim_is_precious(stage: &Stage, _: &Answer) -> Result<(), String> {
    let victim = stage.place.read("victim");
    if victim == b"precious" { Ok(()) } else { Err(format!("the victim holds {} bytes", victim.len())) }
}

fn poisoned() -> Vec<Row> {
    let cached = |name: fn() -> String, bytes: fn() -> Vec<u8>| {
        move |stage: &mut Stage| {
            stage.registry(fine(), open());
            stage.place.write(&name(), bytes());
        }
    };
    /// Links the victim to a name in the cache.
    fn link(stage: &mut Stage, name: &str, symbolic: bool) {
        stage.registry(fine(), open());
        let path = stage.place.write(name, "");
        std::fs::remove_file(&path).expect("just made");
        let victim = stage.place.path("victim");
        let linked =
            if symbolic { std::os::unix::fs::symlink(victim, &path) } else { std::fs::hard_link(victim, &path) };
        linked.expect("writable");
        stage.check(victim_is_precious);
    }
    fn flipped() -> Vec<u8> {
        let mut bytes = layer();
        bytes[40] ^= 1;
        bytes
    }
    let rows = vec![
        Row::new(67, "wrong content under a blob's final name", "works", cached(whole, flipped)),
        Row::new(67, "short content under a blob's final name", "works", cached(whole, || layer()[..60].to_vec())),
        Row::new(67, "nothing under a blob's final name", "works", cached(whole, Vec::new)),
        Row::new(67, "long content under a blob's final name", "works", cached(whole, || [layer(), layer()].concat())),
        Row::new(67, "a wrong partial", "works", cached(partial, || vec![0; 60])),
        Row::new(67, "a partial of the blob's size with a byte wrong", "works", |stage| {
            stage.registry(fine(), open());
            half_there(stage, &flipped());
        }),
        Row::new(67, "a partial longer than the blob", "works", cached(partial, || [layer(), layer()].concat())),
        Row::new(67, "a partial that is a symlink to a victim", "works", |stage| link(stage, &partial(), true)),
        Row::new(67, "a partial that is a hard link to a victim", "works", |stage| link(stage, &partial(), false)),
        Row::new(67, "a partial's lock that is a symlink to a victim", "works", |stage| {
            link(stage, &format!("{}.lock", partial()), true);
        }),
        Row::new(67, "a partial's lock that is a FIFO", "works", |stage| {
            stage.registry(fine(), open());
            let path = stage.place.write(&format!("{}.lock", partial()), "");
            std::fs::remove_file(&path).expect("just made");
            let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
            assert!(made.success(), "mkfifo failed");
        }),
        Row::new(67, "a partial's lock of an owner who is long gone", "works", |stage| {
            stage.registry(fine(), open());
            let path = stage.place.write(&format!("{}.lock", partial()), "1 elsewhere 0\n");
            let long_ago = SystemTime::now() - Duration::from_secs(3_600);
            std::fs::File::options()
                .write(true)
                .open(path)
                .and_then(|file| file.set_modified(long_ago))
                .expect("settable");
        }),
        Row::new(67, "a blob's final name that is a symlink to a victim", "cache (8)", |stage| {
            link(stage, &whole(), true)
        }),
        Row::new(67, "a blob's final name that is a hard link to a victim", "works", |stage| {
            link(stage, &whole(), false)
        }),
        Row::new(67, "a partial that is a directory", "cache (8)", |stage| {
            stage.registry(fine(), open());
            stage.place.write(&format!("{}/x", partial()), "");
        }),
        Row::new(67, "a tag's record that is nonsense", "works", |stage| {
            stage.registry(fine(), open());
            let reference = format!("{}/app:1", stage.home().host());
            let name =
                oci_fetcher_core::digest::Digest::of(oci_fetcher_core::digest::Algorithm::Sha256, reference.as_bytes());
            stage.place.write(&format!("cache/tags/{}", name.encoded()), "{");
        }),
        Row::new(67, "what is in the cache is its owner's alone", "works", |stage| {
            use std::os::unix::fs::PermissionsExt;
            stage.registry(fine(), open());
            stage.check(|stage, _| {
                let mode = |name: &str| {
                    let metadata =
                        std::fs::metadata(stage.place.path(name)).map_err(|error| format!("{name}: {error}"))?;
                    Ok::<_, String>(metadata.permissions().mode() & 0o077)
                };
                let open = [mode("cache/blobs")?, mode("cache/partial")?, mode(&whole())?];
                if open == [0, 0, 0] { Ok(()) } else { Err(format!("others may: {open:?}")) }
            });
        }),
        Row::new(67, "a layer that decodes to other content than the cache says", "works", |stage| {
            // The same plain tar, compressed otherwise: another blob, whatever lies beside it.
            let other = Image::new()
                .layer(Layer::new().file("a", vec![7; 20_000]).directory("d", 0o755).compress(Compression::None));
            stage.registry(holding(other), open());
            stage.place.write(&whole(), layer());
        }),
    ];
    rows.into_iter().map(|row| row.ours(NO_CACHE)).collect()
}
