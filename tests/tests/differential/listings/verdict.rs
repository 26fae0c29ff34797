//! When all others agree, and we do not.

use super::listed::Listing;

/// What we do on purpose, whatever all others do.
pub(crate) struct Deliberate {
    /// Our error's code, or what differs.
    pub(crate) what: &'static str,
    pub(crate) reason: &'static str,
}

/// Applies to damaged archives only: a sound one is never refused.
pub(crate) const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        what: "tar-data-after-zero-block",
        reason: "others end at a zero block, and do not see that the rest was cut off from the archive",
    },
    Deliberate { what: "tar-truncated", reason: "others do not miss the padding of what comes last" },
    Deliberate {
        what: "tar-number",
        reason: "others read what they like, 0 for instance, where a field or record holds no number",
    },
    Deliberate {
        what: "tar-pax-record",
        reason: "others pass over a record that they cannot read, or the rest of them",
    },
    Deliberate {
        what: "tar-two-names",
        reason: "one name in a pax record and another in a GNU long name: others choose",
    },
    Deliberate {
        what: "name-with-prefix",
        reason: "old Go wrote a prefix into GNU headers, where others expect times and ignore what is none",
    },
    Deliberate { what: "tar-type-flag", reason: "others read X as x, and unknown kinds as files" },
    Deliberate { what: "tar-sparse", reason: "an S in a header that is not GNU's, or a map of nonsense" },
    Deliberate { what: "unsafe-name", reason: "an empty name, one with a NUL, or one that leads out of the root" },
    Deliberate { what: "root-replaced", reason: "a file under the name of the root" },
    Deliberate { what: "unsafe-link-target", reason: "an empty target, or one with a NUL, where others cut it off" },
];

/// Something in which all others agree against us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Against {
    /// For the list of what is deliberate.
    pub(crate) what: String,
    /// For people.
    pub(crate) told: String,
}

/// Judges our view by those of others, GNU tar first.
pub(crate) fn judge(ours: &Listing, others: &[&Listing]) -> Vec<Against> {
    if others.iter().all(|other| other.refusal.is_some()) {
        // GNU tar goes on behind what it refuses. If the rest stop at different places, each has a
        // reason of its own.
        let [_, stopping @ ..] = others else { return Vec::new() };
        if stopping.windows(2).any(|pair| pair[0].members.len() != pair[1].members.len()) {
            return Vec::new();
        }
        return match &ours.refusal {
            Some(_) => Vec::new(),
            None => vec![against("accepted", "all others refuse it")],
        };
    }
    if let Some(code) = &ours.refusal {
        let count = others[0].members.len();
        let all_content = others.iter().all(|other| other.refusal.is_none() && other.members.len() == count);
        let same = |index: usize| others.iter().all(|left| others.iter().all(|right| agree(left, right, index)));
        if all_content && (0..count).all(same) {
            return vec![against(code, &format!("all others read {count} members"))];
        }
        return Vec::new();
    }
    if others.iter().any(|other| other.refusal.is_some()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let count = others[0].members.len();
    if count != ours.members.len() && others.iter().all(|other| other.members.len() == count) {
        found.push(against("members", &format!("{} for us, {count} for all others", ours.members.len())));
    }
    for (index, member) in ours.members.iter().enumerate() {
        for (field, (name, value)) in member.fields().into_iter().enumerate() {
            let of_others: Vec<Option<String>> = others
                .iter()
                .map(|other| other.members.get(index).and_then(|member| member.fields()[field].1.clone()))
                .collect();
            let (Some(value), Some(theirs)) = (value, of_others[0].clone()) else { continue };
            if value != theirs && of_others.iter().all(|other| other.as_ref() == Some(&theirs)) {
                let has_prefix = name == "name" && value.ends_with(&format!("/{theirs}"));
                let name = if has_prefix { "name-with-prefix" } else { name };
                found.push(against(name, &format!("member {index}: {value} for us, {theirs} for all others")));
            }
        }
    }
    found
}

fn agree(left: &Listing, right: &Listing, index: usize) -> bool {
    let (left, right) = (left.members[index].fields(), right.members[index].fields());
    left.iter().zip(&right).all(|((_, left), (_, right))| left.is_none() || right.is_none() || left == right)
}

fn against(what: &str, told: &str) -> Against {
    Against { what: what.to_owned(), told: told.to_owned() }
}
