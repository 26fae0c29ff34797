use oci_fetcher_core::digest::Algorithm;

use super::bars::State;
use super::*;

fn digest(number: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[number])
}

#[test]
fn a_line_for_each_event_worth_it() {
    let (one, two) = (digest(1), digest(2));
    let mut sizes = BTreeMap::new();
    let resolved = Event::Resolved {
        source: "a\u{1b}[2J",
        digest: &two,
        blobs: &[(one.clone(), 3 << 20), (two.clone(), 1 << 20), (one.clone(), 3 << 20)],
    };
    let mut told = |event: &Event<'_>| told(event, &mut sizes).map(|(event, text)| format!("{event} {text}"));
    assert_eq!(told(&resolved), Some(format!("resolved a\\u{{1b}}[2J to {two} (2 blobs, 4.0 MiB)")));
    assert_eq!(told(&Event::Downloaded { digest: &one, bytes: 5 }), None);
    assert_eq!(told(&Event::Unpacked { digest: &one, bytes: 5 }), None);
    assert_eq!(told(&Event::Verified { digest: &one }), Some(format!("verified {one} (3.0 MiB)")));
    assert_eq!(told(&Event::Verified { digest: &one }), None);
    assert_eq!(told(&Event::Verified { digest: &digest(3) }), None);
}

#[test]
fn sums_count_each_blob_once_and_forget_what_begins_anew() {
    let (one, two) = (digest(1), digest(2));
    let mut state = State::default();
    state.expect(&[(one.clone(), 10), (two.clone(), 20), (one.clone(), 10)]);
    state.expect(&[(one.clone(), 10)]);
    assert_eq!(state.summed(), (2, 0, 30, 0, 0));
    state.advance(&one, |blob| blob.downloaded = 8);
    state.advance(&two, |blob| blob.downloaded = 5);
    assert_eq!(state.summed(), (2, 0, 30, 13, 0));
    state.advance(&one, |blob| blob.downloaded = 0);
    assert_eq!(state.summed(), (2, 0, 30, 5, 0));
    // Verified, but still being unpacked.
    state.advance(&one, |blob| (blob.downloaded, blob.unpacked) = (10, 4));
    state.advance(&one, |blob| blob.verified = true);
    assert_eq!(state.summed(), (2, 0, 30, 15, 4));
    state.advance(&one, |blob| blob.unpacked = 10);
    assert_eq!(state.summed(), (2, 1, 30, 15, 10));
    // Verified, and unpacked by nobody.
    state.advance(&two, |blob| (blob.downloaded, blob.verified) = (20, true));
    assert_eq!(state.summed(), (2, 2, 30, 30, 10));
    state.advance(&digest(3), |blob| blob.downloaded = 100);
    assert_eq!(state.summed(), (2, 2, 30, 30, 10));
}

#[test]
fn numbers_agree_with_their_nouns() {
    assert_eq!(counted(0, "blob"), "0 blobs");
    assert_eq!(counted(1, "blob"), "1 blob");
    assert_eq!(counted(2, "blob"), "2 blobs");
    assert_eq!(seconds(1_530), "1.5 s");
}
