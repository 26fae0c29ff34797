//! What JavaScript sees of an error: an `Error` with `code`, `class`, and perhaps `advice` and `causes`.

use js_sys::{Array, Error, Reflect};
use oci_fetcher_core::error::{Class, Explain};
use wasm_bindgen::JsValue;

/// An error on its way across the border.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    class: Class,
    message: String,
    advice: Option<String>,
    /// The messages of the sources, the outermost first.
    causes: Vec<String>,
}

impl Failure {
    /// Takes an error of the core.
    ///
    /// By its type: a trait object of each would bring its `Debug` into the module.
    pub(crate) fn of<E: Explain>(error: &E) -> Self {
        let mut failure = Self {
            code: error.code(),
            class: error.class(),
            message: error.to_string(),
            advice: error.advice().map(Into::into),
            causes: Vec::new(),
        };
        failure.because(error.source());
        failure
    }

    fn because(&mut self, source: Option<&(dyn std::error::Error + 'static)>) {
        let sources = std::iter::successors(source, |&error| error.source());
        self.causes.extend(sources.map(ToString::to_string));
    }

    /// Says that text which has to be JSON of some shape is not.
    pub(crate) fn json(what: &str, error: &serde_json::Error) -> Self {
        Self::usage(format!("malformed {what}: {error}"))
    }

    /// Says that an argument cannot be meant.
    pub(crate) fn usage(message: String) -> Self {
        Self { code: "usage", class: Class::Usage, message, advice: None, causes: Vec::new() }
    }

    /// Says that calls came in an order that makes no sense: a fault of the code around the border.
    pub(crate) fn misuse(message: &str) -> Self {
        let message = message.to_owned();
        Self { code: "internal", class: Class::Internal, message, advice: None, causes: Vec::new() }
    }

    pub(crate) fn size_too_large() -> Self {
        let message = "a size or offset is beyond what JavaScript's numbers hold exactly".to_owned();
        Self { code: "size-too-large", class: Class::Unsupported, message, advice: None, causes: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error = Error::new(&failure.message);
        let set = |name: &str, value: &Self| {
            // A fresh error takes every property.
            let _ = Reflect::set(&error, &name.into(), value);
        };
        set("code", &failure.code.into());
        set("class", &failure.class.name().into());
        if let Some(advice) = failure.advice {
            set("advice", &advice.into());
        }
        if !failure.causes.is_empty() {
            let causes: Array = failure.causes.into_iter().map(Self::from).collect();
            set("causes", &causes);
        }
        error.into()
    }
}

#[cfg(test)]
mod tests {
    use oci_fetcher_core::manifest::Platform;

    use super::*;

    #[test]
    fn an_error_brings_its_code_class_and_causes() {
        let failure = Failure::from("linux/a/b/c".parse::<Platform>().expect_err("too long"));
        assert_eq!((failure.code(), failure.class), ("malformed-platform", Class::Usage));
        assert!(failure.message.contains("linux/a/b/c"), "{}", failure.message);
    }
}
