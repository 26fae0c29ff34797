//! Why a command failed, for people and for programs.
//!
//! ```text
//! error: cannot pull ghcr.io/org/app:1 into out
//!   caused by: GET https://ghcr.io/v2/org/app/manifests/1 failed after 6 attempts
//!   caused by: unknown host: ghcr.io
//!   help: check the registry's name in the reference, and the network
//! ```

use std::iter::successors;

use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::sanitise::sanitise;
use serde::Serialize;

use super::palette::Palette;
use super::signals::Signal;

/// How a command can end other than with its result.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It failed.
    Failed(Box<Failure>),
    /// Nobody reads what it prints any more.
    PipeClosed,
    /// The process was told to end.
    Signalled(Signal),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// An error, taken apart and made safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What could not be done, where that is more than the message.
    action: Option<String>,
    message: String,
    causes: Vec<String>,
    class: Class,
    code: &'static str,
    advice: Option<String>,
}

impl Failure {
    /// Takes an error apart.
    pub(crate) fn new(error: &dyn Explain) -> Self {
        let message = sanitise(&error.to_string(), MESSAGE_CHARS);
        let mut causes: Vec<String> = Vec::new();
        for cause in successors(error.source(), |cause| cause.source()).take(MOST_CAUSES) {
            let cause = sanitise(&cause.to_string(), MESSAGE_CHARS);
            // Some errors repeat their cause in their own message.
            if !causes.last().unwrap_or(&message).contains(&cause) {
                causes.push(cause);
            }
        }
        let advice = error.advice().map(|advice| sanitise(&advice, MESSAGE_CHARS));
        Self { action: None, message, causes, class: error.class(), code: error.code(), advice }
    }

    /// Creates a failure that no error stands for.
    pub(crate) fn plain(class: Class, code: &'static str, message: &str, advice: &str) -> Self {
        Self {
            action: None,
            message: sanitise(message, MESSAGE_CHARS),
            causes: Vec::new(),
            class,
            code,
            advice: Some(sanitise(advice, MESSAGE_CHARS)),
        }
    }

    /// Says what was being done, as in "cannot pull alpine into out".
    #[must_use]
    pub(crate) fn during(mut self, action: &str) -> Self {
        self.action = Some(sanitise(action, MESSAGE_CHARS));
        self
    }

    /// Returns the exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.class.exit_code()
    }

    /// Returns the lines for a person.
    pub(crate) fn render(&self, palette: Palette) -> String {
        let Palette { error, cause, help, .. } = palette;
        let (what, why) = match &self.action {
            Some(action) => (action, Some(&self.message)),
            None => (&self.message, None),
        };
        let mut lines = format!("{error}error:{error:#} {what}\n");
        for line in why.into_iter().chain(&self.causes) {
            lines.push_str(&format!("  {cause}caused by:{cause:#} {line}\n"));
        }
        if let Some(advice) = &self.advice {
            lines.push_str(&format!("  {help}help:{help:#} {advice}\n"));
        }
        lines
    }

    /// Returns the object for a program, `{"error": {...}}`.
    pub(crate) fn json(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Object<'f> {
            error: Body<'f>,
        }
        #[derive(Serialize)]
        struct Body<'f> {
            class: &'static str,
            code: &'static str,
            message: &'f str,
            cause: &'f [String],
            advice: Option<&'f str>,
        }
        Object {
            error: Body {
                class: self.class.name(),
                code: self.code,
                message: &self.message,
                cause: &self.causes,
                advice: self.advice.as_deref(),
            },
        }
    }
}

/// Longest message in characters: the platforms of a large index fit.
const MESSAGE_CHARS: usize = 4_096;
/// A chain longer than this would be a loop.
const MOST_CAUSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Fault {
        message: &'static str,
        #[source]
        source: Option<Box<Self>>,
    }

    impl Explain for Fault {
        fn class(&self) -> Class {
            Class::Network
        }

        fn code(&self) -> &'static str {
            "tls"
        }

        fn advice(&self) -> Option<Cow<'static, str>> {
            Some("pass --ca-file".into())
        }
    }

    fn chain(messages: &[&'static str]) -> Fault {
        let (message, rest) = messages.split_first().expect("a message");
        Fault { message, source: (!rest.is_empty()).then(|| Box::new(chain(rest))) }
    }

    #[test]
    fn tells_people_what_why_and_what_to_do() {
        let failure = Failure::new(&chain(&["GET https://a failed", "TLS failed: expired", "expired", "certificate"]));
        assert_eq!(
            failure.render(Palette::plain()),
            "error: GET https://a failed\n  caused by: TLS failed: expired\n  caused by: certificate\n  help: pass --ca-file\n"
        );
        assert_eq!(
            failure.during("cannot pull a into b").render(Palette::plain()),
            "error: cannot pull a into b\n  caused by: GET https://a failed\n  caused by: TLS failed: expired\n  \
             caused by: certificate\n  help: pass --ca-file\n"
        );
    }

    #[test]
    fn tells_programs_class_and_code() {
        let failure = Failure::new(&chain(&["GET https://a failed", "expired"])).during("cannot pull a into b");
        assert_eq!(
            serde_json::to_string(&failure.json()).expect("serializable"),
            r#"{"error":{"class":"network","code":"tls","message":"GET https://a failed","cause":["expired"],"advice":"pass --ca-file"}}"#
        );
        assert_eq!(failure.exit_code(), 5);
    }

    #[test]
    fn nothing_steers_the_terminal_or_forges_a_line() {
        let failure = Failure::new(&chain(&["a\u{1b}[2J\nerror: b", "c\u{202e}d"])).during("cannot pull \u{9b}0m\r");
        assert_eq!(
            failure.render(Palette::plain()),
            "error: cannot pull \\u{9b}0m\\r\n  caused by: a\\u{1b}[2J\\nerror: b\n  caused by: c\\u{202e}d\n  help: pass --ca-file\n"
        );
    }
}
