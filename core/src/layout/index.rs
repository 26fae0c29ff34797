//! A layout's `index.json`: finding an image by name, and adding one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::name::{Closeness, Item, select};
use super::{INDEX_FILE, LayoutError, RefName, RefNameError};
use crate::limits::Limits;
use crate::manifest::json::{Object, parse};
use crate::manifest::{Declared, Descriptor, Index, Manifest, ManifestError, MediaType};

/// The annotation that names an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation in which containerd and those that follow it keep the full, normalised name.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// Reads the content of a layout's [`INDEX_FILE`].
///
/// # Errors
/// [`LayoutError::Index`]
pub fn parse_index(bytes: &[u8], limits: &Limits) -> Result<Index, LayoutError> {
    match Manifest::parse(bytes, Declared::Described(&MediaType::OciIndex), limits) {
        Ok(Manifest::Index(index)) => Ok(index),
        Ok(Manifest::Image(image)) => Err(LayoutError::Index(ManifestError::UnknownManifest(image.media_type))),
        Err(error) => Err(LayoutError::Index(error)),
    }
}

/// Finds an image of a layout by name, or the only one.
///
/// The closest name wins: first the reference name or digest exactly; then reference name or
/// containerd's name in a familiar form (`alpine` for `docker.io/library/alpine:latest`); then a
/// tag alone. One image under several names is one image; entries that are no manifests are none.
///
/// # Errors
/// [`LayoutError::NotFound`] or [`LayoutError::Empty`]; [`LayoutError::Several`] without a name,
/// and [`LayoutError::Ambiguous`] with one that fits several images equally well.
pub fn find<'i>(index: &'i Index, name: Option<&str>) -> Result<&'i Descriptor, LayoutError> {
    let manifests = index.manifests.iter().filter(|entry| {
        let media_type = &entry.media_type;
        media_type.is_index() || media_type.is_image_manifest()
    });
    let items: Vec<_> = manifests
        .map(|entry| Item {
            item: entry,
            identity: &entry.digest,
            label: match entry.annotations.get(REF_NAME).or_else(|| entry.annotations.get(IMAGE_NAME)) {
                Some(name) => Cow::Borrowed(name.as_str()),
                None => Cow::Borrowed(entry.digest.as_str()),
            },
            closeness: name.and_then(|wanted| closeness(entry, wanted)),
        })
        .collect();
    select(&items, name)
}

fn closeness(entry: &Descriptor, wanted: &str) -> Option<Closeness> {
    let annotated = |key| entry.annotations.get(key).and_then(|recorded| Closeness::between(wanted, recorded));
    let by_digest = (wanted == entry.digest.as_str()).then_some(Closeness::Exact);
    let by_image_name = annotated(IMAGE_NAME).map(|closeness| closeness.max(Closeness::Familiar));
    by_digest.into_iter().chain(annotated(REF_NAME)).chain(by_image_name).min()
}

/// The names under which an image is added to a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// For `org.opencontainers.image.ref.name`: the reference as it was typed, or what the caller chose.
    pub reference: Option<&'a str>,
    /// For `io.containerd.image.name`: the normalised reference.
    pub image: Option<&'a str>,
}

/// A layout's new `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Why the reference name was left out, for a warning.
    pub left_out: Option<RefNameError>,
}

/// Adds an image to a layout's `index.json`, or writes a first one.
///
/// Other entries and unknown properties survive as they were written, though not the order of
/// properties. Names that an older entry has move: it stays, without them. An entry of the same image is
/// kept instead of adding another, if it has no other reference name. Names that `descriptor` itself
/// brings along are what a registry sent, and count for nothing.
///
/// ```
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layout::{Names, find, merge, parse_index};
/// use oci_fetcher_core::limits::Limits;
/// use oci_fetcher_core::manifest::{Descriptor, MediaType};
///
/// let image = Descriptor::new(MediaType::OciManifest, Digest::of(Algorithm::Sha256, b"..."), 3);
/// let names = Names { reference: Some("heroku/builder:22"), image: Some("docker.io/heroku/builder:22") };
/// let merged = merge(None, &image, &names, &Limits::default())?;
///
/// let index = parse_index(&merged.bytes, &Limits::default())?;
/// assert_eq!(find(&index, Some("heroku/builder:22"))?.digest, image.digest);
/// # Ok::<(), oci_fetcher_core::layout::LayoutError>(())
/// ```
///
/// # Errors
/// [`LayoutError::Index`] if the existing file is no usable index, or would be over
/// `index_entries` of the limits.
pub fn merge(
    existing: Option<&[u8]>,
    descriptor: &Descriptor,
    names: &Names<'_>,
    limits: &Limits,
) -> Result<Merged, LayoutError> {
    let (reference, left_out) = match names.reference.map(str::parse::<RefName>).transpose() {
        Ok(reference) => (reference, None),
        Err(error) => (None, Some(error)),
    };
    let given: Vec<(&str, &str)> = [(REF_NAME, reference.as_ref().map(RefName::as_str)), (IMAGE_NAME, names.image)]
        .into_iter()
        .filter_map(|(key, name)| name.map(|name| (key, name)))
        .collect();
    let mut root = match existing {
        Some(bytes) => editable(bytes, limits)?,
        None => Members::from([("mediaType".to_owned(), raw(&MediaType::OciIndex))]),
    };
    root.entry("schemaVersion".to_owned()).or_insert_with(|| raw(&2));
    let mut manifests = root.remove("manifests").and_then(|list| read(&list)).unwrap_or_default();
    add(&mut manifests, descriptor, &given);
    root.insert("manifests".to_owned(), raw(&manifests));
    let bytes = serde_json::to_vec(&root).expect("a map with text keys always serializes");
    // What was written must be readable again, also by the limits.
    parse_index(&bytes, limits)?;
    Ok(Merged { bytes, left_out })
}

