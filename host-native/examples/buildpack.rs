//! Takes from a builder image what a build-pack tool needs: the lifecycle, the environment and the
//! labels.
//!
//! Usage: `cargo run --release --example buildpack -- heroku/builder:22 /tmp/builder`

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;

use oci_fetcher::{Auth, Client, Destination, PullOptions, Source};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let builder: Source = arguments.next().ok_or("which builder image?")?.parse()?;
    let directory = arguments.next().ok_or("into which directory?")?;

    let client = Client::new(Auth::Environment);
    let mut options = PullOptions::default();
    options.paths = vec!["cnb/lifecycle".to_owned()];
    let pulled = client.pull_all(&[builder], Destination::Directory(&directory), &options).await?;

    let config = pulled.images[0].config.as_ref().ok_or("a builder is an image")?;
    println!("{directory}/cnb/lifecycle is complete; run as {}", config.runtime.user);
    for variable in &config.runtime.env {
        println!("env   {}", variable.escape_debug());
    }
    for (name, value) in &config.runtime.labels {
        println!("label {} ({} bytes)", name.escape_debug(), value.len());
    }
    Ok(())
}
