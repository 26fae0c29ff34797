//! What a host made of a case, and whether that will do.

use std::time::Duration;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::hostile::{Case, Outcome};

use super::hosts::CRASHED;
use super::stage::{Stage, secrets};

/// What a host answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Who answers.
    pub(crate) host: &'static str,
    /// 0, or the exit code of the error.
    pub(crate) exit: i64,
    /// The error's code.
    pub(crate) code: String,
    /// All that was printed, or could be.
    pub(crate) shown: String,
    pub(crate) elapsed: Duration,
}

impl Answer {
    /// Says what came of it, in the words that cases expect.
    fn words(&self) -> String {
        if self.exit == 0 { "works".to_owned() } else { format!("{} ({})", self.code, self.exit) }
    }

    /// Judges one of our hosts.
    pub(crate) fn judge(&self, case: &Case, stage: &Stage) -> Outcome {
        let checks = [
            self.expected(case),
            stage.trespass().map_or(Ok(()), Err),
            self.tells_nothing(),
            self.destination(stage),
            cache(stage),
            self.effort(stage),
            stage.checked(self),
            stage.damage(self.host).map_or(Ok(()), Err),
        ];
        let faults: Vec<String> = checks.into_iter().filter_map(Result::err).collect();
        if faults.is_empty() {
            Outcome::Passed
        } else {
            Outcome::Failed(format!("{}\n{}", faults.join("\n"), self.shown))
        }
    }

    /// Says in a word what another program made of it.
    pub(crate) fn describe(&self, case: &Case, stage: &Stage) -> Outcome {
        let word = if self.code == CRASHED {
            "crashes"
        } else if stage.trespass().is_some() {
            "leaks"
        } else if self.elapsed > PATIENCE || stage.requests() > stage.most_requests {
            "endless"
        } else if steers_a_terminal(&self.shown) {
            "prints"
        } else {
            match (self.exit, case.expected) {
                (0, "works") => "works",
                (0, _) => "accepts",
                (_, "works") => "fails",
                (_, _) => "refuses",
            }
        };
        Outcome::Other(word.to_owned())
    }

    fn expected(&self, case: &Case) -> Result<(), String> {
        let words = self.words();
        if case.expected.split(" or ").any(|expected| expected == words) {
            Ok(())
        } else {
            Err(format!("{words} instead of {}", case.expected))
        }
    }

    fn tells_nothing(&self) -> Result<(), String> {
        if let Some(secret) = secrets().iter().find(|secret| self.shown.contains(*secret)) {
            return Err(format!("{secret} is shown"));
        }
        if steers_a_terminal(&self.shown) { Err(format!("{:?} steers a terminal", self.shown)) } else { Ok(()) }
    }

    /// Absent after a failure.
    fn destination(&self, stage: &Stage) -> Result<(), String> {
        let is_there = stage.place.path(&format!("parent/{}", self.host)).symlink_metadata().is_ok();
        if is_there && self.exit != 0 { Err("the destination is there after a failure".to_owned()) } else { Ok(()) }
    }

    fn effort(&self, stage: &Stage) -> Result<(), String> {
        let requests = stage.requests();
        if requests > stage.most_requests {
            return Err(format!("{requests} requests"));
        }
        if self.elapsed > Duration::from_secs(stage.most_seconds) {
            return Err(format!("took {:?}", self.elapsed));
        }
        Ok(())
    }
}

/// How long other programs are waited for; they are told to end a little later.
const PATIENCE: Duration = Duration::from_millis(9_500);

/// Every blob hashes to its name, and no temporary file is left.
fn cache(stage: &Stage) -> Result<(), String> {
    let list = |name: &str| if stage.place.path(name).is_dir() { stage.place.names(name) } else { Vec::new() };
    for (algorithm, name) in [(Algorithm::Sha256, "sha256"), (Algorithm::Sha512, "sha512")] {
        let folder = format!("cache/blobs/{name}");
        for encoded in list(&folder) {
            let path = stage.place.path(&format!("{folder}/{encoded}"));
            // A link that a case planted is nobody's blob.
            if path.is_symlink() {
                continue;
            }
            let digest = Digest::of(algorithm, &std::fs::read(&path).unwrap_or_default());
            if digest.encoded() != encoded {
                return Err(format!("{encoded} is in the cache and hashes to {digest}"));
            }
        }
    }
    match list("cache/partial").into_iter().find(|name| name.starts_with(".tmp-") || name.ends_with(".lock")) {
        Some(left) => Err(format!("{left} is left in the cache")),
        None => Ok(()),
    }
}

/// Tells whether a text holds what a terminal obeys, or what reorders or hides its characters.
fn steers_a_terminal(text: &str) -> bool {
    text.chars().any(|character| {
        (character.is_control() && !matches!(character, '\n' | '\t'))
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}
