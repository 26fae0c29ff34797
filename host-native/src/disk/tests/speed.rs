//! What a small file costs; run by name, in release, to compare.

use std::time::Instant;

use oci_fetcher_core::entry::EntryKind;
use oci_fetcher_core::tree::Applied;

use super::image::{Image, entry, own};

#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement")]
fn thirty_thousand_small_files() {
    const FILES: u32 = 30_000;
    let mut image = Image::new();
    let content = [7; 4_096];
    let entries: Vec<_> = (0..FILES)
        .map(|file| entry(&format!("usr/lib/d{}/f{file}", file / 20), EntryKind::File { size: 4_096 }, &own(0o644)))
        .collect();
    let start = Instant::now();
    let mut tree_only = std::time::Duration::ZERO;
    for entry in &entries {
        let applying = Instant::now();
        let Ok(Applied::File(node)) = image.tree.apply(entry, &mut image.fs) else { panic!("no file") };
        tree_only += applying.elapsed();
        let place = image.tree.place(node);
        use oci_fetcher_core::fs::FileSystem as _;
        let mut file = image.fs.create_file(&place, 4_096).expect("created");
        image.fs.write(&mut file, 0, &content).expect("written");
        image.fs.finish_file(file, &place, &entry.metadata).expect("finished");
    }
    let files = start.elapsed();
    let (parent, _) = image.finish();
    let finished = start.elapsed();
    crate::disk::remove_tree(&parent.path().join("root")).expect("removed");
    let removed = start.elapsed() - finished;
    let each = |time: std::time::Duration| time.as_nanos() as f64 / f64::from(FILES) / 1_000.0;
    eprintln!(
        "{:.1} us a file, of which tree and directories {:.1}; finish {:.1}, removal {:.1} us a file",
        each(files),
        each(tree_only),
        each(finished - files),
        each(removed)
    );
}
