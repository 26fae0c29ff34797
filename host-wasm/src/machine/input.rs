//! Answers from JSON and bytes.

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::pull::{Failure as Broken, FailureKind, Input, JobId, Stored, Verdict};
use oci_fetcher_core::request::{Headers, ResponseHead};
use serde::Deserialize;

use crate::error::Failure;
use crate::json;

/// Every answer's properties; `input` says which of them count.
///
/// One flat type, where an enum would cost ten kilobytes of the module.
#[derive(Deserialize)]
struct Answer {
    input: String,
    job: Option<u64>,
    digest: Option<Digest>,
    status: Option<u16>,
    headers: Option<Vec<(String, String)>>,
    stored: Option<Held>,
    held: Option<u64>,
    verdict: Option<String>,
    kind: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Held {
    Bytes(u64),
    Word(String),
}

/// Reads an answer.
pub(super) fn from_json(text: &str, bytes: Vec<u8>) -> Result<Input, Failure> {
    let answer: Answer = json::parse("input", text)?;
    let name = answer.input.as_str();
    if name == "tick" {
        return Ok(Input::Tick);
    }
    let missing = |property: &str| Failure::usage(format!("the input {name} lacks {property}"));
    let job = JobId(answer.job.ok_or_else(|| missing("a job"))?);
    let head = |status: Option<u16>, headers: Option<Vec<(String, String)>>| {
        let headers = Headers::from_iter(headers.unwrap_or_default());
        Ok::<_, Failure>(ResponseHead { status: status.ok_or_else(|| missing("a status"))?, headers })
    };
    Ok(match name {
        "found" => Input::Found { job, bytes },
        "recalled" => Input::Recalled { job, digest: answer.digest.ok_or_else(|| missing("a digest"))? },
        "missing" => Input::Missing { job },
        "response" => Input::Response { job, head: head(answer.status, answer.headers)?, body: bytes },
        "opened" => Input::Opened { job, stored: stored(answer.stored).ok_or_else(|| missing("what is stored"))? },
        "head" => Input::Head { job, head: head(answer.status, answer.headers)?, error: bytes },
        "body-end" => Input::BodyEnd { job, held: answer.held.ok_or_else(|| missing("what is held"))? },
        "sealed" => {
            let verdict = answer.verdict.as_deref().and_then(verdict).ok_or_else(|| missing("a verdict"))?;
            Input::Sealed { job, verdict }
        }
        "failed" => {
            let kind = answer.kind.as_deref().and_then(kind).ok_or_else(|| missing("a kind"))?;
            let failure = Broken { kind, message: answer.message.unwrap_or_default() };
            Input::Failed { job, failure, held: answer.held.unwrap_or(0) }
        }
        _ => return Err(Failure::usage(format!("there is no input {name}"))),
    })
}

fn stored(held: Option<Held>) -> Option<Stored> {
    match held? {
        Held::Bytes(length) => Some(Stored::Partial { length }),
        Held::Word(word) => (word == "complete").then_some(Stored::Complete),
    }
}

fn verdict(name: &str) -> Option<Verdict> {
    Some(match name {
        "verified" => Verdict::Verified,
        "wrong" => Verdict::Wrong,
        "host-failed" => Verdict::HostFailed,
        _ => return None,
    })
}

fn kind(name: &str) -> Option<FailureKind> {
    Some(match name {
        "unknown-host" => FailureKind::UnknownHost,
        "connect" => FailureKind::Connect,
        "tls" => FailureKind::Tls,
        "plain-http" => FailureKind::PlainHttp,
        "timed-out" => FailureKind::TimedOut,
        "broken" => FailureKind::Broken,
        "too-large" => FailureKind::TooLarge,
        "forbidden" => FailureKind::Forbidden,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_read() {
        for (text, expected) in [
            (r#"{"input":"tick"}"#, "Tick"),
            (r#"{"input":"missing","job":7}"#, "Missing { job: JobId(7) }"),
            (r#"{"input":"found","job":1}"#, "Found { job: JobId(1), bytes: [1, 2] }"),
            (r#"{"input":"opened","job":1,"stored":0}"#, "Opened { job: JobId(1), stored: Partial { length: 0 } }"),
            (r#"{"input":"opened","job":1,"stored":"complete"}"#, "Opened { job: JobId(1), stored: Complete }"),
            (r#"{"input":"body-end","job":1,"held":9}"#, "BodyEnd { job: JobId(1), held: 9 }"),
            (r#"{"input":"sealed","job":1,"verdict":"wrong"}"#, "Sealed { job: JobId(1), verdict: Wrong }"),
        ] {
            let input = from_json(text, vec![1, 2]).expect(text);
            assert_eq!(format!("{input:?}"), expected);
        }
        let head = r#"{"input":"head","job":1,"status":404,"headers":[["A","b"]]}"#;
        let Input::Head { head, error, .. } = from_json(head, vec![3]).expect("well-formed") else { panic!("a head") };
        assert_eq!((head.status, head.headers.get("a"), error.as_slice()), (404, Some("b"), &[3][..]));
        let failed = r#"{"input":"failed","job":1,"kind":"broken","message":"m","held":5}"#;
        let Input::Failed { failure, held: 5, .. } = from_json(failed, Vec::new()).expect("well-formed") else {
            panic!("a failure")
        };
        assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Broken, "m"));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"input":"found"}"#,
            r#"{"input":"nothing","job":1}"#,
            r#"{"input":"opened","job":1,"stored":"half"}"#,
            r#"{"input":"sealed","job":1,"verdict":"well"}"#,
            r#"{"input":"failed","job":1,"kind":"sad"}"#,
            r#"{"input":"recalled","job":1,"digest":"sha256:x"}"#,
            r#"{"input":"response","job":1}"#,
        ] {
            assert_eq!(from_json(text, Vec::new()).expect_err(text).code(), "usage", "{text}");
        }
    }
}
