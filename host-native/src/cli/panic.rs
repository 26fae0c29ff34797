//! Bugs: said in the words of the other errors, with where to report them.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};

use oci_fetcher_core::sanitise::{EXCERPT_CHARS, sanitise};

use super::palette::Palette;

/// What to do about a bug.
pub(crate) const ADVICE: &str = concat!(
    "this is a bug: please report it at ",
    env!("CARGO_PKG_REPOSITORY"),
    "/issues, with the command and its output"
);

/// Lets every panic, on any thread, be told as an error is.
pub(crate) fn report(palette: Palette) {
    panic::set_hook(Box::new(move |info| {
        if TAMED.get() {
            return;
        }
        let message = message(info);
        let Palette { error, help, .. } = palette;
        let text = format!("{error}error:{error:#} internal error: {message}\n  {help}help:{help:#} {ADVICE}\n");
        // There is nowhere left to say that this failed.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }));
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let message = sanitise(text(info.payload()), EXCERPT_CHARS);
    match info.location() {
        Some(location) => format!("{message} ({location})"),
        None => message,
    }
}

fn text(payload: &dyn Any) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "something panicked",
    }
}

/// Runs something that panics where the system refuses it, and returns that as an error.
///
/// Only for calls into tokio that have no other way to say so.
pub(crate) fn tame<T>(run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    TAMED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run));
    TAMED.set(false);
    result.unwrap_or_else(|payload| Err(io::Error::other(text(&*payload).to_owned())))
}

thread_local! {
    /// Whether what panics on this thread is no bug.
    static TAMED: Cell<bool> = const { Cell::new(false) };
}

/// Runs something; `None` if it panicked.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Option<T> {
    // Nothing of what it worked on is used afterwards but the bars, which are only removed.
    panic::catch_unwind(AssertUnwindSafe(run)).ok()
}
