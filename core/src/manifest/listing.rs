//! What a registry sent, made fit for a message: escaped and bounded.

use std::fmt::{self, Display, Write as _};

/// Shows the beginning of `text` with control, bidirectional and other invisible characters escaped.
pub(crate) fn excerpt(text: &str) -> impl Display + '_ {
    fmt::from_fn(move |f| {
        let end = text.char_indices().nth(EXCERPT_CHARS).map_or(text.len(), |(end, _)| end);
        for character in text[..end].chars() {
            match character {
                '"' | '\'' | '\\' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        if end < text.len() { f.write_str("...") } else { Ok(()) }
    })
}

/// Joins the first of `names` by commas and counts the others; "none" stands for an empty list.
pub(crate) fn listing<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    let mut text = String::new();
    let mut count = 0_usize;
    for name in names {
        count += 1;
        if count > LISTED {
            continue;
        }
        if count > 1 {
            text.push_str(", ");
        }
        write!(text, "{}", excerpt(name.as_ref())).expect("writing to a string cannot fail");
    }
    match count {
        0 => "none".to_owned(),
        1..=LISTED => text,
        _ => format!("{text} and {} more", count - LISTED),
    }
}

/// Enough for a full reference with a digest to be recognised.
const EXCERPT_CHARS: usize = 200;

/// What a reader takes in at a glance; the largest official images have fewer platforms.
const LISTED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_escaped_and_bounded() {
        assert_eq!(excerpt("a\u{1b}[2J\n\u{202e}\"b\"").to_string(), "a\\u{1b}[2J\\n\\u{202e}\"b\"");
        assert_eq!(excerpt(&"é".repeat(1_000)).to_string(), format!("{}...", "é".repeat(EXCERPT_CHARS)));
    }

    #[test]
    fn listings_are_bounded() {
        assert_eq!(listing([""; 0]), "none");
        assert_eq!(listing(["a", "b"]), "a, b");
        assert!(listing(vec!["a"; 1_000]).ends_with(", a and 980 more"));
    }
}
