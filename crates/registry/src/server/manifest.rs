//! Pure: what a manifest says that a registry must know: its type, what it needs, and its subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::digest::Digest;

/// Longest manifest that is taken: what the specification asks for at least.
pub(crate) const MANIFEST_MAX: usize = 4 << 20;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What was read of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// Its media type, without parameters.
    pub(crate) media_type: String,
    /// Blobs that must be in the repository.
    pub(crate) blobs: Vec<Digest>,
    /// Manifests that must be in the repository.
    pub(crate) manifests: Vec<Digest>,
    /// All layers as they stand, for people: digest and size.
    pub(crate) layers: Vec<(Digest, u64)>,
    /// The configuration, if there is one.
    pub(crate) config: Option<Digest>,
    /// Platforms of an index: `linux/amd64`.
    pub(crate) platforms: Vec<String>,
    pub(crate) subject: Option<Digest>,
    /// What a list of referrers calls it.
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

/// One entry of a list of referrers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    pub(crate) media_type: String,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: String,
}

/// Reads a manifest that came as `content_type`; the error says what is wrong with it.
pub(crate) fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Document, String> {
    let raw: Raw =
        serde_json::from_slice(bytes).map_err(|error| format!("not a manifest: {error}"))?;
    // What one reader takes for an image and the next for an index is neither (CVE-2021-41190).
    if raw.manifests.is_some() && (raw.layers.is_some() || raw.config.is_some()) {
        return Err("both an image and an index".to_owned());
    }
    if raw.schema_version.is_some_and(|version| version != 2) {
        return Err("schemaVersion is not 2".to_owned());
    }
    let media_type = media_type(content_type, &raw)?;
    let is_index = matches!(media_type.as_str(), OCI_INDEX | DOCKER_LIST);
    let is_image = matches!(media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST);
    if is_index && (raw.layers.is_some() || raw.config.is_some()) {
        return Err(format!("no index, as {media_type} says"));
    }
    if is_image && (raw.config.is_none() || raw.manifests.is_some()) {
        return Err(format!("no image, as {media_type} says"));
    }
    let platforms = raw
        .manifests
        .iter()
        .flatten()
        .filter_map(platform)
        .collect();
    let config = raw.config.as_ref().map(|config| config.digest);
    let config_type = raw.config.as_ref().map(|config| config.media_type.clone());
    let layers = raw.layers.unwrap_or_default();
    let parts = layers.iter().chain(raw.blobs.iter().flatten());
    let blobs = config
        .into_iter()
        .chain(parts.filter(|part| is_ours(part)).map(|part| part.digest))
        .collect();
    let said = |text: &String| !text.is_empty();
    let artifact_type = raw.artifact_type.filter(said).or(config_type.filter(said));
    Ok(Document {
        media_type,
        blobs,
        manifests: raw.manifests.iter().flatten().map(|m| m.digest).collect(),
        layers: layers
            .iter()
            .map(|layer| (layer.digest, layer.size))
            .collect(),
        config,
        platforms,
        subject: raw.subject.map(|subject| subject.digest),
        artifact_type,
        annotations: raw.annotations.unwrap_or_default(),
    })
}

/// The type that is said by the header, by the document, or by its shape; two that differ are a lie.
fn media_type(content_type: Option<&str>, raw: &Raw) -> Result<String, String> {
    let said = content_type
        .map(|text| text.split(';').next().unwrap_or_default().trim())
        .filter(|text| !matches!(*text, "" | "application/json" | "application/octet-stream"));
    let written = raw.media_type.as_deref().filter(|text| !text.is_empty());
    if let (Some(said), Some(written)) = (said, written)
        && said != written
    {
        return Err(format!("came as {said} and calls itself {written}"));
    }
    let chosen = match said.or(written) {
        Some(chosen) => chosen,
        None if raw.manifests.is_some() => OCI_INDEX,
        None if raw.config.is_some() => OCI_MANIFEST,
        None => return Err("no media type".to_owned()),
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte);
    // A browser must never take a manifest for a page.
    let is_type = chosen.starts_with("application/") && chosen.bytes().all(is_word);
    if !is_type
        || !chosen.ends_with("json")
        || chosen.contains("manifest.v1+") && chosen.contains("docker")
    {
        return Err(format!("media type {chosen:?} is not supported"));
    }
    Ok(chosen.to_owned())
}

