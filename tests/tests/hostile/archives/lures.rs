//! What nobody may touch, whatever the case: programs that a decompressor could be taken for, and places
//! that absolute links of the cases name.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use oci_fetcher_tests::place::Place;

/// Programs that leave a mark, first on PATH.
#[derive(Debug)]
pub(crate) struct Lures {
    folder: PathBuf,
    mark: PathBuf,
}

/// What others have called (CVE-2014-9357).
const PROGRAMS: [&str; 18] = [
    "gzip", "gunzip", "zcat", "pigz", "unpigz", "igzip", "zstd", "unzstd", "zstdcat", "pzstd", "xz", "unxz", "xzcat",
    "bzip2", "bunzip2", "tar", "bsdtar", "gtar",
];

/// Where the absolute links of cases 4 and 7 lead those who follow them.
const ESCAPED: [&str; 3] = ["/victim", "/tmp/oci-fetcher/escaped", "/tmp/secret"];

impl Lures {
    /// Makes the programs.
    pub(crate) fn lay(place: &Place) -> Self {
        let (folder, mark) = (place.path("bin"), place.path("mark"));
        for program in PROGRAMS {
            let path =
                place.write(&format!("bin/{program}"), format!("#!/bin/sh\necho $0 >>{}\nexit 1\n", mark.display()));
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        fs::write(&mark, "").expect("writable");
        fs::set_permissions(&mark, fs::Permissions::from_mode(0o666)).expect("it is ours");
        Self { folder, mark }
    }

    /// Returns a PATH with the programs at its front.
    pub(crate) fn path(&self) -> OsString {
        let others = std::env::var_os("PATH").unwrap_or_default();
        let all = [self.folder.clone()].into_iter().chain(std::env::split_paths(&others));
        std::env::join_paths(all).expect("it was one before")
    }

    /// Says what was touched.
    pub(crate) fn taken(&self) -> Option<String> {
        let called = fs::read_to_string(&self.mark).unwrap_or_default();
        if !called.is_empty() {
            return Some(format!("programs were called: {called}"));
        }
        ESCAPED.iter().find(|path| Path::new(path).symlink_metadata().is_ok()).map(|path| format!("{path} was made"))
    }
}
