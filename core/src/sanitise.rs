//! Text from outside, made fit to be shown.

/// Returns `text` with everything escaped that could steer a terminal, forge a line, reorder what is
/// shown or hide in it, and cut after `max_chars` of its characters.
///
/// Escaped (as `\n` or `\u{202e}`) are control characters, line and paragraph separators, marks and
/// overrides of direction, and invisible format characters. Everything else stays as it is.
///
/// ```
/// use oci_fetcher_core::sanitise::sanitise;
///
/// assert_eq!(sanitise("ok\u{1b}[2J\r\n", 80), r"ok\u{1b}[2J\r\n");
/// assert_eq!(sanitise("läuft", 3), "läu...");
/// ```
#[must_use]
pub fn sanitise(text: &str, max_chars: usize) -> String {
    let mut clean = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(max_chars) {
        if is_deceptive(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    if characters.next().is_some() {
        clean.push_str("...");
    }
    clean
}

/// Longest excerpt of foreign text in an error or warning, in characters: some lines of a terminal.
pub const EXCERPT_CHARS: usize = 256;

/// The parts of Unicode's Cc, Cf, Zl and Zp that have an effect without a shape.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_deceives_and_keeps_the_rest() {
        for (text, shown) in [
            ("", ""),
            ("plain \"text\" \\ stays", "plain \"text\" \\ stays"),
            ("línea हिन्दी 画像 e\u{301}", "línea हिन्दी 画像 e\u{301}"),
            ("a\tb\nc\rd\0", r"a\tb\nc\rd\u{0}"),
            ("\u{1b}]0;title\u{7}\u{9b}2J\u{7f}", r"\u{1b}]0;title\u{7}\u{9b}2J\u{7f}"),
            ("gpj.\u{202e}exe", r"gpj.\u{202e}exe"),
            ("\u{2066}\u{2069}\u{200f}\u{61c}\u{2028}", r"\u{2066}\u{2069}\u{200f}\u{61c}\u{2028}"),
            ("pay\u{200b}pal \u{feff}\u{e0041}", r"pay\u{200b}pal \u{feff}\u{e0041}"),
        ] {
            assert_eq!(sanitise(text, 1_000), shown, "{text:?}");
        }
    }

    #[test]
    fn cuts_only_what_is_longer() {
        assert_eq!(sanitise("äöü", 3), "äöü");
        assert_eq!(sanitise("äöüß", 3), "äöü...");
        assert_eq!(sanitise("a", 0), "...");
    }
}
