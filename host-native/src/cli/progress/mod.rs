//! Progress, on standard error: bars on a terminal, a line for each event worth it elsewhere.

mod bars;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oci_fetcher::{Event, Observer};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::pull::Note;
use oci_fetcher_core::sanitise::{EXCERPT_CHARS, sanitise};

use super::args::OutputOptions;
use super::palette::Palette;
use super::size::rounded;
use bars::Bars;

/// Shows what happens.
pub(crate) struct Progress {
    shown: Shown,
    verbose: bool,
    palette: Palette,
    /// Warnings shown so far: each is shown once.
    warned: Mutex<BTreeSet<String>>,
}

enum Shown {
    Bars(Bars),
    /// The sizes of the blobs that have not been verified.
    Lines(Mutex<BTreeMap<Digest, u64>>),
    /// Nothing but warnings, and what `--verbose` asks for.
    Nothing,
}

impl Progress {
    /// Chooses what suits standard error and the options.
    pub(crate) fn new(options: OutputOptions, palette: Palette) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let shown = if options.quiet || options.json {
            Shown::Nothing
        } else if io::stderr().is_terminal() && !dumb {
            Shown::Bars(Bars::new())
        } else {
            Shown::Lines(Mutex::default())
        };
        Self { shown, verbose: options.verbose, palette, warned: Mutex::default() }
    }

    /// Shows a warning, unless it has been shown.
    pub(crate) fn warn(&self, text: &str) {
        let text = sanitise(text, EXCERPT_CHARS);
        let Palette { warning, .. } = self.palette;
        let line = format!("{warning}warning:{warning:#} {text}");
        if lock(&self.warned).insert(text) {
            self.line(&line);
        }
    }

    /// Shows a line about the result, unless it is to be quiet.
    pub(crate) fn conclude(&self, event: &str, text: &str) {
        match &self.shown {
            Shown::Bars(_) | Shown::Lines(_) => {
                self.end();
                self.event(event, text);
            }
            Shown::Nothing => {}
        }
    }

    /// Removes the bars.
    pub(crate) fn end(&self) {
        match &self.shown {
            Shown::Bars(bars) => bars.end(),
            Shown::Lines(_) | Shown::Nothing => {}
        }
    }

    /// Leaves the bars as they stand, and begins a new line below them.
    pub(crate) fn leave(&self) {
        match &self.shown {
            Shown::Bars(bars) if bars.leave() => drop(writeln!(io::stderr().lock())),
            Shown::Bars(_) | Shown::Lines(_) | Shown::Nothing => {}
        }
    }

    fn event(&self, event: &str, text: &str) {
        let style = self.palette.event;
        self.line(&format!("{style}{event}{style:#} {text}"));
    }

    fn line(&self, line: &str) {
        let write = || {
            // There is nowhere left to say that this failed.
            let _ = writeln!(io::stderr().lock(), "{line}");
        };
        match &self.shown {
            Shown::Bars(bars) => bars.above(write),
            Shown::Lines(_) | Shown::Nothing => write(),
        }
    }

    fn note(&self, note: &Note) {
        match note {
            Note::Warning { text } => self.warn(text),
            Note::Request { request } => {
                let request = sanitise(request, LINE_CHARS);
                match &self.shown {
                    _ if self.verbose => self.event("request", &request),
                    Shown::Bars(bars) => bars.asking(&request),
                    Shown::Lines(_) | Shown::Nothing => {}
                }
            }
            Note::Retry { request, reason, pause } => {
                let (request, reason) = (sanitise(request, LINE_CHARS), sanitise(reason, EXCERPT_CHARS));
                let pause = seconds(*pause);
                match &self.shown {
                    _ if self.verbose => self.event("retry", &format!("in {pause}: {request}: {reason}")),
                    Shown::Bars(bars) => bars.pausing(&format!("retrying in {pause}: {reason}")),
                    Shown::Lines(_) | Shown::Nothing => {}
                }
            }
            _ => {}
        }
    }
}

/// Addresses are longer than other texts.
const LINE_CHARS: usize = 1_024;

impl Observer for Progress {
    fn on(&self, event: &Event<'_>) {
        if let Event::Note(note) = event {
            return self.note(note);
        }
        if let Event::Warning(text) = event {
            return self.warn(text);
        }
        match &self.shown {
            Shown::Bars(bars) => bars.on(event),
            Shown::Lines(sizes) => {
                if let Some((event, text)) = told(event, &mut lock(sizes)) {
                    self.event(event, &text);
                }
            }
            Shown::Nothing => {}
        }
    }
}

/// Returns the line for an event, if it is worth one.
fn told(event: &Event<'_>, sizes: &mut BTreeMap<Digest, u64>) -> Option<(&'static str, String)> {
    match event {
        Event::Resolved { source, digest, blobs } => {
            sizes.extend(blobs.iter().cloned());
            let distinct: BTreeMap<&Digest, u64> = blobs.iter().map(|(digest, size)| (digest, *size)).collect();
            let size = rounded(distinct.values().fold(0, |sum, size| sum.saturating_add(*size)));
            let source = sanitise(source, LINE_CHARS);
            Some(("resolved", format!("{source} to {digest} ({}, {size})", counted(distinct.len(), "blob"))))
        }
        Event::Verified { digest } => {
            // A blob may be listed, and told of, more than once.
            let size = sizes.remove(*digest)?;
            Some(("verified", format!("{digest} ({})", rounded(size))))
        }
        Event::Downloaded { .. } | Event::Unpacked { .. } | Event::Note(_) | Event::Warning(_) => None,
        _ => None,
    }
}

/// Returns a number with its noun, as in "1 blob" and "4 blobs".
pub(crate) fn counted(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Returns milliseconds in tenths of a second.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
