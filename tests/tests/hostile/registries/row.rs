//! One attack: servers, what is asked of them, and what has to come of it.

use oci_fetcher_tests::hostile::Case;

use super::stage::Stage;

/// A case, with what sets its stage.
pub(crate) struct Row {
    pub(crate) case: Case,
    /// Hosts that it has no meaning on, and why.
    pub(crate) absent: Vec<(&'static str, &'static str)>,
    set: Box<dyn Fn(&mut Stage) + Send + Sync>,
}

impl Row {
    /// Makes a row. What is expected is `works`, or an error's code and exit code: `denied (4)`;
    /// an `or` stands between two where our hosts find different faults first.
    pub(crate) fn new(
        number: u16,
        name: &'static str,
        expected: &'static str,
        set: impl Fn(&mut Stage) + Send + Sync + 'static,
    ) -> Self {
        Self { case: Case { number, name, ids: &[], expected }, absent: Vec::new(), set: Box::new(set) }
    }

    /// Makes a row with a name that is put together.
    pub(crate) fn named(
        number: u16,
        name: String,
        expected: &'static str,
        set: impl Fn(&mut Stage) + Send + Sync + 'static,
    ) -> Self {
        // A few dozen names, which are needed until the end.
        Self::new(number, name.leak(), expected, set)
    }

    /// Says where others fell.
    pub(crate) fn ids(mut self, ids: &'static [&'static str]) -> Self {
        self.case.ids = ids;
        self
    }

    /// Says that the case has no meaning on these hosts.
    pub(crate) fn not_on(mut self, hosts: &[&'static str], reason: &'static str) -> Self {
        self.absent.extend(hosts.iter().map(|&host| (host, reason)));
        self
    }

    /// Says that the case is about this project's own program and package.
    pub(crate) fn ours(self, reason: &'static str) -> Self {
        self.not_on(&["skopeo", "client"], reason)
    }

    /// Says that the case is about the native program.
    pub(crate) fn native(self, reason: &'static str) -> Self {
        self.not_on(&["wasm", "skopeo", "client"], reason)
    }

    /// Starts the servers.
    pub(crate) fn stage(&self) -> Stage {
        let mut stage = Stage::new();
        stage.is_plain = self.case.expected == "works";
        (self.set)(&mut stage);
        stage
    }
}
