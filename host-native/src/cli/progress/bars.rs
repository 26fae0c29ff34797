//! Bars on a terminal: one for each blob under way, and a line for all of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use oci_fetcher::Event;
use oci_fetcher_core::digest::Digest;

use super::lock;
use crate::cli::size::rounded;

/// The bars. Blobs that are done disappear, so that they take no more lines than there are blobs
/// under way.
pub(super) struct Bars {
    lines: MultiProgress,
    state: Mutex<State>,
}

/// Where every blob is.
#[derive(Default)]
pub(super) struct State {
    blobs: BTreeMap<Digest, Blob>,
    sum: Sum,
    total: Option<ProgressBar>,
    /// What is waited for, while nothing moves.
    status: Option<ProgressBar>,
    ended: bool,
}

/// One blob's way, in compressed bytes.
pub(super) struct Blob {
    size: u64,
    pub(super) downloaded: u64,
    pub(super) unpacked: u64,
    pub(super) verified: bool,
    bar: Option<ProgressBar>,
}

/// What all blobs' ways come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    blobs: usize,
    done: usize,
    size: u64,
    downloaded: u64,
    unpacked: u64,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { lines: MultiProgress::new(), state: Mutex::default() }
    }

    /// Moves the bars.
    pub(super) fn on(&self, event: &Event<'_>) {
        let mut state = lock(&self.state);
        if state.ended {
            return;
        }
        match event {
            Event::Resolved { blobs, .. } => {
                state.expect(blobs);
                let State { sum, .. } = *state;
                state.clear_status(&self.lines);
                let total = state.total.get_or_insert_with(|| total_line(&self.lines));
                total.set_length(sum.size);
                total.set_prefix(sum.blobs());
            }
            Event::Downloaded { digest, bytes } => {
                state.advance(digest, |blob| blob.downloaded = *bytes);
                state.show(&self.lines, digest);
            }
            Event::Unpacked { digest, bytes } => {
                state.advance(digest, |blob| blob.unpacked = *bytes);
                state.show(&self.lines, digest);
            }
            Event::Verified { digest } => {
                state.advance(digest, |blob| blob.verified = true);
                state.show(&self.lines, digest);
            }
            Event::Note(_) | Event::Warning(_) => {}
            _ => {}
        }
    }

    /// Tells what is asked for, until there are bars to see.
    pub(super) fn asking(&self, request: &str) {
        let mut state = lock(&self.state);
        if state.total.is_none() && !state.ended {
            state.tell(&self.lines, request);
        }
    }

    /// Tells of a pause, until something moves again.
    pub(super) fn pausing(&self, text: &str) {
        let mut state = lock(&self.state);
        if !state.ended {
            state.tell(&self.lines, text);
        }
    }

    /// Lets something write lines above the bars.
    pub(super) fn above(&self, write: impl FnOnce()) {
        self.lines.suspend(write);
    }

    /// Leaves the bars as they stand; tells whether there are any.
    ///
    /// For an interrupt: what the terminal echoes for Ctrl-C has moved the cursor, so that the bars
    /// could not be removed cleanly.
    pub(super) fn leave(&self) -> bool {
        let mut state = lock(&self.state);
        state.ended = true;
        self.lines.set_draw_target(ProgressDrawTarget::hidden());
        state.total.take().is_some() | state.status.take().is_some()
    }

    /// Removes the bars for good.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        if state.ended {
            return;
        }
        state.ended = true;
        for bar in state.blobs.values_mut().filter_map(|blob| blob.bar.take()) {
            bar.finish_and_clear();
        }
        if let Some(total) = state.total.take() {
            total.finish_and_clear();
        }
        state.clear_status(&self.lines);
        // The lines are gone, or standard error is; either way there is nothing to do.
        let _ = self.lines.clear();
    }
}

impl State {
    /// Adds blobs, of which some may be known.
    pub(super) fn expect(&mut self, blobs: &[(Digest, u64)]) {
        for (digest, size) in blobs {
            let size = *size;
            self.blobs.entry(digest.clone()).or_insert_with(|| {
                self.sum.blobs += 1;
                self.sum.size = self.sum.size.saturating_add(size);
                Blob { size, downloaded: 0, unpacked: 0, verified: false, bar: None }
            });
        }
    }

