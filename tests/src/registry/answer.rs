//! The registry's own answers (distribution-spec 1.1, the "pull" and "content discovery" workflows).

use serde_json::json;

use super::http::{Reply, encode};
use super::issuer::{Worth, parse_basic};
use super::log::Exchange;
use super::{Access, Port, Referrers, Shared, lock};
use crate::content::{Content, Stored};

/// Answers a request as a registry without faults does.
pub(super) fn answer(shared: &Shared, exchange: &Exchange) -> Reply {
    if let Access::Token(issuer) = &shared.options.access {
        let on_issuer_port = exchange.port == shared.issuer_address.port();
        if on_issuer_port && exchange.path() == "/token" {
            return issuer.answer(exchange, &mut lock(&shared.tokens));
        }
        if on_issuer_port && issuer.port == Port::Own {
            return Reply::error(404, "UNSUPPORTED", "only tokens here");
        }
    }
    let Some(path) = exchange.path().strip_prefix("/v2/") else {
        return Reply::error(404, "UNSUPPORTED", "no such path");
    };
    let resource = Resource::parse(path);
    if let Err(refusal) = authorize(shared, exchange, resource.as_ref().map(Resource::repository)) {
        return refusal;
    }
    if exchange.method != "GET" && exchange.method != "HEAD" {
        return Reply::error(405, "UNSUPPORTED", "nothing can be changed here");
    }
    let content = lock(&shared.content);
    match resource {
        None if path.is_empty() => Reply::json(200, &json!({})),
        None => Reply::error(404, "UNSUPPORTED", "no such path"),
        Some(resource) if !content.has_repository(resource.repository()) && !resource.is_blob() => {
            Reply::error(404, "NAME_UNKNOWN", "repository name not known to registry")
        }
        Some(Resource::Manifest { repository, reference }) => manifest(content.manifest(repository, reference)),
        Some(Resource::Blob { digest, .. }) => blob(&content, digest, exchange),
        Some(Resource::Tags { repository }) => tags(shared, &content, repository, exchange),
        Some(Resource::Referrers { .. }) if shared.options.referrers == Referrers::Absent => {
            Reply::error(404, "UNSUPPORTED", "no such path")
        }
        Some(Resource::Referrers { repository, digest }) => referrers(&content, repository, digest, exchange),
    }
    .header("Docker-Distribution-Api-Version", "registry/2.0")
}

/// What a path names.
enum Resource<'a> {
    Manifest { repository: &'a str, reference: &'a str },
    Blob { repository: &'a str, digest: &'a str },
    Tags { repository: &'a str },
    Referrers { repository: &'a str, digest: &'a str },
}

impl<'a> Resource<'a> {
    fn parse(path: &'a str) -> Option<Self> {
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Some(Self::Tags { repository });
        }
        let (rest, last) = path.rsplit_once('/')?;
        let (repository, kind) = rest.rsplit_once('/')?;
        match kind {
            "manifests" => Some(Self::Manifest { repository, reference: last }),
            "blobs" => Some(Self::Blob { repository, digest: last }),
            "referrers" => Some(Self::Referrers { repository, digest: last }),
            _ => None,
        }
    }

    fn repository(&self) -> &'a str {
        match self {
            Self::Manifest { repository, .. }
            | Self::Blob { repository, .. }
            | Self::Tags { repository }
            | Self::Referrers { repository, .. } => repository,
        }
    }

    fn is_blob(&self) -> bool {
        matches!(self, Self::Blob { .. })
    }
}

fn authorize(shared: &Shared, exchange: &Exchange, repository: Option<&str>) -> Result<(), Reply> {
    let field = exchange.header("authorization");
    let (challenge, message) = match &shared.options.access {
        Access::Open => return Ok(()),
        Access::Basic { username, password } => {
            if field.and_then(parse_basic).is_some_and(|(name, secret)| name == *username && secret == *password) {
                return Ok(());
            }
            ("Basic realm=\"registry.test\"".to_owned(), "authentication required")
        }
        Access::Token(issuer) => {
            let token = field.and_then(|field| field.split_once(' '));
            let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            let worth = token.map(|(_, token)| lock(&shared.tokens).worth(token.trim(), repository));
            let error = match worth {
                Some(Worth::Enough) => return Ok(()),
                Some(Worth::Insufficient) => ",error=\"insufficient_scope\"",
                Some(Worth::Invalid) => ",error=\"invalid_token\"",
                None => "",
            };
            let scope = repository.map_or_else(String::new, |name| format!(",scope=\"repository:{name}:pull\""));
            let (realm, service) = (shared.realm(issuer), &issuer.service);
            (format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}{error}"), "authentication required")
        }
    };
    Err(Reply::error(401, "UNAUTHORIZED", message).header("WWW-Authenticate", &challenge))
}

fn manifest(stored: Option<&Stored>) -> Reply {
    let Some(stored) = stored else {
        return Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown");
    };
    let reply = Reply::stored(stored);
    let digest = reply.blob.digest();
    reply.header("Docker-Content-Digest", digest.as_str()).header("ETag", &format!("\"{digest}\""))
}

fn blob(content: &Content, digest: &str, exchange: &Exchange) -> Reply {
    let Some(blob) = content.blob(digest) else {
        return Reply::error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    };
    let reply = Reply::new(200, "application/octet-stream", blob.clone())
        .header("Docker-Content-Digest", digest)
        .header("Accept-Ranges", "bytes");
    match exchange.header("range") {
        Some(range) if exchange.method == "GET" => reply.range(range),
        Some(_) | None => reply,
    }
}

fn tags(shared: &Shared, content: &Content, repository: &str, exchange: &Exchange) -> Reply {
    let query = exchange.query();
    let of = |name| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let asked = of("n").and_then(|count| count.parse::<usize>().ok());
    let size = asked.into_iter().chain(shared.options.page_size).min().unwrap_or(usize::MAX);
    let last = of("last").unwrap_or_default();
    let tags: Vec<&str> = content.tags(repository).into_iter().filter(|&tag| last.is_empty() || tag > last).collect();
    let page = &tags[..size.min(tags.len())];
    let reply = Reply::json(200, &json!({ "name": repository, "tags": page }));
    match page.last() {
        Some(last) if page.len() < tags.len() => {
            let link = format!("</v2/{repository}/tags/list?last={}&n={size}>; rel=\"next\"", encode(last));
            reply.header("Link", &link)
        }
        Some(_) | None => reply,
    }
}

fn referrers(content: &Content, repository: &str, digest: &str, exchange: &Exchange) -> Reply {
    let mut descriptors = content.referrers(repository, digest);
    let query = exchange.query();
    let wanted = query.iter().find(|(name, _)| name == "artifactType").map(|(_, value)| value);
    if let Some(wanted) = wanted {
        descriptors.retain(|descriptor| descriptor["artifactType"] == wanted.as_str());
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": descriptors });
    let reply = Reply::new(200, media_type, index.to_string());
    if wanted.is_some() { reply.header("OCI-Filters-Applied", "artifactType") } else { reply }
}
