//! The core and its file system in memory, fed in pieces of several sizes.

use oci_fetcher_core::entry::NamePolicy;
use oci_fetcher_core::error::Explain;
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Step};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::listing::Listing;
use oci_fetcher_core::memory::MemoryFs;
use oci_fetcher_core::report::What as Left;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacked, Unpacker};
use oci_fetcher_tests::image::{Layer, Types};
use oci_fetcher_tests::in_memory;

use super::{Answer, Skipped};
use crate::archives::row::Row;

/// Unpacks layers that come in pieces of this size.
pub(crate) fn unpack(row: &Row, piece: usize) -> Answer {
    let limits = limits_of(&row.limits);
    let names = match row.names {
        None => NamePolicy::Any,
        Some("report") => NamePolicy::Report,
        Some(_) => NamePolicy::Refuse,
    };
    match merge(&row.layers, &limits, names, piece) {
        Ok((unpacked, warnings)) => told(&unpacked, warnings),
        Err(answer) => answer,
    }
}

/// Returns the defaults, with some fields set.
pub(crate) fn limits_of(given: &[(&str, u64)]) -> Limits {
    let mut limits = Limits::default();
    for (field, value) in given {
        let small = || u32::try_from(*value).expect("the field has 32 bits");
        match *field {
            "layer_bytes" => limits.layer_bytes = *value,
            "output_bytes" => limits.output_bytes = *value,
            "entries" => limits.entries = *value,
            "tree_bytes" => limits.tree_bytes = *value,
            "zstd_window" => limits.zstd_window = *value,
            "ratio" => limits.ratio = small(),
            "path_depth" => limits.path_depth = small(),
            "path_bytes" => limits.path_bytes = small(),
            "xattr_bytes" => limits.xattr_bytes = small(),
            "extension_bytes" => limits.extension_bytes = small(),
            _ => panic!("{field}: no case has set it before"),
        }
    }
    limits
}

type Merged = (Unpacked<MemoryFs>, Vec<String>);

fn merge(layers: &[Layer], limits: &Limits, names: NamePolicy, piece: usize) -> Result<Merged, Answer> {
    let mut unpacker =
        Unpacker::new(MemoryFs::default(), Options { limits: limits.clone(), names, ..Options::default() });
    let mut warnings = Vec::new();
    for layer in layers {
        let packed = layer.pack(Types::Oci);
        let blob = layer.blob();
        let spec = LayerSpec {
            digest: packed.digest,
            size: blob.len() as u64,
            diff_id: packed.diff_id,
            media_type: packed.descriptor["mediaType"].as_str().unwrap_or_default().to_owned(),
            limits: limits.clone(),
        };
        let mut decoder = LayerDecoder::new(spec).map_err(|error| failed(&error))?;
        unpacker.begin_layer();
        for mut input in blob.chunks(piece).chain([&[][..]]) {
            while let Step::Op(op) = decoder.step(&mut input).map_err(|error| failed(&error))? {
                unpacker.op(op).map_err(|error| failed(&error))?;
            }
        }
        warnings.extend(decoder.finish().map_err(|error| failed(&error))?.warnings);
    }
    match unpacker.finish().map_err(|error| failed(&error))? {
        Outcome::Complete(unpacked) => Ok((unpacked, warnings)),
        Outcome::NeedsAnotherPass { .. } => unreachable!("everything is selected"),
    }
}

fn told(unpacked: &Unpacked<MemoryFs>, warnings: Vec<String>) -> Answer {
    let mut listing = Listing::default();
    let lines = in_memory::list(&unpacked.fs, &mut listing);
    let skipped = unpacked.report.skipped.iter().map(|skipped| {
        let path = String::from_utf8_lossy(skipped.path.as_bytes());
        let name = if let Left::Xattr { name } = &skipped.what { String::from_utf8_lossy(name) } else { "".into() };
        let item = format!("{path} {} {name}", skipped.what.name());
        Skipped { item: item.trim_end().to_owned(), reason: skipped.reason.name().to_owned() }
    });
    Answer::Unpacked { lines, skipped: skipped.collect(), warnings }
}

fn failed(error: &dyn Explain) -> Answer {
    let exit = error.class().exit_code().into();
    Answer::Failed { exit, code: error.code().to_owned(), message: error.to_string() }
}
