//! A real Debian image of some hundred megabytes, built once a machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::content::Content;
use crate::image::{Image, PackedLayer};
use crate::process::{required, run};

/// The media type of the layers as they are built.
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of their [twins](recompress).
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

const LAYERS: u32 = 4;

/// Builds the layers in the folder `debian-image` of a build's target directory, or finds them there.
///
/// # Panics
///
/// Panics if they cannot be built: root, the Debian mirror, debootstrap and pigz are needed.
#[must_use]
pub fn layers(target: &Path) -> PathBuf {
    let folder = target.join("debian-image");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/debian-image");
    run(&required("bash", "bash"), &[OsStr::new(script), folder.as_os_str()]);
    folder
}

/// Makes a twin of each layer in zstd, with windows of 8 MiB, if there is none yet.
pub fn recompress(folder: &Path) {
    let (bash, zstd) = (required("bash", "bash"), required("zstd", "zstd"));
    for number in 1..=LAYERS {
        let (from, to) = (folder.join(format!("{number}.tar.gz")), folder.join(format!("{number}.tar.zst")));
        if !to.exists() {
            let pipe = "pigz -dc \"$1\" | \"$0\" -q -3 -T0 --zstd=wlog=23 -o \"$2.part\" && mv \"$2.part\" \"$2\"";
            let files = [zstd.as_os_str(), from.as_os_str(), to.as_os_str()];
            run(&bash, &[&["-c", pipe].map(OsStr::new)[..], &files].concat());
        }
    }
}

/// Returns the image `debian:1`, of the layers whose files have this ending.
#[must_use]
pub fn image(folder: &Path, ending: &str, media_type: &str) -> Content {
    let layer = |number: u32| {
        let diff_id = std::fs::read_to_string(folder.join(format!("{number}.diff_id"))).expect("it has been built");
        let diff_id = format!("sha256:{}", diff_id.trim()).parse().expect("a digest");
        PackedLayer::from_file(&folder.join(format!("{number}.tar.{ending}")), media_type, diff_id)
    };
    let image =
        (1..=LAYERS).fold(Image::new().platform("linux/amd64"), |image, number| image.packed_layer(layer(number)));
    let mut content = Content::new();
    content.push("debian", "1", image);
    content
}
