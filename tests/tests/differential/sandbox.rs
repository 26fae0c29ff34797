//! A mount namespace that goes with the process: an empty file system to work in, and nothing else
//! that could be written to, whatever another program makes of an archive.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use oci_fetcher_tests::process::required;

/// Becomes the same program with the same arguments inside such a namespace; returns only there.
///
/// # Panics
/// Panics without the rights to make one: these tests need root, like what they compare.
pub(crate) fn enter() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let program = std::env::current_exe().expect("the system tells where the test is");
    let mut command = Command::new(required("unshare", "util-linux"));
    command.args(["--mount", "--propagation", "private", "--", "sh", "-euc", SCRIPT, "sh", WORK]);
    command.arg(program).args(std::env::args_os().skip(1));
    // What is created has the modes that archives ask for, and implied directories 0755.
    command.env(INSIDE, "yes").env("TMPDIR", WORK).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    panic!("unshare: {}", command.exec());
}

const INSIDE: &str = "OCI_FETCHER_DIFFERENTIAL_INSIDE";
/// A folder that every system has, and that nothing else here needs.
const WORK: &str = "/media";
/// Devices and the kernel's own file systems stay as they are.
const SCRIPT: &str = r#"
    umask 022
    work=$1
    shift
    mount -t tmpfs -o mode=0700,size=4g differential "$work"
    cut -d ' ' -f 2 /proc/mounts | while read -r point; do
        case $point in
            "$work" | /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
            *) mount -o remount,bind,ro "$point" || [ "$point" != / ] ;;
        esac
    done
    if (: >/differential-probe) 2>/dev/null; then
        rm /differential-probe
        echo 'the file system is still writable' >&2
        exit 1
    fi
    cd "$work"
    exec "$@"
"#;
