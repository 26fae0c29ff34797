//! Limits, the order of operations, and hosts that place files themselves.

use super::*;
use crate::entry::Xattr;

fn within(limits: Limits) -> Options {
    Options { limits, ..Options::default() }
}

#[test]
fn entries_depth_and_bytes_end_in_typed_errors() {
    let deep = layers(&[&["l a b/c/d/e", "f a/f/g"]]);
    let listed = list(&deep, &within(Limits { path_depth: 5, ..Limits::default() }));
    assert_eq!(listed, ["!limit-path-depth"], "also behind symlinks");
    assert_eq!(list(&deep, &within(Limits { path_depth: 6, ..Limits::default() })).len(), 7);

    let many = layers(&[&["d a", "d a", "w b"], &["o a"]]);
    assert_eq!(list(&many, &within(Limits { entries: 3, ..Limits::default() })), ["!limit-entries"]);
    assert_eq!(list(&many, &within(Limits { entries: 4, ..Limits::default() })), ["d a"]);

    let large = layers(&[&["f a 12345"], &["f a 12345"]]);
    assert_eq!(list(&large, &within(Limits { output_bytes: 9, ..Limits::default() })), ["!limit-output-bytes"]);
    assert_eq!(list(&large, &within(Limits { output_bytes: 10, ..Limits::default() })), ["f a 12345"]);
}

/// One entry implies a thousand directories: entries alone do not bound the tree.
#[test]
fn implied_directories_count_as_memory_while_they_stand() {
    let thousand = |name: &str| format!("d {}", format!("{name}/").repeat(1_000));
    let options = within(Limits { tree_bytes: 600_000, ..Limits::default() });
    let mut layers = vec![vec![thousand("x")]];
    for _ in 0..3 {
        layers.push(vec!["f x".to_owned()]);
        layers.push(vec!["w x".to_owned(), thousand("x")]);
    }
    assert_eq!(list(&layers, &options).len(), 1_000, "what is removed gives its room back");
    layers.push(vec![thousand("y")]);
    assert!(list(&layers, &options) == ["!limit-tree-bytes"], "two thousand are too many");
}

#[test]
fn attributes_and_reports_count_as_memory() {
    let options = within(Limits { tree_bytes: 10_000, ..Limits::default() });
    let mut unpacker = Unpacker::new(MemoryFs::default(), options.clone());
    let (mut directory, _) = entry("d a");
    directory.metadata.xattrs = vec![Xattr { name: (*b"user.a").into(), value: vec![0; 8_000].into() }];
    for _ in 0..3 {
        unpacker.op(Op::Entry(directory.clone())).expect("replaced attributes are forgotten");
    }
    directory.path = clean("b");
    let error = unpacker.op(Op::Entry(directory)).expect_err("two are too many");
    assert!(matches!(error, UnpackError::TreeBytes { limit: 10_000 }), "{error}");
    assert!(error.advice().is_some_and(|advice| advice.contains("--max-tree-bytes")));

    let mut unpacker = Unpacker::new(MemoryFs::default(), options);
    let skipped = || Skipped { path: clean("a"), what: What::Device, reason: Reason::Policy };
    let taken = (0..1_000).take_while(|_| unpacker.op(Op::Skipped(skipped())).is_ok()).count();
    assert!((50..500).contains(&taken), "{taken} items in 10,000 bytes");
}

#[test]
fn operations_out_of_order_are_the_hosts_fault() {
    let file = || Op::Entry(entry("f a 123").0);
    let data = |bytes| Op::Data { offset: 0, bytes };
    let cases: [(&str, Vec<Op<'_>>); 6] = [
        ("data alone", vec![data(b"1")]),
        ("an end alone", vec![Op::FileEnd]),
        ("an entry within a file", vec![file(), file()]),
        ("data after the end", vec![file(), Op::FileEnd, data(b"1")]),
        ("data beyond the size", vec![file(), data(b"1234")]),
        ("data far beyond the size", vec![file(), Op::Data { offset: u64::MAX, bytes: b"1" }]),
    ];
    for (name, ops) in cases {
        let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
        unpacker.begin_layer();
        let result = ops.into_iter().try_for_each(|op| unpacker.op(op));
        assert_eq!(result.expect_err(name).class(), Class::Internal, "{name}");
    }
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    unpacker.op(file()).expect("a file");
    assert_eq!(unpacker.finish().expect_err("a file is open").code(), "operations-out-of-order");
}

#[test]
fn files_can_be_put_in_place_whole() {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    unpacker.begin_layer();
    apply(&mut unpacker, "d a").expect("a directory");
    apply(&mut unpacker, "f a/b/c 1").expect("a file");
    unpacker.begin_layer();
    let (file, content) = entry("f a xyz");
    let put = |fs: &mut MemoryFs, at: &Place<'_>| {
        let mut open = fs.create_file(at, 3)?;
        fs.write(&mut open, 0, content)?;
        fs.finish_file(open, at, &file.metadata)
    };
    unpacker.place_file(&file, put).expect("put in place");
    let error = unpacker.place_file(&entry("d a").0, |_, _| Ok(())).expect_err("not a file");
    assert_eq!(error.class(), Class::Internal);
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    assert_eq!(listing(&unpacked.fs), ["f a xyz"]);
    assert_eq!((unpacked.entries, unpacked.bytes), (3, 4));
}