    /// Changes a blob, and the sums with it. Bytes may also become fewer: a blob that begins anew.
    pub(super) fn advance(&mut self, digest: &Digest, change: impl FnOnce(&mut Blob)) {
        let Some(blob) = self.blobs.get_mut(digest) else { return };
        let (downloaded, unpacked, done) = (blob.downloaded, blob.unpacked, blob.is_done());
        change(blob);
        self.sum.downloaded = self.sum.downloaded - downloaded + blob.downloaded;
        self.sum.unpacked = self.sum.unpacked - unpacked + blob.unpacked;
        self.sum.done = self.sum.done - usize::from(done) + usize::from(blob.is_done());
    }

    #[cfg(test)]
    pub(super) fn summed(&self) -> (usize, usize, u64, u64, u64) {
        let Sum { blobs, done, size, downloaded, unpacked } = self.sum;
        (blobs, done, size, downloaded, unpacked)
    }

    /// Shows the status, below everything else.
    fn tell(&mut self, lines: &MultiProgress, text: &str) {
        let status = self.status.get_or_insert_with(|| {
            let status = lines.add(ProgressBar::no_length());
            status.set_style(style("{wide_msg}"));
            status
        });
        status.set_message(text.to_owned());
    }

    fn clear_status(&mut self, lines: &MultiProgress) {
        if let Some(status) = self.status.take() {
            status.finish_and_clear();
            lines.remove(&status);
        }
    }

    /// Draws a blob and the sums.
    fn show(&mut self, lines: &MultiProgress, digest: &Digest) {
        self.clear_status(lines);
        let (Some(total), Some(blob)) = (&self.total, self.blobs.get_mut(digest)) else { return };
        if blob.is_done() {
            if let Some(bar) = blob.bar.take() {
                bar.finish_and_clear();
                lines.remove(&bar);
            }
        } else {
            let bar = blob.bar.get_or_insert_with(|| blob_line(lines, total, digest, blob.size));
            let (what, position) = if blob.downloaded < blob.size || blob.unpacked == 0 {
                ("fetching", blob.downloaded)
            } else {
                ("unpacking", blob.unpacked)
            };
            if bar.message() != what {
                bar.set_message(what);
            }
            bar.set_position(position);
        }
        total.set_position(self.sum.downloaded);
        if total.prefix() != self.sum.blobs() {
            total.set_prefix(self.sum.blobs());
        }
        if self.sum.downloaded >= self.sum.size && self.sum.unpacked > 0 {
            let percent = u128::from(self.sum.unpacked) * 100 / u128::from(self.sum.size.max(1));
            total.set_message(format!("unpacking {percent}%"));
        }
    }
}

impl Blob {
    fn is_done(&self) -> bool {
        // A blob that nobody unpacks is done when it is verified.
        self.verified && (self.unpacked == 0 || self.unpacked >= self.size)
    }
}

impl Sum {
    fn blobs(self) -> String {
        format!("{}/{}", self.done, self.blobs)
    }
}

/// Adds the line for all blobs, which stays the last.
fn total_line(lines: &MultiProgress) -> ProgressBar {
    let total = lines.add(ProgressBar::new(0));
    total.set_style(style("{prefix:>12} blobs      [{bar:16}] {held:>9} of {whole:<9} {speed}{msg}"));
    // So that the speed falls when nothing comes.
    total.enable_steady_tick(Duration::from_millis(250));
    total
}

/// Adds the line for a blob above the total's.
fn blob_line(lines: &MultiProgress, total: &ProgressBar, digest: &Digest, size: u64) -> ProgressBar {
    let bar = lines.insert_before(total, ProgressBar::new(size));
    bar.set_style(style("{prefix:>12} {msg:<10} [{bar:16}] {held:>9} of {whole:<9}"));
    bar.set_prefix(digest.encoded().chars().take(12).collect::<String>());
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("templates are well-formed")
        .progress_chars("=> ")
        .with_key("held", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            put(text, &rounded(state.pos()));
        })
        .with_key("whole", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            put(text, &rounded(state.len().unwrap_or_default()));
        })
        .with_key("speed", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let whole = state.len().is_some_and(|length| state.pos() >= length);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a speed to read")]
            let speed = state.per_sec() as u64;
            if !whole && speed > 0 {
                put(text, &format!("{}/s", rounded(speed)));
            }
        })
}

fn put(text: &mut dyn std::fmt::Write, piece: &str) {
    // Writing to indicatif's buffer cannot fail.
    let _ = text.write_str(piece);
}
