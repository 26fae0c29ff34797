//! Credential files and what credential helpers answer.

use oci_fetcher_core::credentials::{
    AuthFile as CoreFile, AuthFileError, AuthFileKind, Credential, Finding, HelperAnswer,
};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::json;

/// A credential file: docker's `config.json` or podman's `auth.json`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct AuthFile(CoreFile);

#[wasm_bindgen]
impl AuthFile {
    /// Reads a file of a kind, `docker` or `podman`; throws where it is malformed.
    #[wasm_bindgen(constructor)]
    pub fn new(kind: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let kind = match kind {
            "docker" => AuthFileKind::Docker,
            "podman" => AuthFileKind::Containers,
            _ => return Err(Failure::usage(format!("there is no kind of credential file {kind}"))),
        };
        Ok(Self(CoreFile::parse(kind, bytes)?))
    }

    /// Says what the file holds for a repository, as JSON: a `finding` of `nothing`, `credential` (with
    /// the `credential`) or `ask` (with the helper's `program`, the `address` to ask about, and
    /// `otherwise`, a finding, which may then be `malformed` with a `message`). Throws where the entry that is meant is malformed.
    pub fn find(&self, registry: &str, repository: &str) -> Result<String, Failure> {
        Ok(json::text(&Found::of(self.0.find(registry, repository))?))
    }
}

/// Reads what a credential helper wrote to its standard output; returns JSON of `answer`, `nothing` or
/// `credential`, with the `credential`.
#[wasm_bindgen(js_name = helperAnswer)]
pub fn helper_answer(output: &[u8]) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Answer {
        answer: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        credential: Option<Presented>,
    }

    let credential = match HelperAnswer::parse(output)? {
        HelperAnswer::NotFound => None,
        HelperAnswer::Credential(credential) => Some(Presented::from(credential)),
    };
    let answer = if credential.is_some() { "credential" } else { "nothing" };
    Ok(json::text(&Answer { answer, credential }))
}

/// Tells whether what a helper wrote, on whichever stream, says that it has nothing.
#[wasm_bindgen(js_name = helperSaysNotFound)]
#[must_use]
pub fn helper_says_not_found(output: &[u8]) -> bool {
    HelperAnswer::says_not_found(output)
}

#[derive(Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
enum Found {
    Nothing,
    Credential { credential: Presented },
    Ask { program: String, address: String, otherwise: Box<Self> },
    Malformed { message: String },
}

impl Found {
    fn of(finding: Finding) -> Result<Self, AuthFileError> {
        Ok(match finding {
            Finding::Nothing => Self::Nothing,
            Finding::Credential(credential) => Self::Credential { credential: credential.into() },
            Finding::Ask { request, otherwise } => Self::Ask {
                program: request.helper().program(),
                address: request.address().to_owned(),
                otherwise: Box::new(match *otherwise {
                    // The helper comes first, and may have the answer.
                    Finding::Malformed(error) => Self::Malformed { message: error.to_string() },
                    otherwise @ (Finding::Nothing | Finding::Credential(_) | Finding::Ask { .. }) => {
                        Self::of(otherwise)?
                    }
                }),
            },
            Finding::Malformed(error) => return Err(error),
        })
    }
}

/// A credential with its secrets, for the host that asked.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Presented {
    Anonymous,
    Basic { username: String, password: String },
    IdentityToken { token: String },
    RegistryToken { token: String },
}

impl From<Credential> for Presented {
    fn from(credential: Credential) -> Self {
        match credential {
            Credential::Anonymous => Self::Anonymous,
            Credential::Basic { username, password } => {
                Self::Basic { username, password: password.expose().to_owned() }
            }
            Credential::IdentityToken(token) => Self::IdentityToken { token: token.expose().to_owned() },
            Credential::RegistryToken(token) => Self::RegistryToken { token: token.expose().to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_and_answers_are_told() {
        let file = br#"{"auths":{"a.example":{"auth":"dTpw"}},"credHelpers":{"a.example":"pass"}}"#;
        let file = AuthFile::new("docker", file).expect("well-formed");
        let basic = r#"{"kind":"basic","username":"u","password":"p"}"#;
        assert_eq!(
            file.find("a.example", "x").expect("well-formed"),
            format!(
                r#"{{"finding":"ask","program":"docker-credential-pass","address":"a.example","otherwise":{{"finding":"credential","credential":{basic}}}}}"#
            )
        );
        assert_eq!(file.find("b.example", "x").expect("well-formed"), r#"{"finding":"nothing"}"#);
        assert_eq!(AuthFile::new("docker", b"[").expect_err("malformed").code(), "malformed-auth-file");
        assert_eq!(AuthFile::new("other", b"{}").expect_err("unknown").code(), "usage");
        let answer = helper_answer(br#"{"Username":"<token>","Secret":"s"}"#).expect("an answer");
        assert_eq!(answer, r#"{"answer":"credential","credential":{"kind":"identity-token","token":"s"}}"#);
        assert_eq!(helper_answer(b"no credentials server URL").expect("an answer"), r#"{"answer":"nothing"}"#);
    }
}
