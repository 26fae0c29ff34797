//! Archives by GNU tar and Python's tarfile, and what they make of ours.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "archives by other programs, which tests run as they are"
)]

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::entry::{EntryPath, Timestamp, Xattr};
use crate::tar::write;

/// Runs a program that must be there, and returns its standard output.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed by this test: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        // A program that ends early closes its input; its exit code says whether that was right.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the program's output")
    });
    assert!(output.status.success(), "{program} failed: {arguments:?}");
    output.stdout
}

/// Runs a script in a directory of its own.
fn in_directory(script: &str) -> Vec<u8> {
    run("sh", &["-euc", &format!("cd \"$(mktemp -d)\"; trap 'rm -rf \"$PWD\"' EXIT\n{script}")], b"")
}

fn python(script: &str, input: &[u8]) -> Vec<u8> {
    run("python3", &["-c", script], input)
}

#[test]
fn gnu_tar_in_each_format() {
    for (format, nanoseconds) in [("v7", 0), ("oldgnu", 0), ("gnu", 0), ("ustar", 0), ("pax", 250_000_000)] {
        // Names over 100 bytes are what the formats differ in; V7 has none.
        let long = if format == "v7" { "d/short".into() } else { format!("d/{}/{}", "e".repeat(90), "f".repeat(90)) };
        let tar = in_directory(&format!(
            "mkdir -p \"$(dirname {long})\"; printf content >{long};  ln -s /abs/target sym; mkfifo fifo; : >empty; ln empty hard
            touch -hd '2001-02-03 04:05:06.25 UTC' {long} sym
            tar --format={format} --owner=:1234 --group=:5678 --mode=u+s -cf - {long} empty hard sym {fifo}",
            fifo = if format == "v7" { "" } else { "fifo" },
        ));
        let seen = read(&Limits::default(), tar.chunks(999)).unwrap_or_else(|error| panic!("{format}: {error}"));
        let mut expected = vec![format!("file /{long} 7")];
        expected.extend(
            ["0+content", "end", "file /empty 0", "end", "hard /hard -> /empty", "sym /sym -> /abs/target"]
                .map(String::from),
        );
        expected.extend((format != "v7").then(|| "fifo /fifo".into()));
        assert_eq!(seen.lines, expected, "{format}");
        let Metadata { mode, uid, gid, mtime, .. } = seen.entries[0].metadata;
        assert_eq!((mode & 0o7700, uid, gid), (0o4600, 1234, 5678), "{format}");
        assert_eq!(mtime, Timestamp { seconds: 981_173_106, nanoseconds }, "{format}");
        assert_eq!(seen.summary.expect("it ended").warnings, [""; 0], "{format}");
    }
}

#[test]
fn gnu_tar_with_sparse_files() {
    for options in [
        "--format=gnu",
        "--format=oldgnu",
        "--format=pax --sparse-version=0.0",
        "--format=pax --sparse-version=0.1",
        "--format=pax --sparse-version=1.0",
    ] {
        // Thirty extents need extension blocks; one file ends in a hole, one is nothing else.
        let tar = in_directory(&format!(
            "for at in $(seq 0 29); do printf x$at | dd of=many bs=1 seek=$((at * 1048576 + 4096)) conv=notrunc status=none; done
            truncate -s 100M many; truncate -s 8G hole; printf tail >after
            tar --hole-detection=raw {options} --sparse -cf - many hole after",
        ));
        assert!(tar.len() < 1 << 20, "{options}: the machine's tar wrote no holes");
        let seen = read(&Limits::default(), tar.chunks(65_536)).unwrap_or_else(|error| panic!("{options}: {error}"));
        let (data, rest): (Vec<_>, Vec<_>) = seen.lines.iter().partition(|line| line.contains("+x"));
        assert_eq!(
            rest,
            ["file /many 104857600", "end", "file /hole 8589934592", "end", "file /after 4", "0+tail", "end"],
            "{options}"
        );
        assert_eq!(data.len(), 30, "{options}");
        for (at, line) in data.into_iter().enumerate() {
            let start = format!("{}+x{at}\\x00", at * 1_048_576 + 4096);
            assert!(line.starts_with(&start), "{options}: {start}");
        }
    }
}

#[test]
fn gnu_tar_with_attributes() {
    let tar = in_directory(
        "printf x >a; python3 -c 'import os; os.setxattr(\"a\", \"user.origin\", b\"v\\n\\0w\")'
        tar --format=pax --xattrs -cf - a",
    );
    let seen = read(&Limits::default(), [&tar[..]]).expect("a sound tar");
    let xattr = Xattr { name: b"user.origin"[..].into(), value: b"v\n\0w"[..].into() };
    assert_eq!(seen.entries[0].metadata.xattrs, [xattr]);
}

