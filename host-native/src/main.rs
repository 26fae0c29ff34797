//! The command line, `oci-fetcher`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
