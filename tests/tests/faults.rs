//! Faults of the system, of the network and of other processes, at every point of a pull; after each,
//! the promises hold that `faults/promises.rs` lists.
//!
//! By default, one of eleven system-call points is tried. All of them, or one that was named in a
//! failure:
//!
//! ```sh
//! FAULTS=all tests/run faults
//! FAULTS=directory/rename/3/EIO cargo test -p oci-fetcher-tests --test faults system -- --nocapture
//! ```
#![cfg(unix)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/dropped.rs"]
mod dropped;
#[path = "faults/network.rs"]
mod network;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/promises.rs"]
mod promises;
#[path = "faults/puller.rs"]
mod puller;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/scarcity.rs"]
mod scarcity;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/statuses.rs"]
mod statuses;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/system.rs"]
mod system;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/together.rs"]
mod together;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "faults/tracer.rs"]
mod tracer;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn each_system_call_can_fail_or_be_the_last() {
    system::run();
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[expect(clippy::print_stdout, reason = "what is left out is said")]
#[test]
fn each_system_call_can_fail_or_be_the_last() {
    println!("left out: the registers of this processor are not known to the tracer");
}

#[test]
fn connections_break_and_stall_at_each_byte() {
    if !puller::is_entered("connections_break_and_stall_at_each_byte") {
        return;
    }
    network::break_everywhere();
}

#[test]
fn bytes_are_wrong_missing_or_too_many_anywhere() {
    if !puller::is_entered("bytes_are_wrong_missing_or_too_many_anywhere") {
        return;
    }
    network::lie_everywhere();
}

#[test]
fn a_pull_can_be_dropped_at_each_await() {
    dropped::run();
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn several_processes_share_a_cache_and_a_destination() {
    together::run();
}

#[test]
fn registries_refuse_delay_and_expire() {
    statuses::answers();
}

#[test]
fn tls_fails_or_ends_without_a_word() {
    statuses::tls();
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn space_sizes_and_descriptors_run_out() {
    scarcity::run();
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn disks_of_any_size_fill_up() {
    scarcity::full_disks();
}