/// The properties of an object, with values as they were written: nothing that is not ours is read as a
/// number and written as another.
type Members = BTreeMap<String, Box<RawValue>>;

fn raw(value: &(impl Serialize + ?Sized)) -> Box<RawValue> {
    to_raw_value(value).expect("maps with text keys and lists always serialize")
}

fn read<'de, T: Deserialize<'de>>(raw: &'de RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Reads an index both for its meaning, so that only a sound one is edited, and for its properties.
fn editable(bytes: &[u8], limits: &Limits) -> Result<Members, LayoutError> {
    parse_index(bytes, limits)?;
    let Object(root) = parse(bytes).map_err(|source| LayoutError::Malformed { file: INDEX_FILE, source })?;
    Ok(root)
}

fn add(manifests: &mut Vec<Box<RawValue>>, descriptor: &Descriptor, given: &[(&str, &str)]) {
    let mut place = None;
    for (position, entry) in manifests.iter_mut().enumerate() {
        let Some(mut members) = read::<Members>(entry) else { continue };
        let mut annotations = annotations(&members);
        let was_named = remove_names(&mut annotations, given);
        let digest = members.get("digest").and_then(|digest| text(digest));
        let is_same = digest.as_deref() == Some(descriptor.digest.as_str());
        let is_absent = |key| annotations.get(key).is_none_or(|value| value.get() == "null");
        let is_free = is_absent(REF_NAME) && (was_named || is_absent(IMAGE_NAME));
        if is_same && place.is_none() && (is_free || given.is_empty()) {
            place = Some(position);
        }
        if was_named {
            if annotations.is_empty() {
                members.remove(ANNOTATIONS);
            } else {
                members.insert(ANNOTATIONS.to_owned(), raw(&annotations));
            }
            *entry = raw(&members);
        }
    }
    let place = place.unwrap_or_else(|| {
        let mut added = Descriptor { data: None, ..descriptor.clone() };
        added.annotations.retain(|key, _| key != REF_NAME && key != IMAGE_NAME);
        manifests.push(raw(&added));
        manifests.len() - 1
    });
    if given.is_empty() {
        return;
    }
    let mut members: Members = read(&manifests[place]).expect("it was read, or written, above");
    let mut annotations = annotations(&members);
    annotations.extend(given.iter().map(|(key, name)| ((*key).to_owned(), raw(name))));
    members.insert(ANNOTATIONS.to_owned(), raw(&annotations));
    manifests[place] = raw(&members);
}

/// Removes the names from annotations, and tells whether they had one.
fn remove_names(annotations: &mut Members, names: &[(&str, &str)]) -> bool {
    let before = annotations.len();
    annotations.retain(|key, value| !names.iter().any(|(of, name)| key == of && text(value).as_deref() == Some(name)));
    annotations.len() < before
}

const ANNOTATIONS: &str = "annotations";

fn annotations(entry: &Members) -> Members {
    entry.get(ANNOTATIONS).and_then(|annotations| read(annotations)).unwrap_or_default()
}

fn text(value: &RawValue) -> Option<String> {
    read(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::{Algorithm, Digest};
    use crate::error::{Class, Explain as _};

    fn image(name: &str) -> Descriptor {
        Descriptor::new(MediaType::OciManifest, Digest::of(Algorithm::Sha256, name.as_bytes()), 7)
    }

    fn named<'a>(reference: &'a str, image: &'a str) -> Names<'a> {
        Names {
            reference: Some(reference).filter(|name| !name.is_empty()),
            image: Some(image).filter(|name| !name.is_empty()),
        }
    }

    fn add_to(existing: Option<&[u8]>, descriptor: &Descriptor, names: &Names<'_>) -> Vec<u8> {
        merge(existing, descriptor, names, &Limits::default()).expect("mergeable").bytes
    }

    fn index(bytes: &[u8]) -> Index {
        parse_index(bytes, &Limits::default()).expect("an index")
    }

    /// Writes each entry as `content reference-name image-name`, with `-` for none.
    fn shape(bytes: &[u8], contents: &[&str]) -> Vec<String> {
        let text = |entry: &Descriptor, key| entry.annotations.get(key).cloned().unwrap_or_else(|| "-".to_owned());
        let content = |entry: &Descriptor| {
            let name = contents.iter().find(|name| image(name).digest == entry.digest);
            (*name.expect("a known digest")).to_owned()
        };
        index(bytes)
            .manifests
            .iter()
            .map(|entry| format!("{} {} {}", content(entry), text(entry, REF_NAME), text(entry, IMAGE_NAME)))
            .collect()
    }

    #[test]
    fn names_move_and_entries_stay() {
        let contents = ["old", "new"];
        // Each step adds content under names to what the steps before left.
        for (steps, expected) in [
            (vec![("old", "a:1", "h/a:1")], vec!["old a:1 h/a:1"]),
            (vec![("old", "a:1", "h/a:1"), ("old", "a:1", "h/a:1")], vec!["old a:1 h/a:1"]),
            (vec![("old", "a:1", "h/a:1"), ("new", "a:1", "h/a:1")], vec!["old - -", "new a:1 h/a:1"]),
            (
                vec![("old", "a:1", "h/a:1"), ("new", "a:1", "h/a:1"), ("old", "a:1", "h/a:1")],
                vec!["old a:1 h/a:1", "new - -"],
            ),
            (vec![("old", "a:1", ""), ("old", "b:1", "")], vec!["old a:1 -", "old b:1 -"]),
            (vec![("old", "a:1", "h/a:1"), ("old", "b", "h/a:1")], vec!["old a:1 -", "old b h/a:1"]),
            (vec![("old", "a:1", "h/a:1"), ("old", "a:1", "i/a:1")], vec!["old a:1 i/a:1"]),
            (vec![("old", "", ""), ("old", "", "")], vec!["old - -"]),
            (vec![("old", "a:1", ""), ("old", "", "")], vec!["old a:1 -"]),
            (vec![("old", "", ""), ("old", "a:1", "")], vec!["old a:1 -"]),
        ] {
            let mut bytes: Option<Vec<u8>> = None;
            for (content, reference, name) in &steps {
                bytes = Some(add_to(bytes.as_deref(), &image(content), &named(reference, name)));
            }
            assert_eq!(shape(&bytes.expect("a step"), &contents), expected, "{steps:?}");
        }
    }

    #[test]
    fn everything_else_survives() {
        let other = image("other").digest;
        let existing = format!(
            r#"{{"schemaVersion": 2, "x-root": {{"deep": [1, -2, 0.5, "\u00e9", null]}}, "annotations": {{"k": "v"}},
                "manifests": [
                    {{"mediaType": "a/b", "digest": "blake3:ab", "size": 9007199254740991, "x-entry": [{{}}, 1.50e+85]}},
                    {{"mediaType": "{}", "digest": "{other}", "size": 7, "x": true,
                      "annotations": {{"{REF_NAME}": "a:1", "kept": "yes", "odd": 1}}}}
                ]}}"#,
            MediaType::OciManifest.as_str()
        );
        let merged = add_to(Some(existing.as_bytes()), &image("new"), &named("a:1", ""));
        let mut expected: Value = serde_json::from_str(&existing).expect("JSON");
        let annotations = expected["manifests"][1]["annotations"].as_object_mut().expect("an object");
        annotations.remove(REF_NAME);
        let added = json!({
            "mediaType": MediaType::OciManifest, "digest": image("new").digest, "size": 7,
            "annotations": {REF_NAME: "a:1"},
        });
        expected["manifests"].as_array_mut().expect("an array").push(added);
        assert_eq!(serde_json::from_slice::<Value>(&merged).expect("JSON"), expected);
        assert!(String::from_utf8_lossy(&merged).contains("[{}, 1.50e+85]"), "a number was written anew");
    }

    #[test]
    fn only_a_sound_index_is_edited() {
        for (existing, class) in [
            (&b""[..], Class::Integrity),
            (b"[]", Class::Integrity),
            (br#"{"schemaVersion":2}"#, Class::Integrity),
            (br#"{"manifests":[],"manifests":[]}"#, Class::Integrity),
            (br#"{"manifests":[],"layers":[]}"#, Class::Integrity),
            (br#"{"manifests":[{"mediaType":"a/b","digest":"../../x","size":1}]}"#, Class::Integrity),
            (br#"{"schemaVersion":1,"manifests":[]}"#, Class::Unsupported),
        ] {
            let error = merge(Some(existing), &image("a"), &Names::default(), &Limits::default());
            assert_eq!(error.expect_err("unsound").class(), class, "{}", existing.escape_ascii());
        }
        let null = br#"{"schemaVersion":2,"manifests":null,"annotations":null}"#;
        assert_eq!(shape(&add_to(Some(null), &image("a"), &Names::default()), &["a"]), ["a - -"]);

        let limits = Limits { index_entries: 1, ..Limits::default() };
        let full = add_to(None, &image("a"), &named("a", ""));
        let error = merge(Some(&full), &image("b"), &named("b", ""), &limits).expect_err("over the limit");
        assert_eq!(error.class(), Class::Refused);
    }

    /// Editing reaches into properties by name, so a file that is only nearly an index must have
    /// been refused before.
    #[test]
    fn a_damaged_index_is_refused_or_edited_but_never_a_panic() {
        let mut sound = add_to(None, &image("a"), &named("a:1", "h/a:1"));
        sound = add_to(Some(&sound), &image("b"), &named("b:1", ""));
        for position in 0..sound.len() {
            merge(Some(&sound[..position]), &image("a"), &named("b:1", ""), &Limits::default()).expect_err("cut");
            for replacement in *b"\"[]{}:,0 nx\\\xff" {
                let mut damaged = sound.clone();
                damaged[position] = replacement;
                if let Ok(merged) = merge(Some(&damaged), &image("a"), &named("b:1", ""), &Limits::default()) {
                    let found = find(&index(&merged.bytes), Some("b:1")).map(|entry| entry.digest.clone());
                    assert_eq!(found, Ok(image("a").digest), "{}", damaged.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn names_from_elsewhere_count_for_nothing() {
        let mut hostile = image("a");
        hostile.annotations.extend([(REF_NAME, "b"), (IMAGE_NAME, "c"), ("d", "e")].map(|(k, v)| (k.into(), v.into())));
        hostile.data = Some(Vec::new());
        let merged = merge(None, &hostile, &named("no__name", ""), &Limits::default()).expect("mergeable");
        let warning = merged.left_out.expect("outside the grammar").to_string();
        assert!(warning.starts_with("\"no__name\" is outside the grammar"), "{warning}");
        let entry = &index(&merged.bytes).manifests[0];
        assert_eq!((entry.annotations.len(), &entry.data), (1, &None));
    }

    #[test]
    fn finds_by_the_closest_name() {
        let mut bytes = add_to(None, &image("builder"), &named("22", "docker.io/heroku/builder:22"));
        for (content, reference, name) in [
            ("alpine", "alpine:3", "docker.io/library/alpine:3"),
            ("alpine", "edge", ""),
            ("other", "quay.io/other:3", ""),
            ("nameless", "", ""),
        ] {
            bytes = add_to(Some(&bytes), &image(content), &named(reference, name));
        }
        let index = index(&bytes);
        let digest = image("nameless").digest.to_string();
        for (wanted, expected) in [
            ("22", Ok("builder")),
            ("heroku/builder:22", Ok("builder")),
            ("docker.io/heroku/builder:22", Ok("builder")),
            ("alpine:3", Ok("alpine")),
            ("docker.io/library/alpine:3", Ok("alpine")),
            ("edge", Ok("alpine")),
            ("quay.io/other:3", Ok("other")),
            (digest.as_str(), Ok("nameless")),
            ("3", Err("ambiguous-image-name")),
            ("other:3", Err("image-not-found")),
            ("2", Err("image-not-found")),
            ("", Err("image-not-found")),
        ] {
            let found = find(&index, Some(wanted)).map(|entry| entry.digest.clone()).map_err(|error| error.code());
            assert_eq!(found, expected.map(|content| image(content).digest), "{wanted}");
        }
        let error = find(&index, None).expect_err("several");
        assert_eq!(error.class(), Class::Usage);
        assert_eq!(
            error.to_string(),
            format!("there are several images (available: 22, alpine:3, edge, quay.io/other:3, {digest})")
        );
    }

    #[test]
    fn without_a_name_the_only_image_is_found() {
        let mut bytes = add_to(None, &image("a"), &named("a:1", ""));
        bytes = add_to(Some(&bytes), &image("a"), &named("a:2", ""));
        let unknown = Descriptor::new(MediaType::parse("a/b"), image("b").digest, 7);
        bytes = add_to(Some(&bytes), &unknown, &Names::default());
        assert_eq!(find(&index(&bytes), None).expect("one image").digest, image("a").digest);
        assert_eq!(find(&index(br#"{"manifests":[]}"#), None), Err(LayoutError::Empty));
    }
}
