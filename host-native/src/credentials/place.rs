//! The places that may hold credentials, in the order of the search, and what stands there.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use oci_fetcher_core::credentials::{AUTH_FILE_BYTES, AuthFileKind, HelperName};

use super::Environment;

/// Where a credential comes from, or was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An environment variable that holds a whole file's content.
    Variable(&'static str),
    /// A file.
    File(PathBuf),
    /// A credential helper.
    Helper {
        /// The helper.
        name: HelperName,
        /// What names it.
        named_by: Box<Self>,
    },
}

/// Shows it for a message, for example `/home/x/.docker/config.json` or
/// `docker-credential-pass (named by /home/x/.docker/config.json)`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "${name}"),
            Self::File(path) => f.write_str(&printable(&path.to_string_lossy())),
            Self::Helper { name, named_by } => write!(f, "{} (named by {named_by})", name.program()),
        }
    }
}

/// Replaces what would steer a terminal or reorder its text; backslashes of Windows stay.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '\'' | '"' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) kind: AuthFileKind,
    pub(super) necessity: Necessity,
}

/// What it means when nothing is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Necessity {
    /// The search goes on.
    Optional,
    /// The caller named the file, so that it must be there.
    Required,
}

/// The places of the search, the first first; a file that the caller named stands alone.
pub(super) fn places(environment: &Environment, auth_file: Option<&Path>) -> Vec<Place> {
    if let Some(path) = auth_file {
        let path = path.to_owned();
        return vec![Place { kind: kind_of(&path), origin: Origin::File(path), necessity: Necessity::Required }];
    }
    let home = environment.home();
    let containers = |folder: &Path| folder.join("containers").join("auth.json");
    let mut files: Vec<(PathBuf, AuthFileKind)> = Vec::new();
    if let Some(path) = environment.variable("REGISTRY_AUTH_FILE").map(PathBuf::from) {
        let kind = kind_of(&path);
        files.push((path, kind));
    }
    let runtime = environment.absolute_path("XDG_RUNTIME_DIR").map(containers);
    let run = environment.uid.map(|uid| PathBuf::from(format!("/run/containers/{uid}/auth.json")));
    let config = match environment.absolute_path("XDG_CONFIG_HOME") {
        Some(folder) => Some(containers(folder)),
        None => home.map(|home| containers(&home.join(".config"))),
    };
    files.extend([runtime, run, config].into_iter().flatten().map(|path| (path, AuthFileKind::Containers)));
    let docker = match environment.variable("DOCKER_CONFIG") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => home.map(|home| home.join(".docker")),
    };
    files.extend(docker.map(|folder| (folder.join("config.json"), AuthFileKind::Docker)));

    let mut places = Vec::new();
    if environment.variable(INLINE).is_some() {
        let origin = Origin::Variable(INLINE);
        places.push(Place { origin, kind: AuthFileKind::Docker, necessity: Necessity::Optional });
    }
    for (path, kind) in files {
        let place = Place { origin: Origin::File(path), kind, necessity: Necessity::Optional };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

/// The format of a file that was named freely: `config.json` is docker's, any other is podman's.
fn kind_of(path: &Path) -> AuthFileKind {
    match path.file_name() {
        Some(name) if name == "config.json" => AuthFileKind::Docker,
        Some(_) | None => AuthFileKind::Containers,
    }
}

/// Reads what stands at a place, at most one byte more than a credential file may hold; `None` where
/// nothing stands there.
pub(super) async fn read(place: &Place, environment: &Environment) -> io::Result<Option<Vec<u8>>> {
    let path = match &place.origin {
        Origin::Variable(name) => {
            return Ok(environment.variable(name).map(|value| value.as_encoded_bytes().to_vec()));
        }
        Origin::File(path) => path.clone(),
        Origin::Helper { .. } => return Ok(None),
    };
    let necessity = place.necessity;
    tokio::task::spawn_blocking(move || read_file(&path, necessity)).await.map_err(io::Error::other)?
}

fn read_file(path: &Path, necessity: Necessity) -> io::Result<Option<Vec<u8>>> {
    if let Err(error) = std::fs::metadata(path) {
        let is_absent = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        // A folder that may not be entered (a service with another user's $HOME) can hold nothing
        // that is meant for this user; a file that is seen but may not be read is a fault.
        let is_hidden = error.kind() == io::ErrorKind::PermissionDenied && necessity == Necessity::Optional;
        return if is_absent || is_hidden { Ok(None) } else { Err(error) };
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(AUTH_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

const INLINE: &str = "DOCKER_AUTH_CONFIG";
