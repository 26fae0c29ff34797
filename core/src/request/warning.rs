//! `Warning` (RFC 7234 section 5.5, as distribution-spec 1.1, "Warnings", narrows it).

use super::Headers;
use super::field::Field;
use crate::sanitise::{EXCERPT_CHARS, sanitise};

/// Returns what a registry wants its user to read, fit for a terminal, in order and each text once.
///
/// As the specification asks, only warnings with code 299, agent `-` and no date count. At most 16 are
/// returned, each of at most [`EXCERPT_CHARS`] characters.
///
/// ```
/// use oci_fetcher_core::request::{Headers, warnings};
///
/// let headers = Headers::from_iter([("warning", r#"299 - "this tag goes away soon""#)]);
/// assert_eq!(warnings(&headers), ["this tag goes away soon"]);
/// ```
#[must_use]
pub fn warnings(headers: &Headers) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for value in headers.all("warning") {
        let mut field = Field::new(value);
        loop {
            field.skip_commas();
            if field.is_empty() {
                break;
            }
            if let Some(text) = read(&mut field).map(|text| sanitise(text.trim(), EXCERPT_CHARS))
                && !text.is_empty()
                && !texts.contains(&text)
            {
                if texts.len() == MAX_WARNINGS {
                    return texts;
                }
                texts.push(text);
            }
            field.skip_element();
        }
    }
    texts
}

/// Bounds what one response may show and cost.
const MAX_WARNINGS: usize = 16;

fn read(field: &mut Field<'_>) -> Option<String> {
    let code = field.token();
    field.skip_space();
    let agent = field.token();
    field.skip_space();
    let text = field.quoted()?;
    field.skip_space();
    let dated = !(field.is_empty() || field.peek(|field| field.eat(',')));
    (code == "299" && agent == "-" && !dated).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_the_specification_allows() {
        for (values, texts) in [
            (&[r#"299 - "a", 299 - "b, c""#][..], &["a", "b, c"][..]),
            (&[r#"299 - "a""#, r#"299 - "b""#, r#"299 - "a""#], &["a", "b"]),
            (&[r#"299 - "say \"hi\"""#], &[r#"say "hi""#]),
            (&["299 - \"\u{1b}[31mred\u{202e}\""], &[r"\u{1b}[31mred\u{202e}"]),
            (&[r#"199 - "other code", 299 - "a""#], &["a"]),
            (&[r#"299 host:80 "other agent", 299 - "a""#], &["a"]),
            (&[r#"299 - "dated" "Sun, 06 Nov 1994 08:49:37 GMT", 299 - "a""#], &["a"]),
            (&["299 - unquoted, 299 -, 299, , \"x\", 299 - \"a\""], &["a"]),
            (&[r#"299 - """#], &[]),
            (&[""], &[]),
        ] {
            let headers = values.iter().map(|value| ("Warning", value)).collect();
            assert_eq!(warnings(&headers), texts, "{values:?}");
        }
    }

    #[test]
    fn is_bounded() {
        let many: Vec<_> = (0..100).map(|number| format!("299 - \"{number}\"")).collect();
        let long = format!("299 - \"{}\"", "x".repeat(10_000));
        let headers = [("warning", long), ("warning", many.join(","))].into_iter().collect();
        let shown = warnings(&headers);
        assert_eq!(shown.len(), MAX_WARNINGS);
        assert_eq!(shown[0].len(), EXCERPT_CHARS + "...".len());
    }
}
