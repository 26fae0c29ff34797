//! The crate `oci-client`, asked case after case: a line of JSON in, a line of JSON out.
//!
//! It runs in a process of its own, which the suite's own program turns into when it is told so: what it
//! leaks or stands still on is then seen as of any other client.

use std::io::{BufRead, Write};

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::{Value, json};

/// What tells the program to be the client, before the file of an authority.
pub(crate) const ARGUMENT: &str = "--oci-client";

/// Answers until its input ends, if the program was told to.
pub(crate) fn serve() -> bool {
    let mut arguments = std::env::args().skip_while(|argument| argument != ARGUMENT).skip(1);
    let Some(path) = arguments.next() else { return false };
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let authority = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system has room for an event loop");
    let mut output = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let question: Value = serde_json::from_str(&line.expect("readable")).expect("a line of JSON");
        let late = std::time::Duration::from_secs(10);
        let asked = runtime.block_on(async { tokio::time::timeout(late, ask(&question, &authority)).await });
        let answer = match asked {
            Ok(Ok(shown)) => json!({ "exit": 0, "shown": shown }),
            Ok(Err(shown)) => json!({ "exit": 1, "code": "error", "shown": shown }),
            Err(_) => json!({ "exit": 1, "code": "late", "shown": "" }),
        };
        writeln!(output, "{answer}").and_then(|()| output.flush()).expect("writable");
    }
    true
}

async fn ask(question: &Value, authority: &[u8]) -> Result<String, String> {
    let text = |name: &str| question[name].as_str().unwrap_or_default().to_owned();
    let reference: Reference = text("reference").parse().map_err(|error| format!("{error}"))?;
    let is_tls = question["tls"].as_bool().unwrap_or_default();
    let config = ClientConfig {
        protocol: if is_tls { ClientProtocol::Https } else { ClientProtocol::Http },
        extra_root_certificates: vec![Certificate { encoding: CertificateEncoding::Pem, data: authority.to_vec() }],
        connect_timeout: Some(std::time::Duration::from_secs(3)),
        read_timeout: Some(std::time::Duration::from_secs(3)),
        ..ClientConfig::default()
    };
    let client = Client::try_from(config).map_err(|error| error.to_string())?;
    let auth = RegistryAuth::Basic(text("username"), text("password"));
    let told = |error: oci_client::errors::OciDistributionError| error.to_string();
    if text("verb") == "tags" {
        let listed = client.list_tags(&reference, &auth, None, None).await.map_err(told)?;
        return Ok(listed.tags.join("\n"));
    }
    let (manifest, digest) = client.pull_image_manifest(&reference, &auth).await.map_err(told)?;
    for layer in std::iter::once(&manifest.config).chain(&manifest.layers) {
        let mut content = Vec::new();
        client.pull_blob(&reference, layer, &mut content).await.map_err(told)?;
    }
    Ok(digest)
}
