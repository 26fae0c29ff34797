//! Where content goes: standard output, or a file that is absent or complete.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use oci_fetcher::AtomicFile;

use super::failure::{Ended, Failure};
use super::usage::{FileError, UsageError};

/// What becomes of a file that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It is an error.
    Refuse,
    /// It is replaced.
    Replace,
}

impl Overwrite {
    pub(crate) const fn forced(force: bool) -> Self {
        if force { Self::Replace } else { Self::Refuse }
    }
}

/// Tells whether a path is "-", which means standard output.
pub(crate) fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-")
}

/// A place that content is being written to. Dropping it removes an unfinished file.
#[derive(Debug)]
pub(crate) struct Content {
    state: Arc<Mutex<State>>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Something that takes bytes as they come: standard output, a device, a named pipe.
    Stream { name: String, option: &'static str },
    /// A file that gets its name at the end.
    File { path: PathBuf, file: AtomicFile, overwrite: Overwrite },
}

struct State {
    output: BufWriter<Box<dyn Write + Send>>,
    guard: Option<TerminalGuard>,
    pipe_closed: bool,
}

impl Content {
    /// Opens a place; `option` is what a file would be given by.
    pub(crate) fn open(path: &Path, overwrite: Overwrite, option: &'static str) -> Result<Self, Ended> {
        if is_standard_output(path) {
            let guard = io::stdout().is_terminal().then(TerminalGuard::default);
            let place = Place::Stream { name: "standard output".into(), option };
            return Ok(Self::new(Box::new(io::stdout()), guard, place));
        }
        let name = path.display().to_string();
        // What a killed process left goes even if the file is not to be written now.
        AtomicFile::reclaim(path);
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => return Err(UsageError::IsDirectory { path: path.into() }.into()),
            Ok(metadata) if !metadata.is_file() => {
                let file = std::fs::OpenOptions::new().write(true).open(path);
                let file = file.map_err(|source| FileError::new("open", &name, source))?;
                let guard = file.is_terminal().then(TerminalGuard::default);
                return Ok(Self::new(Box::new(file), guard, Place::Stream { name, option }));
            }
            Ok(_) if overwrite == Overwrite::Refuse => return Err(UsageError::Exists { path: path.into() }.into()),
            Ok(_) | Err(_) => {}
        }
        let begun = AtomicFile::begin(path).and_then(|file| Ok((file.file().try_clone()?, file)));
        let (writer, file) = begun.map_err(|source| FileError::new("create", &name, source))?;
        Ok(Self::new(Box::new(writer), None, Place::File { path: path.into(), file, overwrite }))
    }

    fn new(output: Box<dyn Write + Send>, guard: Option<TerminalGuard>, place: Place) -> Self {
        let output = BufWriter::with_capacity(BUFFER_BYTES, output);
        Self { state: Arc::new(Mutex::new(State { output, guard, pipe_closed: false })), place }
    }

    /// Returns a writer, which may go to another thread.
    pub(crate) fn writer(&self) -> ContentWriter {
        ContentWriter { state: Arc::clone(&self.state) }
    }

    /// Ends after everything was written: a file gets its name.
    pub(crate) fn finish(self) -> Result<(), Ended> {
        let flushed = self.writer().flush();
        let name = match &self.place {
            Place::Stream { name, .. } => name.clone(),
            Place::File { path, .. } => path.display().to_string(),
        };
        if let Err(source) = flushed {
            let failure = Failure::new(&FileError::new("write", name, source));
            return Err(self.explain(failure.into()));
        }
        let Place::File { path, file, overwrite } = self.place else { return Ok(()) };
        let named = match overwrite {
            Overwrite::Replace => file.replace(),
            Overwrite::Refuse => file.appear(),
        };
        match named {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(UsageError::Exists { path }.into()),
            Err(source) => Err(FileError::new("write", name, source).into()),
        }
    }

    /// Says why writing failed, where that is known better here than by whoever wrote.
    pub(crate) fn explain(&self, ended: Ended) -> Ended {
        let state = lock(&self.state);
        match &self.place {
            Place::Stream { .. } if state.pipe_closed => Ended::PipeClosed,
            Place::Stream { option, .. } if state.guard.as_ref().is_some_and(|guard| guard.refused) => {
                UsageError::BinaryToTerminal { option }.into()
            }
            Place::Stream { .. } | Place::File { .. } => ended,
        }
    }
}

