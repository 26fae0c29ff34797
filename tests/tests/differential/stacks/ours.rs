//! Stacks unpacked by the program.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oci_fetcher_tests::compare::Tree;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Types};
use oci_fetcher_tests::process::required;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};

use super::plan::Stack;

/// Writes the stack's image as a layout, named `1`.
pub(crate) fn write_layout(stack: &Stack, to: &Path) {
    content(stack).write_layout("app", "1", to, "1");
}

fn content(stack: &Stack) -> Content {
    let image = stack.layers.iter().fold(Image::new(), |image, layer| image.layer(layer.layer()));
    let mut content = Content::new();
    content.push("app", "1", image);
    content
}

/// Unpacks from a registry that keeps the lowest layer back: all others are there before it.
pub(crate) fn pull_lowest_last(stack: &Stack, folder: &Path) -> Result<Tree, String> {
    let mut options = Options::new();
    if let Some(lowest) = stack.layers.first() {
        let path = format!("/v2/app/blobs/{}", lowest.layer().pack(Types::Oci).digest);
        options = options.rule(Rule::on(Method::Get, &path).then(Action::Delay(BACK)));
    }
    let registry = Registry::start(content(stack), options);
    pull(&format!("{}/app:1", registry.host()), folder, &["--no-cache"])
}

/// Enough for the other layers, which are small.
const BACK: Duration = Duration::from_millis(40);

/// Says the same without what other programs do not read.
pub(crate) fn without_zstd(stack: &Stack) -> Stack {
    let mut stack = stack.clone();
    for layer in &mut stack.layers {
        if matches!(layer.compression, Compression::Zstd | Compression::ZstdFrames(_)) {
            layer.compression = Compression::Gzip;
        }
    }
    stack
}

/// Unpacks a source into a directory, with these options.
pub(crate) fn pull(source: &str, folder: &Path, options: &[&str]) -> Result<Tree, String> {
    let to = folder.join("out");
    let mut command = program::command(folder);
    command.args(["pull", "-q", source]).arg(&to).args(options);
    succeed(&mut command)?;
    let tree = Tree::read(&to);
    remove(&to);
    Ok(tree)
}

/// Flattens a layout, and lets GNU tar unpack that.
pub(crate) fn flatten(layout: &Path, folder: &Path) -> Result<Tree, String> {
    let (tar, to) = (folder.join("flat.tar"), folder.join("flat"));
    let mut command = program::command(folder);
    command.args(["pull", "-q", &source(layout), "--tar"]).arg(&tar);
    succeed(&mut command)?;
    fs::create_dir(&to).expect("there is room for a folder");
    let mut command = Command::new(required("tar", "tar"));
    command.args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "--warning=no-timestamp", "-xpf"]);
    succeed(command.arg(&tar).arg("-C").arg(&to))?;
    let tree = Tree::read(&to);
    remove(&to);
    fs::remove_file(&tar).expect("it was just written");
    Ok(tree)
}

/// Names a layout as a source.
pub(crate) fn source(layout: &Path) -> String {
    format!("oci:{}:1", layout.display())
}

/// Runs a command to its end; what it said is the error.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if output.status.success() {
        return Ok(());
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(format!("{program} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// Removes a directory with all that is in it.
pub(crate) fn remove(directory: &Path) {
    fs::remove_dir_all(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}
