//! Writes seeds, past failures and dictionaries for a fuzzer: `corpus DIRECTORY`.
//!
//! Each target gets a folder `TARGET` of inputs and a file `TARGET.dict`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::corpus::{dictionary, regressions, seeds};
use oci_fetcher_tests::fuzz::{TARGETS, Target};

fn main() -> Result<(), Box<dyn Error>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("the directory to write to is missing")?.into();
    for Target { name: target, .. } in TARGETS {
        let folder = directory.join(target);
        fs::create_dir_all(&folder)?;
        for input in seeds(target).iter().map(Vec::as_slice).chain(regressions(target).iter().copied()) {
            // As libFuzzer names what it finds: by content.
            fs::write(folder.join(Digest::of(Algorithm::Sha256, input).encoded()), input)?;
        }
        let words = dictionary(target).iter().map(|word| {
            let escaped: String = word.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("\"{escaped}\"\n")
        });
        fs::write(directory.join(format!("{target}.dict")), words.collect::<String>())?;
    }
    Ok(())
}
