//! A case as it is written down: layers, and what has to come of them.

use std::collections::BTreeMap;

use oci_fetcher_tests::hostile::Case;
use oci_fetcher_tests::image::{Image, Layer};

use super::node::Node;

/// Where an archive is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Host {
    /// The program as root, into a directory.
    Root,
    /// The program as somebody without privileges, into a directory.
    User,
    /// The core and its file system in memory, in this process.
    Memory,
    /// The npm package in Node, into memory.
    Wasm,
    /// The npm package in Node as root, into a directory.
    Node,
}

impl Host {
    pub(crate) const ALL: [Self; 5] = [Self::Root, Self::User, Self::Memory, Self::Wasm, Self::Node];

    /// Returns the column's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
            Self::Memory => "memory",
            Self::Wasm => "wasm",
            Self::Node => "node",
        }
    }

    /// Tells whether it writes to a disk.
    pub(crate) const fn is_disk(self) -> bool {
        matches!(self, Self::Root | Self::User | Self::Node)
    }
}

/// What has to come of a case.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// This tree, the root included.
    Tree(Vec<Node>),
    /// An error with this exit code and this stable code.
    Error { exit: i64, code: &'static str },
    /// The case has no meaning there.
    Absent(&'static str),
}

/// A case: what is served, and what has to come of it on each host.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) image: Image,
    pub(crate) layers: Vec<Layer>,
    pub(crate) expected: Expected,
    /// Where a host differs.
    pub(crate) exceptions: BTreeMap<Host, Expected>,
    /// Limits that are not the defaults, by the name of their field.
    pub(crate) limits: Vec<(&'static str, u64)>,
    /// What the report must say for reasons of policy or portability, and nothing else of that kind: path, kind and
    /// name, joined by spaces.
    pub(crate) reports: Vec<&'static str>,
    /// Part of a warning that must be given.
    pub(crate) warns: Option<&'static str>,
    /// What becomes of names that Windows cannot hold, where it is not nothing: `report` or `refuse`.
    pub(crate) names: Option<&'static str>,
    /// What the pull may hold in memory at the most, in MiB.
    pub(crate) memory: u64,
    /// Whether files with holes must come to less on a disk than their size.
    pub(crate) holes: bool,
    /// Pulls a second time over the first.
    pub(crate) twice: bool,
}

/// Starts a row; what has to come of it is told by [`Start::gives`] or [`Start::fails`].
pub(crate) fn row<N: Into<String>>(
    number: u16,
    name: N,
    ids: &'static [&'static str],
    layers: impl IntoIterator<Item = Layer>,
) -> Start {
    Start { number, name: String::leak(name.into()), ids, layers: layers.into_iter().collect() }
}

/// A row without an expectation.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    number: u16,
    name: &'static str,
    ids: &'static [&'static str],
    layers: Vec<Layer>,
}

impl Start {
    /// Expects a tree, by its [nodes](Node::read).
    pub(crate) fn gives<L: AsRef<str>>(self, lines: impl IntoIterator<Item = L>) -> Row {
        let lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        let shown: Vec<String> = lines.iter().map(|line| short(line, 24)).collect();
        let shown = if shown.is_empty() { "nothing".to_owned() } else { short(&shown.join(", "), 56) };
        let expected = Expected::Tree(Node::read_tree(lines));
        self.row(shown.leak(), expected)
    }

    /// Expects an error.
    pub(crate) fn fails(self, exit: i64, code: &'static str) -> Row {
        self.row(code, Expected::Error { exit, code })
    }

    /// Expects that it is refused as unsafe, or over a limit.
    pub(crate) fn refused(self, code: &'static str) -> Row {
        self.fails(7, code)
    }

    /// Expects that it is found to be malformed.
    pub(crate) fn malformed(self, code: &'static str) -> Row {
        self.fails(6, code)
    }

    fn row(self, shown: &'static str, expected: Expected) -> Row {
        let Self { number, name, ids, layers } = self;
        let image = layers.iter().cloned().fold(Image::new().platform("linux/amd64"), Image::layer);
        Row {
            case: Case { number, name, ids, expected: shown },
            image,
            layers,
            expected,
            exceptions: BTreeMap::new(),
            limits: Vec::new(),
            reports: Vec::new(),
            warns: None,
            names: None,
            memory: 160,
            holes: false,
            twice: false,
        }
    }
}

impl Row {
    /// Expects something else on a host.
    pub(crate) fn on(mut self, host: Host, expected: Expected) -> Self {
        self.exceptions.insert(host, expected);
        self
    }

    /// Leaves hosts out, for a reason.
    pub(crate) fn absent(self, hosts: &[Host], reason: &'static str) -> Self {
        hosts.iter().fold(self, |row, host| row.on(*host, Expected::Absent(reason)))
    }

    /// Sets a limit, by the name of its field.
    pub(crate) fn limit(mut self, field: &'static str, value: u64) -> Self {
        self.limits.push((field, value));
        self
    }

    /// Expects that something is left out by policy, and told.
    pub(crate) fn reports(mut self, item: &'static str) -> Self {
        self.reports.push(item);
        self
    }

    /// Expects a warning that holds this text.
    pub(crate) fn warns(mut self, text: &'static str) -> Self {
        self.warns = Some(text);
        self
    }

    /// Has names that Windows cannot hold reported or refused.
    pub(crate) fn names(mut self, policy: &'static str) -> Self {
        self.names = Some(policy);
        self
    }

    /// Lets the pull take more memory, in MiB.
    pub(crate) fn memory(mut self, mebibytes: u64) -> Self {
        self.memory = mebibytes;
        self
    }

    /// Expects that what is written takes less than its size.
    pub(crate) fn holes(mut self) -> Self {
        self.holes = true;
        self
    }

    /// Pulls again over what the first pull has left.
    pub(crate) fn twice(mut self) -> Self {
        self.twice = true;
        self
    }

    /// Returns what has to come of it on a host.
    pub(crate) fn expected_on(&self, host: Host) -> &Expected {
        self.exceptions.get(&host).unwrap_or(&self.expected)
    }
}

/// Cuts a text that is too long for a table.
fn short(text: &str, most: usize) -> String {
    let escaped = text.escape_debug().to_string();
    if escaped.chars().count() <= most {
        return escaped;
    }
    escaped.chars().take(most - 1).chain(['…']).collect()
}
