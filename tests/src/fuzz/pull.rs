//! The whole pull machine against a registry that the bytes script: it ends, keeps secrets where they
//! belong, and returns only what was verified.

mod host;
mod script;
mod served;

use std::num::NonZeroUsize;
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Declared, Descriptor, Manifest, Platform};
use oci_fetcher_core::pull::{
    Blobs, Closure, ClosureOutcome, Fetched, ImageKind, Network, Plan, PlatformChoice, Pull, PullError, Referrers,
    Resolve, Resolved, Session, Tags, Want,
};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::time::Time;

use self::host::Host;
use self::script::Script;
use self::served::served;
use super::challenge::{planted, shows_secret};

/// Takes the first two bytes for what is pulled and how, and the others for the answers.
pub(super) fn target(data: &[u8]) {
    let [plan, manner, answers @ ..] = data else { return };
    if shows_secret(&String::from_utf8_lossy(data)) {
        return;
    }
    let at_home = manner & 1 != 0;
    let place = if at_home { "127.0.0.1:5000/app" } else { "registry.example/app" };
    let target = match manner >> 1 & 3 {
        0 | 1 => ":1".to_owned(),
        2 => format!("@{}", served().index.digest),
        _ => format!("@{}", served().image_by_sha512),
    };
    let reference: Reference = format!("{place}{target}").parse().expect("a reference");
    let network = if manner & 8 != 0 { Network::Offline } else { Network::Online };
    let mut session = Session::new(&reference, network).limits(Limits { index_depth: 3, ..super::limits() });
    if manner & 16 != 0 {
        session = session.credential(planted());
    }
    if manner & 32 != 0 {
        session = session.short_accept();
    }
    let script = Script::new(answers, manner & 64 != 0);
    match plan % 7 {
        0 => check_resolved(drive(session, Resolve::new(&reference, Want::Manifest), script), &reference),
        1 => check_resolved(drive(session, Resolve::new(&reference, Want::Image(host_platform())), script), &reference),
        2 => {
            let arm = PlatformChoice::Explicit("linux/arm64".parse().expect("a platform"));
            check_resolved(drive(session, Resolve::new(&reference, Want::Image(arm)), script), &reference);
        }
        3 => drop(drive(session, Tags::new(), script)),
        4 => drop(drive(session, Referrers::new(served().image.digest.clone(), None), script)),
        5 => check_closure(drive(session, Closure::new(fetched()), script)),
        _ => {
            let blobs: Vec<Arc<Descriptor>> = served().blobs.iter().cloned().map(Arc::new).collect();
            let count = blobs.len();
            if let Ok(outcome) = drive(session, Blobs::new(blobs, NonZeroUsize::MIN.saturating_add(1)), script) {
                assert_eq!(outcome.fetched + outcome.stored, count, "blobs that are neither fetched nor stored");
            }
        }
    }
}

fn host_platform() -> PlatformChoice {
    PlatformChoice::Host(Platform::default_for("x86_64"))
}

fn fetched() -> Fetched {
    let index = &served().index;
    let manifest = Manifest::parse(&index.bytes, Declared::Served(None), &super::limits()).expect("an index");
    Fetched { digest: index.digest.clone(), bytes: index.bytes.clone(), manifest }
}

/// Carries a plan through, and checks how it ends.
fn drive<P: Plan>(session: Session, plan: P, script: Script<'_>) -> Result<P::Outcome, PullError> {
    let registry = session.registry().clone();
    let result = Host::new(registry, script).run(&mut Pull::new(session, plan, Time(0)));
    if let Err(error) = &result {
        super::error::check(error);
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let Some(error) = cause {
            assert!(!shows_secret(&error.to_string()), "a secret shows");
            cause = error.source();
        }
        assert!(!shows_secret(&format!("{error:?}")), "a secret shows");
    }
    result
}

fn check_fetched(fetched: &Fetched) {
    let algorithm = fetched.digest.algorithm().expect("one that was computed");
    assert_eq!(Digest::of(algorithm, &fetched.bytes), fetched.digest, "a manifest that was not verified");
}

fn check_resolved(result: Result<Resolved, PullError>, reference: &Reference) {
    let Ok(resolved) = result else { return };
    check_fetched(&resolved.top);
    if let Some(digest) = reference.digest() {
        assert_eq!(&resolved.top.digest, digest, "another manifest than was asked for");
    }
    let Some(image) = resolved.image else { return };
    check_fetched(&image.manifest);
    let Manifest::Image(manifest) = &image.manifest.manifest else { panic!("an image that is an index") };
    let config = &manifest.config;
    let algorithm = config.digest.algorithm().expect("one that was computed");
    assert_eq!(Digest::of(algorithm, &image.config), config.digest, "a config that was not verified");
    if let ImageKind::Image(config) = image.kind {
        assert_eq!(config.diff_ids.len(), manifest.layers.len(), "layers without a diff_id");
    }
}

fn check_closure(result: Result<ClosureOutcome, PullError>) {
    let Ok(closure) = result else { return };
    closure.manifests.iter().for_each(check_fetched);
    for (at, manifest) in closure.manifests.iter().enumerate() {
        assert!(closure.manifests[..at].iter().all(|before| before.digest != manifest.digest), "a manifest twice");
    }
}