/// Layers that stay at their publisher's need not be here.
fn is_ours(part: &Descriptor) -> bool {
    let foreign =
        part.media_type.contains("nondistributable") || part.media_type.contains("foreign");
    !foreign && part.urls.is_empty()
}

fn platform(descriptor: &Descriptor) -> Option<String> {
    let platform = descriptor.platform.as_ref()?;
    let mut text = format!("{}/{}", platform.os, platform.architecture);
    if !platform.variant.is_empty() {
        text.push('/');
        text.push_str(&platform.variant);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn descriptor(media_type: &str, content: &str) -> Value {
        json!({"mediaType": media_type, "digest": Digest::of(content.as_bytes()), "size": content.len()})
    }

    fn check(content_type: Option<&str>, document: &Value) -> Result<Document, String> {
        read(content_type, document.to_string().as_bytes())
    }

    #[test]
    fn an_image_needs_its_blobs() {
        let image = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("application/x.config", "c"),
            "layers": [
                descriptor("application/vnd.oci.image.layer.v1.tar", "l"),
                descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", "f"),
            ],
            "subject": descriptor(OCI_MANIFEST, "s"),
            "annotations": {"a": "b"},
        });
        let read = check(Some(&format!("{OCI_MANIFEST}; charset=utf-8")), &image).unwrap();
        assert_eq!(read.blobs, [Digest::of(b"c"), Digest::of(b"l")]);
        assert_eq!(read.subject, Some(Digest::of(b"s")));
        assert_eq!(read.artifact_type.as_deref(), Some("application/x.config"));
        assert_eq!(read.annotations["a"], "b");
        // Without a header the document speaks.
        assert_eq!(check(None, &image).unwrap().media_type, OCI_MANIFEST);
    }

    #[test]
    fn an_index_needs_its_manifests() {
        let mut child = descriptor(OCI_MANIFEST, "m");
        child["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let index = json!({"schemaVersion": 2, "manifests": [child]});
        let read = check(None, &index).unwrap();
        assert_eq!(read.media_type, OCI_INDEX);
        assert_eq!(read.manifests, [Digest::of(b"m")]);
        assert_eq!(read.platforms, ["linux/arm64/v8"]);
        assert_eq!(read.artifact_type, None);
    }

    #[test]
    fn what_is_refused() {
        let config = descriptor("application/x", "c");
        let image =
            json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []});
        let both = json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": []});
        let mut negative = image.clone();
        negative["config"]["size"] = json!(-1);
        let mut traversal = image.clone();
        traversal["config"]["digest"] = json!("sha256:../../etc/passwd");
        let bare = json!({"schemaVersion": 2});
        let old = json!({"schemaVersion": 1, "config": config});
        for (content_type, document) in [
            (Some(OCI_INDEX), &image),
            (Some("text/html"), &json!({"config": config})),
            (
                Some("application/vnd.docker.distribution.manifest.v1+json"),
                &bare,
            ),
            (
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
                &bare,
            ),
            (Some(OCI_MANIFEST), &bare),
            (None, &bare),
            (None, &both),
            (None, &negative),
            (None, &traversal),
            (None, &old),
            (None, &json!([])),
        ] {
            assert!(check(content_type, document).is_err(), "{document}");
        }
        assert!(read(None, b"{").is_err());
        let deep = "[".repeat(100_000);
        assert!(read(None, deep.as_bytes()).is_err());
        let twice = format!("{{\"mediaType\":\"{OCI_INDEX}\",\"mediaType\":\"{OCI_MANIFEST}\"}}");
        assert!(read(None, twice.as_bytes()).is_err());
    }

    #[test]
    fn a_type_of_somebody_else_is_kept() {
        let document =
            json!({"schemaVersion": 2, "mediaType": "application/vnd.example.thing+json"});
        assert_eq!(
            check(None, &document).unwrap().media_type,
            "application/vnd.example.thing+json"
        );
    }
}
