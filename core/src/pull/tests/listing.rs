//! Listings of tags and of referrers.

use super::*;

#[test]
fn tags_follow_the_pages_and_never_in_a_circle() {
    let mut scenario = Scenario::new(session("registry.example/a"), Tags::new());
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?n=1000");
    let link = ("Link", r#"</v2/a/tags/list?last=b>; rel="next""#);
    scenario.respond(job, 200, &[link], br#"{"name":"a","tags":["a","b"]}"#);
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?last=b");
    scenario.respond(job, 200, &[], br#"{"name":"a","tags":null}"#);
    assert_eq!(scenario.end().expect("listed"), ["a", "b"]);

    let mut scenario = Scenario::new(session("registry.example/a"), Tags::new());
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?n=1000");
    scenario.respond(job, 200, &[link], br#"{"tags":[]}"#);
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?last=b");
    scenario.respond(job, 200, &[link], br#"{"tags":[]}"#);
    assert!(matches!(scenario.error(), PullError::Protocol { .. }));
}

#[test]
fn listings_are_bounded_and_need_the_network() {
    let limits = Limits { pages: 2, ..Limits::default() };
    let mut scenario = Scenario::new(session("registry.example/a").limits(limits), Tags::new());
    let mut url = "https://registry.example/v2/a/tags/list?n=1000".to_owned();
    for page in 0..2 {
        let (job, _) = scenario.get(&url);
        url = format!("https://registry.example/v2/a/tags/list?page={page}");
        scenario.respond(job, 200, &[("Link", &format!("<{url}>; rel=next"))], b"{}");
    }
    assert!(matches!(scenario.error(), PullError::Limit { limit: 2, option: "--max-pages", .. }));

    let offline = Session::new(&reference("registry.example/a"), Network::Offline);
    assert!(matches!(Scenario::new(offline.clone(), Tags::new()).error(), PullError::NotStored { .. }));
    let plan = Referrers::new(subject(), None);
    assert!(matches!(Scenario::new(offline, plan).error(), PullError::NotStored { .. }));
}

fn subject() -> Digest {
    Digest::of(Algorithm::Sha256, b"subject")
}

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An index of manifests with these artifact types, told apart by their sizes.
fn index(entries: &[(&str, u64)]) -> Vec<u8> {
    let entry = |(artifact_type, size): &(&str, u64)| {
        let digest = Digest::of(Algorithm::Sha256, &size.to_be_bytes());
        format!(
            r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{digest}","size":{size},"artifactType":"{artifact_type}"}}"#
        )
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(",")).into_bytes()
}

fn referrers(artifact_type: Option<&str>) -> Scenario<Referrers> {
    let plan = Referrers::new(subject(), artifact_type.map(str::to_owned));
    Scenario::new(session("registry.example/a"), plan)
}

fn sizes(scenario: &mut Scenario<Referrers>) -> Vec<u64> {
    scenario.end().expect("listed").iter().map(|entry| entry.size).collect()
}

#[test]
fn referrers_are_listed_page_by_page() {
    let mut scenario = referrers(None);
    let first = format!("https://registry.example/v2/a/referrers/{}", subject());
    let (job, request) = scenario.get(&first);
    assert_eq!(request.headers.get("Accept"), Some(OCI_INDEX));
    let link = ("Link", "<?last=1>; rel=next");
    scenario.respond(job, 200, &[("Content-Type", OCI_INDEX), link], &index(&[("a/b", 1)]));
    let (job, _) = scenario.get(&format!("{first}?last=1"));
    scenario.respond(job, 200, &[("Content-Type", OCI_INDEX)], &index(&[("c/d", 2), ("a/b", 3)]));
    assert_eq!(sizes(&mut scenario), [1, 2, 3]);

    for (link, code) in [("<https://other.example/>; rel=next", "protocol"), ("<>; rel=next", "protocol")] {
        let mut scenario = referrers(None);
        let (job, _) = scenario.get(&first);
        scenario.respond(job, 200, &[("Link", link)], &index(&[]));
        assert_eq!(scenario.error().code(), code, "{link}");
    }
}

#[test]
fn referrers_are_filtered_here_where_the_registry_has_not_done_so() {
    for (filters, expected) in [(None, &[1, 3][..]), (Some("artifactType"), &[1, 2, 3]), (Some("other"), &[1, 3])] {
        let mut scenario = referrers(Some("a/b+c"));
        let url = format!("https://registry.example/v2/a/referrers/{}?artifactType=a%2Fb%2Bc", subject());
        let (job, _) = scenario.get(&url);
        let headers: Vec<_> = filters.map(|filters| ("OCI-Filters-Applied", filters)).into_iter().collect();
        scenario.respond(job, 200, &headers, &index(&[("a/b+c", 1), ("c/d", 2), ("a/b+c", 3)]));
        assert_eq!(sizes(&mut scenario), expected, "{filters:?}");
    }
}

#[test]
fn without_the_api_the_index_under_the_subjects_tag_is_read() {
    for (status, body, expected) in [(200, index(&[("c/d", 2), ("a/b", 3)]), &[3][..]), (404, Vec::new(), &[])] {
        let mut scenario = referrers(Some("a/b"));
        let Effect::Fetch { job, .. } = scenario.effect() else { panic!("the API is asked") };
        scenario.respond(job, 404, &[], b"404 page not found");
        let tag = subject().as_str().replace(':', "-");
        let (job, request) = scenario.get(&format!("https://registry.example/v2/a/manifests/{tag}"));
        assert!(request.headers.get("Accept").expect("manifest types").contains(OCI_INDEX));
        // An index under a tag is never filtered, whatever a header says.
        scenario.respond(job, status, &[("OCI-Filters-Applied", "artifactType")], &body);
        assert_eq!(sizes(&mut scenario), expected, "{status}");
    }
    let sha512 = Digest::of(Algorithm::Sha512, b"subject");
    let mut scenario = Scenario::new(session("registry.example/a"), Referrers::new(sha512.clone(), None));
    let Effect::Fetch { job, .. } = scenario.effect() else { panic!("the API is asked") };
    scenario.respond(job, 404, &[], b"");
    scenario.get(&format!("https://registry.example/v2/a/manifests/sha512-{}", &sha512.encoded()[..64]));
}

#[test]
fn what_is_no_index_and_what_is_refused_lists_nothing() {
    for (status, body, class) in [
        (200, b"<html>".to_vec(), Class::Integrity),
        (200, empty_image(), Class::Network),
        (403, Vec::new(), Class::Authentication),
        (400, Vec::new(), Class::Network),
    ] {
        let mut scenario = referrers(None);
        let Effect::Fetch { job, .. } = scenario.effect() else { panic!("the API is asked") };
        scenario.respond(job, status, &[], &body);
        let error = scenario.error();
        assert_eq!(error.class(), class, "{status}: {error}");
    }
}
