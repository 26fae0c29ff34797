//! Pulls an image from a registry on loopback into a directory and into an OCI layout.
//!
//! The registry runs in this process: it wants a token for every request, and holds an image of
//! four layers, gzip and zstd, one of which deletes a file of another.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::path::Path;

use oci_fetcher::{Auth, Client, Destination, Reference, Secret};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::registry::{Issuer, Options, Registry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = start_registry();
    let folder = std::env::temp_dir().join(format!("oci-fetcher-quickstart-{}", std::process::id()));
    let (directory, layout) = (folder.join("my-image"), folder.join("my-layout"));
    let auth_config = Auth::Basic { username: "ann".to_owned(), password: Secret::new("open sesame") };
    let name = format!("{}/demo/app:1.0", registry.host());

    // The lines of the documentation; only the names differ.
    let client = Client::new(auth_config);
    let image_ref: Reference = name.parse()?;
    let pulled = client.pull(&image_ref, Destination::Directory(&directory)).await?;
    client.pull(&image_ref, Destination::OciLayout(&layout)).await?;

    let image = &pulled.images[0];
    let config = image.config.as_ref().ok_or("an image has a config")?;
    println!("pulled     {image_ref}");
    println!("digest     {}", image.manifest.digest);
    for (layer, diff_id) in image.layers.iter().zip(&config.diff_ids) {
        println!("layer      {}  {} bytes, {}", layer.digest, layer.size, layer.media_type);
        println!("  diff_id  {diff_id}");
    }
    println!("command    {:?}", config.runtime.cmd);
    println!("labels     {:?}", config.runtime.labels);
    println!("\n{}", directory.display());
    print_tree(&directory, "  ")?;
    println!("\n{}", layout.display());
    print_tree(&layout, "  ")?;
    println!("\n{} requests, {} of them for tokens", registry.requests().len(), registry.token_requests());

    oci_fetcher::remove_tree(&folder)?;
    println!("\nA real one:\n  cargo run --release -p oci-fetcher -- pull alpine /tmp/alpine");
    Ok(())
}

fn start_registry() -> Registry {
    let base = Layer::new()
        .directory("etc", 0o755)
        .file("etc/hostname", b"demo\n")
        .file("etc/motd", b"This file goes again.\n")
        .directory("usr/bin", 0o755);
    let program = Layer::new().file("usr/bin/app", b"#!/bin/sh\necho hello\n").mode(0o755).symlink("bin", "usr/bin");
    let links = Layer::new().hard_link("usr/bin/application", "usr/bin/app").file("srv/data", [0x42; 100_000]);
    let deletion = Layer::new().whiteout("etc/motd").file("etc/os-release", b"NAME=demo\n");
    let image = Image::new()
        .platform(if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" })
        .layer(base.compress(Compression::Gzip))
        .layer(program.compress(Compression::Zstd))
        .layer(links.compress(Compression::Gzip))
        .layer(deletion.compress(Compression::Zstd))
        .command("/bin/app")
        .label("org.opencontainers.image.title", "demo");
    let issuer = Issuer::new().account("ann", "open sesame", "demo/*");
    let mut content = Content::new();
    content.push("demo/app", "1.0", image);
    Registry::start(content, Options::new().tokens(issuer))
}

fn print_tree(directory: &Path, indent: &str) -> std::io::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        let name = name.display();
        if kind.is_dir() {
            println!("{indent}{name}/");
            print_tree(&entry.path(), &format!("{indent}  "))?;
        } else if kind.is_symlink() {
            println!("{indent}{name} -> {}", std::fs::read_link(entry.path())?.display());
        } else {
            println!("{indent}{name}  {} bytes", entry.metadata()?.len());
        }
    }
    Ok(())
}
