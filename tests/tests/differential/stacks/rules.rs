//! What may differ, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use oci_fetcher_tests::compare::{Aspect, Difference, Tree};

use super::generate::Planned;
use super::plan::Item;

/// Who unpacked what is on the right; on the left is the program, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Other {
    Sequential,
    LowestLast,
    Memory,
    Flattened,
    Umoci,
    GnuTar,
}

impl Other {
    pub(crate) const ALL: [Self; 6] =
        [Self::Memory, Self::Sequential, Self::LowestLast, Self::Flattened, Self::Umoci, Self::GnuTar];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sequential => "the program, one layer at a time",
            Self::LowestLast => "the program, the lowest layer coming last",
            Self::Memory => "memory",
            Self::Flattened => "the flattened tar, read by GNU tar",
            Self::Umoci => "umoci",
            Self::GnuTar => "GNU tar and the whiteout rules",
        }
    }
}

/// A difference that is none.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    applies: fn(&Seen<'_>) -> bool,
}

/// What a rule judges.
pub(crate) struct Seen<'s> {
    pub(crate) other: Other,
    pub(crate) planned: &'s Planned,
    pub(crate) disk: &'s Tree,
    /// Seconds since 1970 when the first stack was unpacked.
    pub(crate) started: i64,
    pub(crate) found: Found<'s>,
}

pub(crate) enum Found<'s> {
    Difference(&'s Difference),
    /// The other one gave up, saying this.
    Failure(&'s str),
}

impl Seen<'_> {
    /// Tells whether the difference is a directory's.
    fn is_directory(&self) -> bool {
        let Found::Difference(difference) = &self.found else { return false };
        self.disk.is_directory(&difference.path)
    }

    /// Tells whether the other one's time is that of this run.
    fn is_stamped_now(&self) -> bool {
        let Found::Difference(difference) = &self.found else { return false };
        let seconds = difference.right.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok());
        difference.aspect == Some(Aspect::Modified)
            && seconds.is_some_and(|seconds| seconds >= self.started && seconds < self.started + 100_000)
    }
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "implied directories have the time of unpacking",
        reason: "layer.md does not say what a directory has that no entry names: here it is 1970, the same each time",
        applies: |seen| {
            let Found::Difference(difference) = &seen.found else { return false };
            let is_other = matches!(seen.other, Other::Umoci | Other::GnuTar);
            is_other && difference.left == "0.000000000" && seen.is_directory() && seen.is_stamped_now()
        },
    },
    Rule {
        name: "GNU tar makes nothing where a dangling symlink leads",
        reason: "layer.md does not say; inside the root, a runtime would find it there after mkdir -p",
        applies: |seen| {
            let Found::Failure(said) = seen.found else { return false };
            seen.other == Other::GnuTar && seen.planned.dangles && said.contains("Cannot")
        },
    },
    Rule {
        name: "umoci touches a directory in which it makes an implied one",
        reason: "layer.md: an entry for a directory sets its time, and nothing names what is made in it",
        applies: |seen| seen.other == Other::Umoci && seen.is_directory() && seen.is_stamped_now(),
    },
    Rule {
        name: "implied directories get the group and the bit of a setgid directory",
        reason: "that is Linux's mkdir; layer.md is silent, and here they are 0755 and 0:0 wherever they are made",
        applies: |seen| {
            let Found::Difference(at) = &seen.found else { return false };
            let inherits = match at.aspect {
                Some(Aspect::Mode) => at.left == "0755" && at.right == "2755",
                Some(Aspect::Owner) => at.left == "0:0" && at.right.starts_with("0:"),
                _ => false,
            };
            matches!(seen.other, Other::Umoci | Other::GnuTar) && inherits && seen.is_directory()
        },
    },
    Rule {
        name: "GNU tar leaves a directory the bit that it got from a setgid directory",
        reason: "layer.md: an entry sets the mode of what it names, and this one has no such bit",
        applies: |seen| {
            let Found::Difference(at) = &seen.found else { return false };
            let mode = |text: &str| u32::from_str_radix(text, 8).unwrap_or_default();
            let adds_it = at.aspect == Some(Aspect::Mode) && mode(&at.right) == mode(&at.left) | 0o2000;
            seen.other == Other::GnuTar && adds_it && seen.is_directory()
        },
    },
    Rule {
        name: "umoci leaves a hidden directory its metadata, if its layer writes into it",
        reason: "layer.md: a whiteout hides what is lower, with its metadata, wherever it stands among the entries",
        applies: |seen| {
            let Found::Difference(at) = &seen.found else { return false };
            let is_implied = match at.aspect {
                Some(Aspect::Mode) => at.left == "0755",
                Some(Aspect::Owner) => at.left == "0:0",
                Some(Aspect::Modified) => at.left == "0.000000000",
                Some(Aspect::Xattrs) => at.left == "none",
                _ => false,
            };
            let hides = seen.planned.stack.items().any(Item::is_mark);
            seen.other == Other::Umoci && is_implied && hides && seen.is_directory()
        },
    },
    Rule {
        name: "umoci sets no attribute with an empty value",
        reason: "Go's archive/tar takes an empty value for a record that is withdrawn; Linux has such attributes",
        applies: |seen| {
            let Found::Difference(difference) = &seen.found else { return false };
            let empty = "user.a=\"\"";
            let rest: Vec<&str> = difference.left.split(',').filter(|attribute| *attribute != empty).collect();
            let rest = if rest.is_empty() { "none".to_owned() } else { rest.join(",") };
            seen.other == Other::Umoci && difference.aspect == Some(Aspect::Xattrs) && difference.right == rest
        },
    },
];

/// How often each rule applied.
#[derive(Debug, Default)]
pub(crate) struct Applied(Mutex<BTreeMap<&'static str, usize>>);

impl Applied {
    /// Tells whether a rule allows what was seen, and counts it.
    pub(crate) fn allows(&self, seen: &Seen<'_>) -> bool {
        let Some(rule) = RULES.iter().find(|rule| (rule.applies)(seen)) else { return false };
        *self.0.lock().expect("no one panics with it").entry(rule.name).or_default() += 1;
        true
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().expect("no one panics with it");
        for Rule { name, reason, .. } in RULES {
            let count = counts.get(name).copied().unwrap_or_default();
            writeln!(f, "  allowed {count:>6} times: {name}\n{:17}({reason})", "")?;
        }
        Ok(())
    }
}
