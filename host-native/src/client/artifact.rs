//! Artifacts: their files, as raw bytes.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::artifact::WasmKind;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::source::Source;

use super::Client;
use super::inspect::write_blob;
use super::prepare::blocking;
use crate::artifact::{ArtifactError, claims_wasm, names, wasm_kind};
use crate::blob::{Blob, open_regular};
use crate::error::Error;
use crate::pulled::{Got, GotFile, ImageInfo};
use crate::staging::Existing;
use crate::store::{Holding, Store};
use crate::temporary::AtomicFile;
use crate::work::Use;

impl Client {
    /// Writes the files of an artifact into a directory: titled ones under their titles, untitled
    /// ones by digest. All of them are verified before the first is written.
    ///
    /// What stands at one of the names is refused, unless `existing` is [`Existing::Replace`] or it is
    /// the file already, as after a command that was killed; whatever else the directory holds stays.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn get_directory(&self, source: &Source, directory: &Path, existing: Existing) -> Result<Got, Error> {
        let operation = self.operation()?;
        let mut access = self.access(source, &operation).await?;
        let info = access.image().await?.info;
        let paths = names(&info.layers)?;
        let targets = Targets { directory: directory.to_owned(), paths, existing };
        targets.check(&info.layers)?;
        access.announce(&info, &info.layers);
        self.store_verified(&mut access, &info.layers, verify(&info)).await?;
        let store = access.store.clone();
        blocking(move || {
            let kinds = kinds(&store, &info)?;
            let written = targets.write_all(&store, &info.layers)?;
            let files = written.into_iter().map(Some).zip(kinds).zip(&info.layers);
            let files = files.map(|((path, wasm), descriptor)| GotFile { path, descriptor: descriptor.clone(), wasm });
            Ok(Got { files: files.collect(), image: info })
        })
        .await
    }

    /// Writes the only file of an artifact, after all of it has been verified.
    ///
    /// # Errors
    /// [`Error`]; nothing was written unless the writer itself failed.
    pub async fn get_one(&self, source: &Source, writer: impl Write + Send + 'static) -> Result<Got, Error> {
        let operation = self.operation()?;
        let mut access = self.access(source, &operation).await?;
        let info = access.image().await?.info;
        let [file] = info.layers.as_slice() else {
            return Err(ArtifactError::NotOne { count: info.layers.len() }.into());
        };
        let file = file.clone();
        access.announce(&info, &info.layers);
        self.store_verified(&mut access, &info.layers, verify(&info)).await?;
        let store = access.store.clone();
        blocking(move || {
            let wasm = kinds(&store, &info)?.pop().flatten();
            write_blob(&store, &file, writer)?;
            Ok(Got { files: vec![GotFile { path: None, descriptor: file, wasm }], image: info })
        })
        .await
    }
}

fn verify(info: &ImageInfo) -> Vec<Use<crate::work::Unused>> {
    info.layers.iter().map(|_| Use::Verify).collect()
}

/// Checks the beginnings of WebAssembly binaries.
fn kinds(store: &Store, info: &ImageInfo) -> Result<Vec<Option<WasmKind>>, Error> {
    let kind = |file: &Arc<Descriptor>| {
        if !claims_wasm(file) {
            return Ok(None);
        }
        let Holding::Whole(blob) = store.open(&file.digest, file.size)? else {
            return Err(Error::internal("a stored blob is gone"));
        };
        let mut beginning = [0; 8];
        let length = blob.read_at(0, &mut beginning).map_err(Error::read_back)?;
        Ok(Some(wasm_kind(&file.digest, &beginning[..length])?))
    };
    info.layers.iter().map(kind).collect()
}

/// Where an artifact's files go.
struct Targets {
    directory: PathBuf,
    paths: Vec<EntryPath>,
    existing: Existing,
}

impl Targets {
    /// Refuses names at which something else stands, before anything is fetched.
    fn check(&self, files: &[Arc<Descriptor>]) -> Result<(), Error> {
        self.check_folders()?;
        for (path, file) in self.paths.iter().zip(files) {
            let target = self.target(path);
            if let Ok(metadata) = std::fs::symlink_metadata(&target)
                && (metadata.is_dir() || !(self.replaces() || is_there(&target, file)))
            {
                return Err(ArtifactError::Exists { path: target }.into());
            }
        }
        Ok(())
    }

