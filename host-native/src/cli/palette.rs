//! The colours of what goes to standard error.

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};

/// A style for each kind of message; all of them plain where colours are not wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Palette {
    /// "error:"
    pub(crate) error: Style,
    /// "warning:"
    pub(crate) warning: Style,
    /// "caused by:", "note:"
    pub(crate) cause: Style,
    /// "help:"
    pub(crate) help: Style,
    /// What a line of progress says has happened.
    pub(crate) event: Style,
}

impl Palette {
    /// Returns what suits standard error: colours on a terminal, unless `NO_COLOR`, `CLICOLOR=0` or
    /// `TERM=dumb` forbids them.
    pub(crate) fn of_stderr() -> Self {
        match AutoStream::choice(&std::io::stderr()) {
            ColorChoice::Never => Self::plain(),
            ColorChoice::Auto | ColorChoice::Always | ColorChoice::AlwaysAnsi => Self::coloured(),
        }
    }

    fn coloured() -> Self {
        Self {
            error: AnsiColor::BrightRed.on_default().bold(),
            warning: AnsiColor::BrightYellow.on_default().bold(),
            cause: Style::new().bold(),
            help: AnsiColor::BrightGreen.on_default().bold(),
            event: AnsiColor::BrightGreen.on_default().bold(),
        }
    }

    /// Returns no colours.
    pub(crate) const fn plain() -> Self {
        let plain = Style::new();
        Self { error: plain, warning: plain, cause: plain, help: plain, event: plain }
    }
}
