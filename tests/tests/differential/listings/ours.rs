//! The core's view of an archive.

use oci_fetcher_core::entry::EntryKind;
use oci_fetcher_core::error::Explain as _;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::report::{Skipped, What};
use oci_fetcher_core::tar::{TarError, TarEvent, TarReader};

use super::listed::{Listed, Listing};
use crate::random::Random;

/// Reads an archive in pieces of random sizes.
pub(crate) fn list(archive: &[u8], random: &mut Random) -> Listing {
    let mut listing = Listing::default();
    if let Err(error) = read(archive, random, &mut listing.members) {
        listing.refusal = Some(error.code().to_owned());
    }
    listing
}

fn read(archive: &[u8], random: &mut Random, members: &mut Vec<Listed>) -> Result<(), TarError> {
    let mut reader = TarReader::new(&Limits::default());
    let most = *random.pick(&[1, 100, 512, 5_000, 1 << 20]);
    let mut rest = archive;
    loop {
        let (mut piece, after) = rest.split_at(rest.len().min(random.within(1, most)));
        let is_last = piece.is_empty();
        loop {
            match reader.step(&mut piece)? {
                TarEvent::NeedInput => break,
                TarEvent::Entry(entry) => {
                    let metadata = &entry.metadata;
                    let mut member = Listed {
                        name: entry.path.as_bytes().to_vec(),
                        kind: '-',
                        size: None,
                        mode: Some(metadata.mode),
                        modified: Some(metadata.mtime.seconds),
                        link: None,
                    };
                    match entry.kind {
                        EntryKind::File { size } => member.size = Some(size),
                        EntryKind::Directory => member.kind = 'd',
                        EntryKind::Symlink { target } => (member.kind, member.link) = ('l', Some(target.into())),
                        EntryKind::HardLink { target } => {
                            // Its metadata means nothing, and is not read.
                            let link = Some(target.as_bytes().to_vec());
                            member = Listed { kind: 'h', mode: None, modified: None, link, ..member };
                        }
                        EntryKind::Fifo => member.kind = 'p',
                        EntryKind::CharacterDevice(_) => member.kind = 'c',
                        EntryKind::BlockDevice(_) => member.kind = 'b',
                        EntryKind::Whiteout | EntryKind::Opaque => panic!("no archive here has whiteouts"),
                    }
                    members.push(member);
                }
                // Attributes; a device that no system has is a member.
                TarEvent::Skipped(Skipped { path, what: What::Device, .. }) => members.push(Listed {
                    name: path.as_bytes().to_vec(),
                    kind: '?',
                    size: None,
                    mode: None,
                    modified: None,
                    link: None,
                }),
                TarEvent::Skipped(_) | TarEvent::Data { .. } | TarEvent::FileEnd => {}
            }
        }
        if is_last {
            return reader.finish().map(drop);
        }
        rest = after;
    }
}