    /// Refuses folders that are no directories: a symlink would lead elsewhere.
    fn check_folders(&self) -> Result<(), ArtifactError> {
        for path in &self.paths {
            let mut at = self.directory.clone();
            let mut components = path.components().peekable();
            while let (Some(component), Some(_)) = (components.next(), components.peek()) {
                at.push(native(component));
                match std::fs::symlink_metadata(&at) {
                    Err(_) => break,
                    Ok(metadata) if metadata.is_dir() => {}
                    Ok(_) => return Err(ArtifactError::NotADirectory { path: at }),
                }
            }
        }
        Ok(())
    }

    /// Writes all files, or none and no directory.
    fn write_all(&self, store: &Store, files: &[Arc<Descriptor>]) -> Result<Vec<PathBuf>, Error> {
        let folders = self
            .paths
            .iter()
            .flat_map(|path| self.target(path).ancestors().skip(1).map(Path::to_owned).collect::<Vec<_>>());
        let is_missing = |path: &PathBuf| {
            let found = std::fs::symlink_metadata(path);
            !path.as_os_str().is_empty() && found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        let missing: BTreeSet<PathBuf> = folders.filter(is_missing).collect();
        let written = self.write(store, files);
        if written.is_err() {
            for folder in missing.iter().rev() {
                // Fails, as it should, if anything is in it.
                let _ = std::fs::remove_dir(folder);
            }
        }
        written
    }

    /// Writes all files under temporary names, then gives each its own.
    fn write(&self, store: &Store, files: &[Arc<Descriptor>]) -> Result<Vec<PathBuf>, Error> {
        let mut written: Vec<(Option<AtomicFile>, PathBuf)> = Vec::with_capacity(files.len());
        for (path, file) in self.paths.iter().zip(files) {
            let target = self.target(path);
            let parent = target.parent().unwrap_or(&self.directory);
            let failed = |operation, path: &Path| {
                let path = path.to_owned();
                move |source| ArtifactError::Io { operation, path, source }
            };
            if !self.replaces() && is_there(&target, file) {
                AtomicFile::reclaim(&target);
                written.push((None, target));
                continue;
            }
            std::fs::create_dir_all(parent).map_err(failed("create", parent))?;
            let temporary = AtomicFile::begin(&target).map_err(failed("create a file in", parent))?;
            write_blob(store, file, temporary.file())?;
            written.push((Some(temporary), target));
        }
        // A symlink may have come meanwhile: nothing is written through it.
        self.check_folders()?;
        let mut targets = Vec::with_capacity(written.len());
        for (temporary, target) in written {
            let persisted = match temporary {
                None => Ok(()),
                Some(temporary) if self.replaces() || targets.contains(&target) => temporary.replace(),
                Some(temporary) => temporary.appear(),
            };
            persisted.map_err(|source| {
                let path = target.clone();
                if source.kind() == ErrorKind::AlreadyExists {
                    return ArtifactError::Exists { path };
                }
                ArtifactError::Io { operation: "write", path, source }
            })?;
            targets.push(target);
        }
        Ok(targets)
    }

    /// Returns where a file goes.
    fn target(&self, path: &EntryPath) -> PathBuf {
        path.components().fold(self.directory.clone(), |at, component| at.join(native(component)))
    }

    fn replaces(&self) -> bool {
        self.existing == Existing::Replace
    }
}

/// Tells whether a file is what it is to be. What cannot be read is not.
fn is_there(path: &Path, file: &Descriptor) -> bool {
    let is_it = || {
        let blob = Blob::whole(open_regular(path).ok()?).ok()?;
        (blob.length() == file.size).then_some(())?;
        Some(blob.digest(file.digest.algorithm()?).ok()? == file.digest)
    };
    is_it().unwrap_or(false)
}

#[cfg(unix)]
fn native(component: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(component))
}

#[cfg(not(unix))]
fn native(component: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(component).into_owned())
}
