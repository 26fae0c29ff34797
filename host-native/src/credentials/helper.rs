//! Credential helpers as processes (the protocol is the core's).
//!
//! A helper gets the registry's address and nothing else that a registry could choose. Its output is
//! bounded, its time too, and nothing of what it writes is shown: standard error goes where a secret
//! would go if a helper were careless.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use oci_fetcher_core::credentials::{HelperAnswer, HelperRequest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::{Environment, HelperError};

/// Asks a helper; the process is killed where the answer is not awaited to its end.
pub(super) async fn ask(
    request: &HelperRequest,
    environment: &Environment,
    time_limit: Duration,
) -> Result<HelperAnswer, HelperError> {
    let program = look_up(&request.helper().program(), environment).ok_or(HelperError::NotOnPath)?;
    let child = Command::new(program)
        .arg("get")
        .env_clear()
        .envs(&environment.variables)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(HelperError::Start)?;
    let said = tokio::time::timeout(time_limit, converse(child, request.address()))
        .await
        .map_err(|_elapsed| HelperError::TimedOut { limit: time_limit })??;
    if said.status.success() {
        return Ok(HelperAnswer::parse(&said.output)?);
    }
    if HelperAnswer::says_not_found(&said.output) || HelperAnswer::says_not_found(&said.errors) {
        return Ok(HelperAnswer::NotFound);
    }
    Err(HelperError::Failed { status: said.status })
}

/// Finds a program in the absolute folders of `PATH`; neither an empty nor a relative entry makes the
/// working directory one.
fn look_up(program: &str, environment: &Environment) -> Option<PathBuf> {
    let path = environment.variable("PATH")?;
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .flat_map(|folder| EXTENSIONS.iter().map(move |extension| folder.join(format!("{program}{extension}"))))
        .find(|candidate| is_executable(candidate))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(not(windows))]
const EXTENSIONS: &[&str] = &[""];
/// Cloud vendors install helpers as batch files; the one argument that they get is constant.
#[cfg(windows)]
const EXTENSIONS: &[&str] = &[".exe", ".cmd", ".bat"];

/// What a helper wrote until it ended.
struct Said {
    status: ExitStatus,
    output: Vec<u8>,
    errors: Vec<u8>,
}

async fn converse(mut child: Child, address: &str) -> Result<Said, HelperError> {
    let stdin = child.stdin.take().expect("standard input is piped");
    let stdout = child.stdout.take().expect("standard output is piped");
    let stderr = child.stderr.take().expect("standard error is piped");
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = {
        let mut talk = pin!(async {
            tokio::try_join!(write(stdin, address), read(stdout, &mut output), drain(stderr, &mut errors)).map(drop)
        });
        tokio::select! {
            talked = &mut talk => {
                talked?;
                child.wait().await.map_err(HelperError::Pipe)?
            }
            status = child.wait() => {
                // A daemon that the helper has left behind may hold the pipes open for good, while
                // all that the helper itself wrote is in them by now.
                if let Ok(talked) = tokio::time::timeout(AFTER_EXIT, &mut talk).await {
                    talked?;
                }
                status.map_err(HelperError::Pipe)?
            }
        }
    };
    Ok(Said { status, output, errors })
}

async fn write(mut stdin: tokio::process::ChildStdin, address: &str) -> Result<(), HelperError> {
    match stdin.write_all(address.as_bytes()).await {
        // Some helpers serve one registry, and never read which.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(HelperError::Pipe(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn read(stdout: impl AsyncRead + Unpin, output: &mut Vec<u8>) -> Result<(), HelperError> {
    let limit = HELPER_OUTPUT_BYTES as u64 + 1;
    stdout.take(limit).read_to_end(output).await.map_err(HelperError::Pipe)?;
    if output.len() > HELPER_OUTPUT_BYTES {
        return Err(HelperError::TooLong { limit: HELPER_OUTPUT_BYTES });
    }
    Ok(())
}

/// Reads standard error to its end, so that no helper blocks on it, and keeps what could be a message.
async fn drain(mut stderr: impl AsyncRead + Unpin, errors: &mut Vec<u8>) -> Result<(), HelperError> {
    (&mut stderr).take(HELPER_OUTPUT_BYTES as u64).read_to_end(errors).await.map_err(HelperError::Pipe)?;
    tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.map_err(HelperError::Pipe)?;
    Ok(())
}

/// Most bytes of a helper's answer: tokens are some kilobytes.
pub const HELPER_OUTPUT_BYTES: usize = 64 << 10;
/// How long the pipes may stay open after the helper's end.
const AFTER_EXIT: Duration = Duration::from_millis(500);
