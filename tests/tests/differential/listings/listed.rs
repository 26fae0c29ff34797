//! What a reader makes of an archive.

use std::fmt;

/// A reader's view: the members it saw, and why it stopped, unless it was content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) members: Vec<Listed>,
    pub(crate) refusal: Option<String>,
}

/// One member. What a reader does not tell is `None`, and agrees with everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: Vec<u8>,
    /// As `ls` shows it; `h` is a hard link.
    pub(crate) kind: char,
    /// Of a file, with its holes.
    pub(crate) size: Option<u64>,
    pub(crate) mode: Option<u32>,
    /// Whole seconds, rounded down: not every reader tells more.
    pub(crate) modified: Option<i64>,
    pub(crate) link: Option<Vec<u8>>,
}

impl Listed {
    /// Lists the fields by name, as text, with names as the core cleans them.
    pub(crate) fn fields(&self) -> [(&'static str, Option<String>); 6] {
        let name = |name: &[u8]| name.escape_ascii().to_string();
        let link = self.link.as_ref().map(|link| if self.kind == 'h' { name(&clean(link)) } else { name(link) });
        [
            ("name", Some(name(&clean(&self.name)))),
            ("kind", Some(self.kind.to_string())),
            ("size", self.size.map(|size| size.to_string())),
            ("mode", self.mode.map(|mode| format!("{mode:o}"))),
            ("mtime", self.modified.map(|modified| modified.to_string())),
            ("link", link),
        ]
    }
}

/// Cleans a name without looking at anything but the name; one that leads out stays as it is.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut clean: Vec<&[u8]> = Vec::new();
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if clean.pop().is_none() => return name.to_vec(),
            b".." => {}
            _ => clean.push(component),
        }
    }
    clean.join(&b'/')
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for member in &self.members {
            write!(f, "   ")?;
            for (name, value) in member.fields() {
                if let Some(value) = value {
                    write!(f, " {name}={value}")?;
                }
            }
            writeln!(f)?;
        }
        match &self.refusal {
            Some(why) => writeln!(f, "    refused: {}", why.escape_debug()),
            None => Ok(()),
        }
    }
}
