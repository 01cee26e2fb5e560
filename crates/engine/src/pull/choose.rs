//! Pure: what a manifest is, and which of an index is meant.

use types::oci::image::{Index, Manifest, PlatformEntry};
use types::{Digest, Platform};

use crate::error::{Error, Result};

/// Media types of manifests, of indexes, and of what nobody makes any more.
const IMAGES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const OLD: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// Media types of the configs of images.
const CONFIGS: [&str; 3] = [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",
];

/// A document that a reference leads to.
#[derive(Debug)]
pub(super) enum Document {
    /// An image.
    Image {
        /// What it is.
        media_type: String,
        /// The document.
        manifest: Manifest,
    },
    /// Images by platform.
    Index {
        /// What it is.
        media_type: String,
        /// The document.
        index: Index,
    },
}

impl Document {
    pub(super) fn media_type(&self) -> &str {
        match self {
            Self::Image { media_type, .. } | Self::Index { media_type, .. } => media_type,
        }
    }
}

/// Only to see what a document is.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
}

/// Reads a document. What could be taken for two things is refused (CVE-2021-41190).
pub(super) fn read(content_type: &str, text: &str) -> Result<Document> {
    let bad = |error: serde_json::Error| Error::invalid(format!("invalid manifest: {error}"));
    let shape: Shape = serde_json::from_str(text).map_err(bad)?;
    let said = shape.media_type.as_deref().filter(|said| !said.is_empty());
    let vague = matches!(content_type, "" | "application/json" | "text/plain");
    if let Some(said) = said
        && !vague
        && said != content_type
    {
        return Err(Error::invalid(format!(
            "mediaType in manifest should be '{content_type}' not '{said}'"
        )));
    }
    let kind = if vague {
        said.unwrap_or("")
    } else {
        content_type
    };
    if OLD.contains(&kind) {
        return Err(Error::invalid(
            "[DEPRECATION NOTICE] Docker Image Format v1 and Docker Image manifest version 2, \
             schema 1 support is disabled by default and will be removed in an upcoming release",
        ));
    }
    let index = shape.manifests.is_some();
    if index && (shape.layers.is_some() || shape.config.is_some()) {
        return Err(Error::invalid(
            "invalid manifest: it has layers and manifests, and can be only one of both",
        ));
    }
    let known = if index { INDEXES } else { IMAGES };
    let media_type = match kind {
        "" => known[0].to_owned(),
        kind if known.contains(&kind) => kind.to_owned(),
        kind => return Err(Error::invalid(format!("unsupported media type {kind}"))),
    };
    if index {
        let index = serde_json::from_str(text).map_err(bad)?;
        return Ok(Document::Index { media_type, index });
    }
    let manifest: Manifest = serde_json::from_str(text).map_err(bad)?;
    let config = manifest.config.media_type.as_str();
    if !CONFIGS.contains(&config) {
        return Err(Error::invalid(format!(
            "Encountered remote \"{config}\"(unknown) when fetching"
        )));
    }
    Ok(Document::Image {
        media_type,
        manifest,
    })
}

/// Chooses the manifest for a platform: the one that suits it best.
pub(super) fn entry(index: &Index, wanted: &Platform) -> Result<Digest> {
    let suits = |entry: &PlatformEntry| {
        let found = Platform::new(&entry.os, &entry.architecture, &entry.variant);
        wanted.runs(&found)
    };
    index
        .manifests
        .iter()
        .filter_map(|entry| {
            let platform = entry.platform.as_ref()?;
            Some((suits(platform)?, entry.blob.digest))
        })
        .min_by_key(|(how, _)| *how)
        .map(|(_, digest)| digest)
        .ok_or_else(|| {
            Error::not_found(format!(
                "no matching manifest for {} in the manifest list entries",
                shown(wanted)
            ))
        })
}

/// As containerd prints what it looks for: with the variant of arm64.
fn shown(platform: &Platform) -> String {
    if platform.architecture == "arm64" && platform.variant.is_empty() {
        return format!("{platform}/v8");
    }
    platform.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[&str]) -> String {
        let entries: Vec<String> = platforms
            .iter()
            .map(|text| {
                let parts: Vec<_> = text.split('/').chain(["", ""]).collect();
                format!(
                    r#"{{"mediaType":"{}","digest":"{}","size":1,"platform":
                    {{"os":"{}","architecture":"{}","variant":"{}"}}}}"#,
                    IMAGES[0],
                    Digest::of(text.as_bytes()),
                    parts[0],
                    parts[1],
                    parts[2]
                )
            })
            .collect();
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
            INDEXES[0],
            entries.join(",")
        )
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Option<Digest> {
        let Ok(Document::Index { index, .. }) = read(INDEXES[0], &index(platforms)) else {
            panic!("an index");
        };
        entry(&index, &wanted.parse().unwrap()).ok()
    }

    #[test]
    fn the_best_of_an_index() {
        let all = [
            "unknown/unknown",
            "linux/arm/v6",
            "linux/arm64/v8",
            "linux/amd64",
        ];
        let of = |text: &str| Some(Digest::of(text.as_bytes()));
        assert_eq!(chosen(&all, "linux/amd64"), of("linux/amd64"));
        assert_eq!(chosen(&all, "linux/arm64"), of("linux/arm64/v8"));
        assert_eq!(chosen(&all, "linux/arm/v7"), of("linux/arm/v6"));
        assert_eq!(chosen(&all, "linux/s390x"), None);
        assert_eq!(
            chosen(&["linux/arm/v7", "linux/arm/v6"], "arm64"),
            of("linux/arm/v7")
        );
    }

    fn image(config: &str, more: &str) -> String {
        let digest = Digest::of(b"");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{config}","digest":"{digest}","size":2}},
            "layers":[]{more}}}"#
        )
    }

    #[test]
    fn cve_2021_41190_one_thing_only() {
        let plain = image(CONFIGS[0], "");
        assert!(read(IMAGES[0], &plain).is_ok());
        assert!(read("", &plain).is_ok());
        let error = |kind: &str, text: &str| read(kind, text).unwrap_err().to_string();
        let both = image(CONFIGS[0], r#","manifests":[]"#);
        assert!(error(IMAGES[0], &both).contains("only one of both"));
        let other = image(CONFIGS[0], &format!(r#","mediaType":"{}""#, INDEXES[0]));
        assert!(error(IMAGES[0], &other).contains("should be"));
        assert!(error(INDEXES[0], &plain).contains("unsupported media type"));
        assert!(error("text/html", &plain).contains("unsupported media type"));
        assert!(error(OLD[1], "{}").contains("DEPRECATION"));
        assert!(error(IMAGES[0], &image("application/x", "")).contains("Encountered remote"));
        assert!(error(IMAGES[0], "{").contains("invalid manifest"));
    }
}
