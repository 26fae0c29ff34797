//! The views of GNU tar, bsdtar and Python's tarfile.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oci_fetcher_tests::process::required;
use serde_json::Value;

use super::listed::{Listed, Listing};

/// Lists an archive with GNU tar.
pub(crate) fn gnu_tar(archive: &Path) -> Listing {
    let mut command = Command::new(required("tar", "tar"));
    command.args(["--numeric-owner", "--full-time", "--quoting-style=c", "--absolute-names", "--warning=no-timestamp"]);
    let output = command.args(["-tvf"]).arg(archive).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Listing { members: lines.map(gnu_line).collect(), refusal: (!output.status.success()).then_some(stderr) }
}

/// Reads `-rw-r--r-- 0/0 5 2023-11-14 22:13:20.5 "name" -> "target"`; names are as in C.
fn gnu_line(line: &[u8]) -> Listed {
    let quote = line.iter().position(|byte| *byte == b'"').unwrap_or(line.len());
    let (head, names) = line.split_at(quote);
    let head = String::from_utf8_lossy(head).into_owned();
    let words: Vec<&str> = head.split_whitespace().collect();
    let permissions = words.first().copied().unwrap_or_default();
    let (name, after) = unquoted(names);
    let link = after.strip_prefix(b" -> ").or_else(|| after.strip_prefix(b" link to ")).map(|link| unquoted(link).0);
    // A contiguous file is a file.
    let kind = permissions.chars().next().map_or('?', |kind| if kind == 'C' { '-' } else { kind });
    Listed {
        name,
        kind,
        size: words.get(2).and_then(|size| size.parse().ok()).filter(|_| kind == '-'),
        mode: mode(permissions),
        modified: words.get(3..5).and_then(|words| seconds(words[0], words[1])),
        link,
    }
}

/// Reads a name in quotes, as C writes it, and returns what follows it.
fn unquoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut name = Vec::new();
    let mut rest = text.strip_prefix(b"\"").unwrap_or(text);
    loop {
        match rest {
            [] => return (name, rest),
            [b'"', after @ ..] => return (name, after),
            [b'\\', b'0'..=b'7', ..] => {
                let digits = rest[1..].iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
                let value = rest[1..=digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                name.push(u8::try_from(value).unwrap_or(b'?'));
                rest = &rest[1 + digits..];
            }
            [b'\\', letter, after @ ..] => {
                name.push(match letter {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => 9,
                    b'n' => 10,
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => 13,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                name.push(*byte);
                rest = after;
            }
        }
    }
}

/// Reads the nine letters behind the kind.
fn mode(permissions: &str) -> Option<u32> {
    let letters = permissions.as_bytes().get(1..10)?;
    let mut mode = 0;
    for (index, letter) in letters.iter().enumerate() {
        let bit = 0o400 >> index;
        let special = [0o4000, 0o2000, 0o1000][index / 3];
        mode |= match letter {
            b'-' => 0,
            b's' | b't' => bit | special,
            b'S' | b'T' => special,
            _ => bit,
        };
    }
    Some(mode)
}

/// Turns a date and a time of day, in UTC, into seconds since 1970, rounded down.
fn seconds(date: &str, time: &str) -> Option<i64> {
    let mut parts = date.rsplitn(3, '-').map(str::parse::<i64>);
    let (day, month, year) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let mut clock = time.split('.').next()?.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // Days from civil, by Howard Hinnant: years begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Lets bsdtar write an archive anew, in the one format that everybody reads alike; Python lists it.
pub(crate) fn bsdtar(archive: &Path, to: &Path) -> Option<String> {
    let mut command = Command::new(required("bsdtar", "libarchive-tools"));
    command.args(["-P", "-c", "--format=pax", "-f"]).arg(to).arg(format!("@{}", archive.display()));
    let output = command.output().expect("it runs");
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Lists many archives with one Python.
pub(crate) fn python(archives: &[PathBuf], folder: &Path) -> Vec<Listing> {
    let (script, list) = (folder.join("list.py"), folder.join("archives"));
    fs::write(&script, include_str!("list.py")).expect("there is room for a file");
    let lines: Vec<String> = archives.iter().map(|path| format!("{}\n", path.display())).collect();
    fs::write(&list, lines.concat()).expect("there is room for a file");
    let mut command = Command::new(required("python3", "python3"));
    command.arg(&script).stdin(File::open(&list).expect("it was just written")).stderr(Stdio::inherit());
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "python3 {}: {}", script.display(), output.status);
    let lines: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), archives.len(), "a listing for each archive");
    lines.into_iter().map(|line| listing(&serde_json::from_slice(line).expect("it writes JSON"))).collect()
}

fn listing(value: &Value) -> Listing {
    let bytes = |value: &Value| {
        let digits = value.as_str()?;
        let pairs = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok());
        pairs.collect::<Option<Vec<u8>>>()
    };
    let member = |member: &Value| Listed {
        name: bytes(&member["name"]).unwrap_or_default(),
        kind: member["kind"].as_str().and_then(|kind| kind.chars().next()).unwrap_or('?'),
        size: member["size"].as_u64(),
        mode: member["mode"].as_u64().and_then(|mode| u32::try_from(mode).ok()),
        modified: member["mtime"].as_i64(),
        link: bytes(&member["link"]),
    };
    Listing {
        members: value["members"].as_array().map(|all| all.iter().map(member).collect()).unwrap_or_default(),
        refusal: value["refusal"].as_str().map(str::to_owned),
    }
}
