//! The lexer that structured field values share (RFC 9110 section 5.6).

/// What is left of a field's value. Every method takes from the front, so that reading to the end is
/// linear.
pub(crate) struct Field<'a> {
    rest: &'a str,
}

impl<'a> Field<'a> {
    pub(crate) const fn new(value: &'a str) -> Self {
        Self { rest: value }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Skips optional white space.
    pub(crate) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Skips white space, commas and with them empty elements of a list.
    pub(crate) fn skip_commas(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// Skips to the comma that ends this element of a list; commas in quoted strings do not.
    pub(crate) fn skip_element(&mut self) {
        while !self.rest.is_empty() && !self.rest.starts_with(',') {
            if self.quoted().is_none() {
                self.rest = &self.rest[self.rest.chars().next().map_or(0, char::len_utf8)..];
            }
        }
    }

    /// Takes `expected` if it is next.
    pub(crate) fn eat(&mut self, expected: char) -> bool {
        self.rest.strip_prefix(expected).map(|rest| self.rest = rest).is_some()
    }

    /// Takes a token (RFC 9110 section 5.6.2), which may be empty where none is next.
    pub(crate) fn token(&mut self) -> &'a str {
        self.until(|character| !(character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)))
    }

    /// Takes everything before the first character that ends it.
    pub(crate) fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes a quoted string without its quotes and escapes; one that is never closed ends with the
    /// value.
    pub(crate) fn quoted(&mut self) -> Option<String> {
        let inner = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        let mut characters = inner.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &inner[at + 1..];
                    return Some(text);
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => text.push(character),
            }
        }
        self.rest = "";
        Some(text)
    }

    /// Looks ahead without taking anything.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&mut Self) -> T) -> T {
        look(&mut Self { rest: self.rest })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::{Headers, next_link, retry_after, warnings};
    use crate::url::Url;

    #[test]
    fn takes_quoted_strings_apart() {
        for (value, text, rest) in [
            (r#""a" b"#, Some("a"), " b"),
            (r#""a\"b\\c\d",x"#, Some(r#"a"b\cd"#), ",x"),
            (r#""""#, Some(""), ""),
            (r#""open, to the end"#, Some("open, to the end"), ""),
            (r#""open\"#, Some("open"), ""),
            ("\"ü\\ü\"ü", Some("üü"), "ü"),
            ("a", None, "a"),
        ] {
            let mut field = Field::new(value);
            assert_eq!((field.quoted().as_deref(), field.rest), (text, rest), "{value}");
        }
    }

    #[test]
    fn skips_an_element_with_its_quoted_commas() {
        let mut field = Field::new(r#"a="b,\",c" ü, next"#);
        field.skip_element();
        assert_eq!(field.rest, ", next");
    }

    proptest! {
        #[test]
        fn readers_end_on_any_text(value in "[29a-e<>;=,\" \\\\ä-]{0,60}") {
            let base = Url::parse("https://registry.example/").expect("well-formed");
            let headers = ["link", "warning", "retry-after", "date"].map(|name| (name, &value)).into_iter().collect();
            let _ = next_link(&headers, &base);
            prop_assert!(warnings(&headers).len() <= value.len());
            let _ = retry_after(&headers);
            prop_assert!(crate::request::ContentRange::of(&Headers::from_iter([("content-range", &value)])).is_err());
        }
    }
}
