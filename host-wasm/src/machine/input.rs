//! Answers from JSON and bytes.

use oci_fetcher_core::pull::{Failure as Broken, FailureKind, Input, JobId, Stored, Verdict};
use oci_fetcher_core::request::{Headers, ResponseHead};
use serde_json::Value;

use crate::error::Failure;
use crate::json::Object;

/// Reads an answer.
pub(super) fn from_json(text: &str, bytes: Vec<u8>) -> Result<Input, Failure> {
    let answer = Object::parse("input", text)?;
    let name = answer.required("input")?;
    if name == "tick" {
        return Ok(Input::Tick);
    }
    let number = |name| answer.number(name)?.ok_or_else(|| answer.missing(name));
    let job = JobId(number("job")?);
    Ok(match name {
        "found" => Input::Found { job, bytes },
        "recalled" => Input::Recalled { job, digest: answer.required("digest")?.parse()? },
        "missing" => Input::Missing { job },
        "response" => Input::Response { job, head: head(&answer)?, body: bytes },
        "opened" => {
            let is_complete = answer.get("stored").and_then(Value::as_str) == Some("complete");
            let stored = if is_complete { Stored::Complete } else { Stored::Partial { length: number("stored")? } };
            Input::Opened { job, stored }
        }
        "head" => Input::Head { job, head: head(&answer)?, error: bytes },
        "body-end" => Input::BodyEnd { job, held: number("held")? },
        "sealed" => {
            let verdict = verdict(answer.required("verdict")?).ok_or_else(|| answer.missing("a known verdict"))?;
            Input::Sealed { job, verdict }
        }
        "failed" => {
            let kind = kind(answer.required("kind")?).ok_or_else(|| answer.missing("a known kind"))?;
            let failure = Broken { kind, message: answer.text("message")?.unwrap_or_default().to_owned() };
            Input::Failed { job, failure, held: answer.number("held")?.unwrap_or(0) }
        }
        _ => return Err(Failure::usage(format!("there is no input {name}"))),
    })
}

fn head(answer: &Object) -> Result<ResponseHead, Failure> {
    let status = answer.number("status")?.and_then(|status| u16::try_from(status).ok());
    let mut headers = Headers::new();
    for field in answer.list("headers")? {
        let part = |at| field.get(at).and_then(Value::as_str).ok_or_else(|| answer.missing("a header's name or value"));
        headers.append(part(0)?, part(1)?);
    }
    Ok(ResponseHead { status: status.ok_or_else(|| answer.missing("status"))?, headers })
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
            r#"{"input":"response","job":1}"#,
        ] {
            assert_eq!(from_json(text, Vec::new()).expect_err(text).code(), "usage", "{text}");
        }
        let digest = r#"{"input":"recalled","job":1,"digest":"sha256:x"}"#;
        assert_eq!(from_json(digest, Vec::new()).expect_err(digest).code(), "malformed-digest");
    }
}