/// Tar writers write headers of 512 bytes.
const BUFFER_BYTES: usize = 256 << 10;

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("pipe_closed", &self.pipe_closed).finish_non_exhaustive()
    }
}

/// Writes to a [`Content`]'s place.
#[derive(Debug)]
pub(crate) struct ContentWriter {
    state: Arc<Mutex<State>>,
}

impl Write for ContentWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        if let Some(guard) = &mut state.guard {
            guard.check(bytes)?;
        }
        let written = state.output.write(bytes);
        state.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = lock(&self.state);
        let flushed = state.output.flush();
        state.note(flushed)
    }
}

impl State {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.pipe_closed |= result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps control characters, which could steer it, from a terminal.
#[derive(Debug, Default)]
struct TerminalGuard {
    last: u8,
    refused: bool,
}

impl TerminalGuard {
    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            // C1 controls are C2 80 to C2 9F in UTF-8, and may stand alone on old terminals.
            let control = (byte < b' ' && !matches!(byte, b'\n' | b'\r' | b'\t')) || byte == 0x7f;
            let c1 = (0x80..0xa0).contains(&byte) && (self.last == 0xc2 || self.last.is_ascii());
            if control || c1 {
                self.refused = true;
                return Err(io::Error::new(ErrorKind::InvalidData, "binary content does not go to a terminal"));
            }
            self.last = byte;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_absent_or_complete() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let open = |overwrite| Content::open(&path, overwrite, "--output");

        let content = open(Overwrite::Refuse).expect("a place");
        content.writer().write_all(b"first").expect("written");
        assert!(!path.exists());
        drop(content);
        assert!(names(folder.path()).is_empty());

        let content = open(Overwrite::Refuse).expect("a place");
        content.writer().write_all(b"first").expect("written");
        content.finish().expect("named");
        assert_eq!(std::fs::read(&path).expect("the file"), b"first");

        assert!(matches!(open(Overwrite::Refuse), Err(Ended::Failed(failure)) if failure.exit_code() == 2));
        let content = open(Overwrite::Replace).expect("a place");
        content.writer().write_all(b"second").expect("written");
        content.finish().expect("named");
        assert_eq!(std::fs::read(&path).expect("the file"), b"second");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_that_appeared_meanwhile_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let content = Content::open(&path, Overwrite::Refuse, "--output").expect("a place");
        std::fs::write(&path, b"another's").expect("written");
        assert!(matches!(content.finish(), Err(Ended::Failed(failure)) if failure.exit_code() == 2));
        assert_eq!(std::fs::read(&path).expect("the file"), b"another's");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn what_is_no_file_is_not_one_to_replace() {
        let folder = tempfile::tempdir().expect("a folder");
        for overwrite in [Overwrite::Refuse, Overwrite::Replace] {
            let opened = Content::open(folder.path(), overwrite, "--output");
            assert!(matches!(opened, Err(Ended::Failed(failure)) if failure.exit_code() == 2));
        }
        let missing = Content::open(&folder.path().join("no/out"), Overwrite::Refuse, "--output");
        assert!(matches!(missing, Err(Ended::Failed(failure)) if failure.exit_code() == 8));
    }

    #[test]
    fn controls_do_not_reach_a_terminal_however_they_are_split() {
        for (bytes, passes) in [
            ("{\"a\": \"ü画\"}\r\n\t".as_bytes(), true),
            ("\u{3080}\u{20ac}\u{900}".as_bytes(), true),
            (b"\x1b[2J", false),
            (b"a\0", false),
            (b"a\x7f", false),
            ("a\u{9b}2J".as_bytes(), false),
            (b"a\x9b2J", false),
        ] {
            for split in 0..=bytes.len() {
                let mut guard = TerminalGuard::default();
                let checked = guard.check(&bytes[..split]).and_then(|()| guard.check(&bytes[split..]));
                assert_eq!(checked.is_ok(), passes, "{bytes:?} at {split}");
                assert_eq!(guard.refused, !passes);
            }
        }
    }
}
