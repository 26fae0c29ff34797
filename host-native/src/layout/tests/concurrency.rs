//! Several threads and processes at one layout, of which some fail or are killed.

use std::process::{Child, Command};

use super::*;

const WRITERS: usize = 8;

fn check_that_none_was_lost(path: &Path) {
    let index = index(path);
    assert_eq!(index.manifests.len(), WRITERS);
    for number in 0..WRITERS {
        let expected = Image::new(&format!("image{number}")).manifest.descriptor.digest;
        let found = find(&index, Some(&format!("image:{number}"))).expect("named");
        assert_eq!(found.digest, expected);
    }
    assert_eq!(names(path), ["blobs", "index.json", "oci-layout"].map(String::from).into());
    check(path);
}

fn export_numbered(path: &Path, number: usize) {
    Image::new(&format!("image{number}")).export(path, &format!("image:{number}")).expect("exported");
}

#[test]
fn eight_threads_lose_no_image() {
    let folder = folder();
    let path = folder.path().join("layout");
    std::thread::scope(|scope| {
        for number in 0..WRITERS {
            let path = &path;
            scope.spawn(move || export_numbered(path, number));
        }
    });
    check_that_none_was_lost(&path);
}

const CHILD: &str = "OCI_FETCHER_TEST_EXPORT";

/// Starts this test program again, to export one numbered image.
fn spawn(path: &Path, number: usize) -> Child {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(["--exact", "layout::tests::concurrency::exports_in_a_process_of_its_own", "--ignored", "--quiet"]);
    command.env(CHILD, format!("{number}:{}", path.display())).stdout(std::process::Stdio::null());
    command.spawn().expect("it runs")
}

#[test]
#[ignore = "started by the tests that need processes"]
fn exports_in_a_process_of_its_own() {
    if let Ok(task) = std::env::var(CHILD) {
        let (number, path) = task.split_once(':').expect("a number and a path");
        export_numbered(Path::new(path), number.parse().expect("a number"));
    }
}

#[test]
fn eight_processes_lose_no_image() {
    let folder = folder();
    let path = folder.path().join("layout");
    let children: Vec<Child> = (0..WRITERS).map(|number| spawn(&path, number)).collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    check_that_none_was_lost(&path);
}

#[test]
fn killed_at_any_time_the_same_export_succeeds_again() {
    let folder = folder();
    let mut killed = 0;
    for delay in 0..40 {
        let path = folder.path().join(delay.to_string());
        let mut child = spawn(&path, 0);
        std::thread::sleep(Duration::from_micros(delay * 700));
        let _ = child.kill();
        killed += u32::from(!child.wait().expect("it ends").success());
        if path.exists() {
            check(&path);
        }
        export_numbered(&path, 0);
        check(&path);
        assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"].map(String::from).into());
    }
    assert!(killed > 0, "no child was killed in time");
}

#[test]
fn writers_that_fail_do_not_harm_those_that_succeed() {
    let folder = folder();
    for round in 0..30 {
        let path = folder.path().join(round.to_string());
        std::thread::scope(|scope| {
            for number in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let layout = LayoutWriter::open(path, &Limits::default());
                    drop(layout.map(|layout| Image::new(&format!("image{number}")).put(&layout)));
                });
                // Whoever finds that blobs were removed under its feet tries again.
                scope.spawn(move || {
                    let name = format!("image:{number}");
                    let export = || Image::new(&format!("image{number}")).export(path, &name);
                    let changed = |error: &LayoutError| error.code() == "layout-changed";
                    let mut result = export();
                    while result.as_ref().is_err_and(changed) {
                        result = export();
                    }
                    result.expect("exported");
                });
            }
        });
        assert_eq!(index(&path).manifests.len(), 4);
        assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"].map(String::from).into());
        check(&path);
    }
}