#[test]
fn python_in_each_format() {
    for format in ["USTAR", "GNU", "PAX"] {
        let tar = python(
            &format!(
                "import sys, tarfile, io
archive = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.{format}_FORMAT)
def add(name, type=tarfile.REGTYPE, content=b'', **fields):
    member = tarfile.TarInfo(name)
    member.type, member.size = type, len(content)
    for field, value in fields.items(): setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content))
add('d' * 60 + '/' + 'f' * 80, content=b'x' * 513)
add('dir', tarfile.DIRTYPE)
add('sym', tarfile.SYMTYPE, linkname='t/')
add('hard', tarfile.LNKTYPE, linkname='./sym')
add('null', tarfile.CHRTYPE, devmajor=1, devminor=3)
add('.wh.gone', content=b'payload')
if '{format}' != 'USTAR':
    add('deep/' * 60 + 'é', mtime=-2, uid=3000000)
    add('long', tarfile.SYMTYPE, linkname='l' * 150)
archive.close()"
            ),
            b"",
        );
        let seen = read(&Limits::default(), tar.chunks(777)).unwrap_or_else(|error| panic!("{format}: {error}"));
        let mut expected = vec![
            format!("file /{}/{} 513", "d".repeat(60), "f".repeat(80)),
            format!("0+{}", "x".repeat(513)),
            "end".into(),
            "dir /dir".into(),
            "sym /sym -> t/".into(),
            "hard /hard -> /sym".into(),
            "char /null 1:3".into(),
            "white /gone".into(),
        ];
        if format != "USTAR" {
            expected.extend([
                format!("file /{}\\xc3\\xa9 0", "deep/".repeat(60)),
                "end".into(),
                format!("sym /long -> {}", "l".repeat(150)),
            ]);
            let Metadata { uid, mtime, .. } = seen.entries[seen.entries.len() - 2].metadata;
            assert_eq!((uid, mtime), (3_000_000, Timestamp { seconds: -2, nanoseconds: 0 }), "{format}");
        }
        assert_eq!(seen.lines, expected, "{format}");
    }
}

#[test]
fn others_read_what_is_written() {
    let deep = format!("{}/{}", "d".repeat(150), "e".repeat(120));
    let metadata = Metadata {
        mode: 0o4750,
        uid: 3_000_000,
        gid: 7,
        mtime: Timestamp { seconds: 1, nanoseconds: 500_000_000 },
        xattrs: vec![Xattr { name: b"user.a"[..].into(), value: b"v"[..].into() }],
    };
    let path = |name: &str| EntryPath::clean(name.as_bytes()).expect("a safe name");
    let mut tar = Vec::new();
    for (name, kind) in [
        (".", EntryKind::Directory),
        (&deep, EntryKind::File { size: 3 }),
        ("link", EntryKind::Symlink { target: b"l".repeat(150).into() }),
        ("hard", EntryKind::HardLink { target: path(&deep) }),
        ("fifo", EntryKind::Fifo),
    ] {
        write::header(&path(name), &kind, &metadata, &mut tar);
        if kind == (EntryKind::File { size: 3 }) {
            tar.extend_from_slice(b"abc");
            write::padding(3, &mut tar);
        }
    }
    write::trailer(&mut tar);

    let listed = String::from_utf8(run("tar", &["--full-time", "--numeric-owner", "-tvf", "-"], &tar)).expect("UTF-8");
    let time = "1970-01-01 00:00:01.5";
    let link = "l".repeat(150);
    let expected = [
        format!("drwsr-x--- 3000000/7 0 {time} ./"),
        format!("-rwsr-x--- 3000000/7 3 {time} {deep}"),
        format!("lrwsr-x--- 3000000/7 0 {time} link -> {link}"),
        format!("hrwsr-x--- 3000000/7 0 {time} hard link to {deep}"),
        format!("prwsr-x--- 3000000/7 0 {time} fifo"),
    ];
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    for (line, expected) in listed.lines().zip(&expected) {
        assert_eq!(words(line), words(expected));
    }
    assert_eq!(listed.lines().count(), expected.len());

    let listed = python(
        "import sys, tarfile
for member in tarfile.open(fileobj=sys.stdin.buffer, mode='r|'):
    print(member.type.decode(), member.name, member.linkname, oct(member.mode), member.uid, member.mtime, member.size, member.pax_headers.get('SCHILY.xattr.user.a'))",
        &tar,
    );
    let expected = format!(
        "5 .  0o4750 3000000 1.5 0 v\n0 {deep}  0o4750 3000000 1.5 3 v\n2 link {link} 0o4750 3000000 1.5 0 v\n1 hard {deep} 0o4750 3000000 1.5 0 v\n6 fifo  0o4750 3000000 1.5 0 v\n"
    );
    assert_eq!(String::from_utf8(listed).expect("UTF-8"), expected);
}
