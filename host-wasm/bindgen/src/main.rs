//! Writes the JavaScript glue and the types of a module that was built with `wasm-bindgen`.
//!
//! A program of this workspace instead of the `wasm-bindgen` command, so that the lock file holds
//! crate and tool to one version.

use std::env;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (module, folder, name, keep_names) = match arguments.as_slice() {
        [module, folder, name] => (*module, *folder, *name, false),
        [module, folder, name, "--names"] => (*module, *folder, *name, true),
        _ => return fail("usage: oci-fetcher-bindgen MODULE.wasm FOLDER NAME [--names]"),
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(module)
        .out_name(name)
        // How the module is loaded differs by runtime: the caller does it, and bundlers find no
        // second address of it.
        .omit_default_module_path(true)
        .typescript(true)
        // A trap leaves an instance in an unknown state; this starts a fresh one.
        .reset_state_function(true)
        .remove_name_section(!keep_names)
        .remove_producers_section(true)
        .typescript(true);
    match bindgen.web(true).and_then(|bindgen| bindgen.generate(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:?}")),
    }
}

#[expect(clippy::print_stderr, reason = "a build tool says what went wrong")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}
