//! What a host can hold of a tree; the rest has to be in its report.

use super::node::{Node, What};
use super::row::Host;

/// A tree as a host should have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) nodes: Vec<Node>,
    /// What the report must list, among other things: path, kind and name.
    pub(crate) reported: Vec<String>,
}

impl Sight {
    /// Takes from a tree what the host cannot hold. `devices` tells whether this machine lets root make
    /// them.
    pub(crate) fn of(host: Host, tree: &[Node], user: (u32, u32), devices: bool) -> Self {
        let mut sight = Self::default();
        for node in tree {
            sight.add(host, node.clone(), user, devices);
        }
        sight
    }

    fn add(&mut self, host: Host, mut node: Node, user: (u32, u32), devices: bool) {
        if !host.is_disk() {
            self.nodes.push(node);
            return;
        }
        match &node.what {
            What::Special { device: None, .. } if host != Host::Node => {}
            What::Special { device: Some(_), .. } if host == Host::Root && devices => {}
            // Linux lets everybody make this one, which leads to no device: a whiteout of overlays.
            What::Special { kind: "character-device", device: Some((0, 0)) } if host == Host::User => {}
            What::Special { device, .. } => {
                let kind = if device.is_some() { "device" } else { "fifo" };
                self.reported.push(format!("{} {kind}", node.path));
                return;
            }
            What::HardLink { first } if self.nodes.iter().all(|node| node.path != *first) => {
                self.reported.push(format!("{} hard-link", node.path));
                return;
            }
            What::HardLink { .. } | What::Directory | What::File { .. } | What::Symlink { .. } => {}
        }
        if !matches!(node.what, What::HardLink { .. }) {
            self.metadata(host, &mut node, user);
        }
        self.nodes.push(node);
    }

    fn metadata(&mut self, host: Host, node: &mut Node, user: (u32, u32)) {
        let Self { reported, .. } = self;
        if host == Host::User && node.owner != user {
            node.owner = user;
            if node.mode & 0o6000 != 0 && !matches!(node.what, What::Symlink { .. }) {
                reported.push(format!("{} special-mode", node.path));
                node.mode &= !0o6000;
            }
        }
        // Linux keeps `user.` to files and directories; Node has no call for any attribute.
        let holds = |name: &str| match node.what {
            What::Directory | What::File { .. } if host == Host::Root => true,
            What::Directory | What::File { .. } => host == Host::User && name.starts_with("user."),
            What::Symlink { .. } | What::Special { .. } | What::HardLink { .. } => {
                host == Host::Root && !name.starts_with("user.")
            }
        };
        let lost: Vec<String> = node.xattrs.keys().filter(|name| !holds(name)).cloned().collect();
        for name in lost {
            node.xattrs.remove(&name);
            reported.push(format!("{} xattr {name}", node.path));
        }
        if host == Host::Node {
            // Its numbers for times hold microseconds, of negative ones milliseconds.
            let (seconds, nanoseconds) = node.modified;
            let unit = if seconds < 0 { 1_000_000 } else { 1_000 };
            node.modified.1 = if seconds > 1 << 32 { 0 } else { nanoseconds / unit * unit };
        }
    }
}
