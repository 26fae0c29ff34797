//! Names that Windows cannot hold, or takes for something else (Microsoft's "Naming Files, Paths, and
//! Namespaces").

use std::fmt;

/// What becomes of names that Windows cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamePolicy {
    /// They are names like others.
    #[default]
    Any,
    /// They are made, and reported.
    Report,
    /// They are an error: for hosts that are such a system.
    Refuse,
}

/// Why a name is none on Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unportable {
    /// It would be split: a backslash separates names, as in `\\?\C:\x`.
    Separator,
    /// It names a drive, or a stream of another file.
    Colon,
    /// It holds a control character or one of `<`, `>`, `"`, `|`, `?`, `*`.
    Character,
    /// It is a device's, as `CON` and `nul.txt`.
    Device,
    /// It ends in a dot or space, which Windows drops: another name is meant then.
    Ending,
    /// It is not UTF-8, so that no name of UTF-16 stands for it.
    Encoding,
}

impl Unportable {
    /// Judges one name, without slashes; `None` means that Windows can hold it.
    ///
    /// ```
    /// use oci_fetcher_core::entry::Unportable;
    ///
    /// assert_eq!(Unportable::of(b"C:evil"), Some(Unportable::Colon));
    /// assert_eq!(Unportable::of(b"nul.txt"), Some(Unportable::Device));
    /// assert_eq!(Unportable::of(b"console"), None);
    /// ```
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        let Ok(text) = str::from_utf8(name) else { return Some(Self::Encoding) };
        if text.contains('\\') {
            return Some(Self::Separator);
        }
        if text.contains(':') {
            return Some(Self::Colon);
        }
        if text.chars().any(|character| character < ' ' || "<>\"|?*".contains(character)) {
            return Some(Self::Character);
        }
        if is_device(text) {
            return Some(Self::Device);
        }
        text.ends_with(['.', ' ']).then_some(Self::Ending)
    }
}

impl fmt::Display for Unportable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Separator => "a backslash separates names there",
            Self::Colon => "a colon names a drive or a stream there",
            Self::Character => "it holds a character that no name has there",
            Self::Device => "it is a device's there",
            Self::Ending => "a dot or space at its end is dropped there",
            Self::Encoding => "it is not UTF-8",
        })
    }
}

/// A device's name means the device whatever follows a dot, and whatever spaces stand before it.
fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    if matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    // The superscripts are digits of the code page that these names come from.
    number.is_some_and(|number| matches!(number.chars().collect::<Vec<_>>()[..], ['0'..='9' | '¹' | '²' | '³']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_windows_makes_of_names() {
        for (name, fault) in [
            (&b"a"[..], None),
            (b".hidden", None),
            (b"a.b.c", None),
            (b"a b", None),
            (b"console", None),
            (b"COM", None),
            (b"COM10", None),
            (b"LPTX", None),
            (b"xnul", None),
            ("é\u{1f980}".as_bytes(), None),
            (b"\\", Some(Unportable::Separator)),
            (b"\\\\?\\C:\\x", Some(Unportable::Separator)),
            (b"..\\x", Some(Unportable::Separator)),
            (b"C:", Some(Unportable::Colon)),
            (b"C:..", Some(Unportable::Colon)),
            (b"file:stream", Some(Unportable::Colon)),
            (b"file::$DATA", Some(Unportable::Colon)),
            (b"a\nb", Some(Unportable::Character)),
            (b"a?", Some(Unportable::Character)),
            (b"CON", Some(Unportable::Device)),
            (b"con.tar.gz", Some(Unportable::Device)),
            (b"Nul ", Some(Unportable::Device)),
            (b"nul .txt", Some(Unportable::Device)),
            (b"COM1", Some(Unportable::Device)),
            ("lpt²".as_bytes(), Some(Unportable::Device)),
            (b"CONIN$", Some(Unportable::Device)),
            (b"a.", Some(Unportable::Ending)),
            (b"a ", Some(Unportable::Ending)),
            (b"...", Some(Unportable::Ending)),
            (b"a\xff", Some(Unportable::Encoding)),
        ] {
            assert_eq!(Unportable::of(name), fault, "{}", name.escape_ascii());
        }
    }
}
