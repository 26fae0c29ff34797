//! Which extended attributes of an image may reach a file system.
//!
//! An attribute belongs to the content (`user.*`, and the capabilities that programs are shipped
//! with), or to the machine the image was built on (labels, access control lists, marks of its
//! union file system). Only the first kind passes.

/// What happens to an extended attribute of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XattrPolicy {
    /// It is part of the content. Whether the process may set it (`security.capability` needs
    /// root) is for the file system to find out and report.
    Apply,
    /// It is left out and reported.
    Skip,
}

impl XattrPolicy {
    /// Decides by the full name, namespace included.
    ///
    /// `user.overlay.*` is left out though it is a `user.*`: an unprivileged overlay mount reads
    /// whiteouts and redirections from it. A name outside Linux's namespaces is left out too.
    ///
    /// ```
    /// use oci_fetcher_core::entry::XattrPolicy;
    ///
    /// assert_eq!(XattrPolicy::of(b"user.origin"), XattrPolicy::Apply);
    /// assert_eq!(XattrPolicy::of(b"security.selinux"), XattrPolicy::Skip);
    /// ```
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        let user = name.strip_prefix(b"user.").is_some_and(|rest| !rest.is_empty() && !rest.starts_with(b"overlay."));
        if user || name == b"security.capability" { Self::Apply } else { Self::Skip }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_content_through_and_keeps_the_machine_out() {
        for (name, policy) in [
            ("user.a", XattrPolicy::Apply),
            ("user.overlay", XattrPolicy::Apply),
            ("user.overlayfs.x", XattrPolicy::Apply),
            ("security.capability", XattrPolicy::Apply),
            ("user.", XattrPolicy::Skip),
            ("user", XattrPolicy::Skip),
            ("user.overlay.opaque", XattrPolicy::Skip),
            ("User.a", XattrPolicy::Skip),
            ("security.capability2", XattrPolicy::Skip),
            ("security.selinux", XattrPolicy::Skip),
            ("security.ima", XattrPolicy::Skip),
            ("system.nfs4_acl", XattrPolicy::Skip),
            ("system.posix_acl_access", XattrPolicy::Skip),
            ("trusted.overlay.opaque", XattrPolicy::Skip),
            ("com.apple.quarantine", XattrPolicy::Skip),
        ] {
            assert_eq!(XattrPolicy::of(name.as_bytes()), policy, "{name}");
        }
    }
}
