//! Standard output: the result, and nothing else.

use std::io::{self, ErrorKind, IsTerminal, Write};

use oci_fetcher_core::error::Class;
use oci_fetcher_core::sanitise::sanitise;
use serde::Serialize;

use super::failure::{Ended, Failure};

/// Prints text.
pub(crate) fn print(text: &str) -> Result<(), Ended> {
    print_bytes(text.as_bytes())
}

/// Prints an object: in one line, or indented on a terminal.
pub(crate) fn print_json(object: &impl Serialize) -> Result<(), Ended> {
    print(&json(object, Layout::of_stdout()))
}

/// Prints content exactly as it is. On a terminal, what could steer it is escaped.
pub(crate) fn print_content(content: &[u8]) -> Result<(), Ended> {
    if !io::stdout().is_terminal() {
        return print_bytes(content);
    }
    let mut text = visible(&String::from_utf8_lossy(content));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print(&text)
}

fn print_bytes(bytes: &[u8]) -> Result<(), Ended> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| failed(&error))
}

/// Says what it means that standard output cannot be written.
fn failed(error: &io::Error) -> Ended {
    if error.kind() == ErrorKind::BrokenPipe {
        return Ended::PipeClosed;
    }
    let message = format!("cannot write to standard output: {error}");
    Failure::plain(Class::Local, "standard-output", &message, "check where standard output goes").into()
}

/// Whether an object takes one line or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One line.
    Compact,
    /// A line for each member.
    Indented,
}

impl Layout {
    fn of_stdout() -> Self {
        if io::stdout().is_terminal() { Self::Indented } else { Self::Compact }
    }
}

/// Returns an object as JSON with a line feed, in which nothing can steer a terminal.
pub(crate) fn json(object: &impl Serialize, layout: Layout) -> String {
    let text = match layout {
        Layout::Compact => serde_json::to_string(object),
        Layout::Indented => serde_json::to_string_pretty(object),
    };
    let mut text = visible(&text.expect("results have texts for keys, and no value that JSON lacks"));
    text.push('\n');
    text
}

/// Escapes, as JSON does, what could steer a terminal or hide in it.
///
/// In JSON such characters stand in texts only, so that the meaning stays the same.
fn visible(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        let plain = matches!(character, ' '..='~' | '\n' | '\t')
            || (!character.is_ascii() && sanitise(character.encode_utf8(&mut [0; 4]), 1).starts_with(character));
        if plain {
            clean.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                clean.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_with_only_what_is_harmless() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}1m\u{202e}\u{e0041}\n\"\\ü画\t\u{feff}";
        let object = serde_json::json!({ "text": text });
        for layout in [Layout::Compact, Layout::Indented] {
            let written = json(&object, layout);
            let harmless = |character: char| matches!(character, ' '..='~' | '\n' | 'ü' | '画');
            assert!(written.chars().all(harmless), "{written:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&written).expect("JSON"), object);
        }
        assert_eq!(json(&object, Layout::Compact).lines().count(), 1);
    }

    #[test]
    fn content_on_a_terminal_keeps_its_lines() {
        assert_eq!(visible("{\r\n\t\"a\": \"\u{9b}J\"\n}"), "{\\u000d\n\t\"a\": \"\\u009bJ\"\n}");
    }
}
