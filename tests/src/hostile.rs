//! The table that the hostile suite fills: what was tried, what had to come of it, what came on each host.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// One case: what is served, and what has to come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    /// The number of the attack that it belongs to; several cases may share one.
    pub number: u16,
    /// What is tried, in a few words.
    pub name: &'static str,
    /// Where others fell: identifiers of advisories.
    pub ids: &'static [&'static str],
    /// What has to come of it, in a few words: `refused`, `e in the root`, an error's code.
    pub expected: &'static str,
}

/// What came of a case on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was expected.
    Passed,
    /// Something else, told in full.
    Failed(String),
    /// The case has no meaning on this host, for this reason.
    Absent(&'static str),
    /// Not ours: what another program made of it, in a word or two.
    Other(String),
}

/// The cases of a run, with their outcomes on each host.
///
/// ```
/// use oci_fetcher_tests::hostile::{Case, Outcome, Table};
///
/// let case = Case { number: 1, name: "../e", ids: &["CVE-2007-4559"], expected: "refused" };
/// let mut table = Table::new("Archives", &["root", "memory"]);
/// table.record(case, "root", Outcome::Passed);
/// table.record(case, "memory", Outcome::Failed("e was made".to_owned()));
/// assert_eq!((table.passed(), table.failed()), (1, 1));
/// assert!(table.to_string().contains("CVE-2007-4559"));
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    title: &'static str,
    hosts: Vec<&'static str>,
    rows: Vec<(Case, BTreeMap<&'static str, Outcome>)>,
}

impl Table {
    /// Starts an empty table with a column for each host.
    #[must_use]
    pub fn new(title: &'static str, hosts: &[&'static str]) -> Self {
        Self { title, hosts: hosts.to_vec(), rows: Vec::new() }
    }

    /// Records what came of a case on a host.
    ///
    /// # Panics
    ///
    /// Panics if the table has no such column, or has this outcome already.
    pub fn record(&mut self, case: Case, host: &'static str, outcome: Outcome) {
        assert!(self.hosts.contains(&host), "no column is for {host}");
        let row = match self.rows.iter().position(|(known, _)| *known == case) {
            Some(row) => row,
            None => {
                self.rows.push((case, BTreeMap::new()));
                self.rows.len() - 1
            }
        };
        let before = self.rows[row].1.insert(host, outcome);
        assert!(before.is_none(), "{} ({}) was recorded twice for {host}", case.name, case.number);
    }

    /// Returns how many outcomes were as expected.
    #[must_use]
    pub fn passed(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Passed)
    }

    /// Returns how many outcomes were not; a host that a case was not run on counts as one.
    #[must_use]
    pub fn failed(&self) -> usize {
        let missing: usize = self.rows.iter().map(|(_, outcomes)| self.hosts.len() - outcomes.len()).sum();
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) + missing
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.rows.iter().flat_map(|(_, outcomes)| outcomes.values()).filter(|outcome| which(outcome)).count()
    }
}

/// Number, name, ids, expectation, and a column for each host; the failures in full below, and the
/// reasons for what is absent.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(case, _)| case.number);
        let width = |text: fn(&Case) -> usize| rows.iter().map(|(case, _)| text(case)).max().unwrap_or(0);
        let (name, expected) = (width(|case| case.name.chars().count()), width(|case| case.expected.chars().count()));
        writeln!(f, "\n{}", self.title)?;
        write!(f, "{:>3}  {:name$}  {:expected$}", "no.", "case", "expected")?;
        self.hosts.iter().try_for_each(|host| write!(f, "  {host:>8}"))?;
        writeln!(f, "  ids")?;
        let (mut details, mut absent) = (String::new(), BTreeMap::<_, usize>::new());
        for (case, outcomes) in rows {
            write!(f, "{:>3}  {:name$}  {:expected$}", case.number, case.name, case.expected)?;
            for host in &self.hosts {
                let word = match outcomes.get(host) {
                    Some(Outcome::Passed) => "pass",
                    Some(Outcome::Other(word)) => word,
                    Some(Outcome::Absent(reason)) => {
                        *absent.entry((*host, *reason)).or_default() += 1;
                        "-"
                    }
                    Some(Outcome::Failed(what)) => {
                        writeln!(details, "FAILED {} {} on {host}:\n{what}", case.number, case.name)?;
                        "FAIL"
                    }
                    None => {
                        writeln!(details, "FAILED {} {} on {host}: was not run", case.number, case.name)?;
                        "FAIL"
                    }
                };
                write!(f, "  {word:>8}")?;
            }
            writeln!(f, "  {}", case.ids.join(" "))?;
        }
        for ((host, reason), count) in absent {
            writeln!(f, "- on {host}, {count} times: {reason}")?;
        }
        f.write_str(&details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: Case = Case { number: 7, name: "a case", ids: &[], expected: "refused" };

    #[test]
    fn a_host_that_did_not_run_a_case_is_a_failure() {
        let mut table = Table::new("Archives", &["root", "memory"]);
        table.record(CASE, "root", Outcome::Passed);
        assert_eq!((table.passed(), table.failed()), (1, 1));
        assert!(table.to_string().contains("FAILED 7 a case on memory: was not run"), "{table}");
    }

    #[test]
    fn what_does_not_apply_and_what_others_do_is_neither() {
        let mut table = Table::new("Archives", &["memory", "umoci"]);
        table.record(CASE, "memory", Outcome::Absent("it has no devices"));
        table.record(CASE, "umoci", Outcome::Other("escaped".to_owned()));
        assert_eq!((table.passed(), table.failed()), (0, 0));
        assert!(table.to_string().contains("- on memory, 1 times: it has no devices"), "{table}");
    }
}
