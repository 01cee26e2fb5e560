//! What can go wrong with images.

use std::path::PathBuf;

use types::{Digest, ErrorKind};

/// An operation on the image store failed. Texts that clients compare are Docker's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tag to be saved is not there; Docker's words.
    #[error("reference does not exist")]
    NoReference,
    /// No image has this name, id or prefix.
    #[error("No such image: {name}")]
    NoSuchImage {
        /// As Docker completes it: with its tag.
        name: String,
    },
    /// The text is no reference.
    #[error(transparent)]
    Reference(#[from] types::reference::InvalidReference),
    /// A tag was asked for with a digest in it.
    #[error("refusing to create a tag with a digest reference")]
    TagWithDigest,
    /// A removal would take something away that is used.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The archive breaks a rule, or an entry of it could not be written.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// A layer of an image archive breaks a rule, or could not be written.
    #[error("layer {name}")]
    Layer {
        /// The name of its file in the archive.
        name: String,
        /// What is wrong.
        #[source]
        source: archive::Error,
    },
    /// A part of an image archive breaks a rule.
    #[error("invalid image archive: {part}: {reason}")]
    InvalidArchive {
        /// The name of the entry.
        part: String,
        /// What is wrong.
        reason: String,
    },
    /// The config of an image is no JSON of that kind.
    #[error("invalid image config")]
    Config(#[source] serde_json::Error),
    /// A change that `import` or `commit` was asked for is not understood.
    #[error("{0}")]
    Change(String),
    /// A row names a layer that has no row.
    #[error("layer {layer} is missing from the store")]
    MissingLayer {
        /// Which.
        layer: Digest,
    },
    /// The archive that a layer came from held a file twice, so that it cannot be made again.
    #[error("layer {layer} cannot be saved: its archive held a file twice")]
    NoRecipe {
        /// Which.
        layer: Digest,
    },
    /// A layer's files are not what was unpacked.
    #[error("layer {layer} was changed on disk")]
    LayerChanged {
        /// Which.
        layer: Digest,
    },
    /// What a registry sent is not what its manifest says; Docker's words.
    #[error("filesystem layer verification failed for digest {wanted}")]
    LayerVerification {
        /// What the manifest says.
        wanted: Digest,
    },
    /// A layer is not the one that the image config names; Docker's words.
    #[error("layers from manifest don't match image configuration")]
    LayerMismatch,
    /// A manifest or config of a registry breaks a rule.
    #[error("{0}")]
    Manifest(String),
    /// More layers than overlayfs stacks.
    #[error("max depth exceeded")]
    TooManyLayers,
    /// A program that should become part of an image is not on this machine.
    #[error("program {name:?} is not on this machine")]
    NoSuchProgram {
        /// The name.
        name: String,
    },
    /// A program of this machine cannot be read as ELF.
    #[error("cannot read {path}: {reason}")]
    Program {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A kernel call on the store failed.
    #[error("image store: {path}")]
    Store {
        /// Which object.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: sys::Error,
    },
    /// The record file failed.
    #[error(transparent)]
    Meta(#[from] meta::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchImage { .. } | Self::NoReference => ErrorKind::NotFound,
            Self::Reference(_)
            | Self::TagWithDigest
            | Self::Change(_)
            | Self::Config(_)
            | Self::InvalidArchive { .. }
            | Self::TooManyLayers
            | Self::NoSuchProgram { .. } => ErrorKind::InvalidArgument,
            Self::Conflict(_) => ErrorKind::Conflict,
            Self::NoRecipe { .. } => ErrorKind::Unimplemented,
            Self::Archive(source) | Self::Layer { source, .. } => source.kind(),
            Self::LayerVerification { .. }
            | Self::LayerMismatch
            | Self::Manifest(_)
            | Self::MissingLayer { .. }
            | Self::LayerChanged { .. }
            | Self::Program { .. }
            | Self::Store { .. }
            | Self::Meta(_) => ErrorKind::Internal,
        }
    }
}

/// Names the object of a failed call.
pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(sys::Error) -> Error {
    move |source| Error::Store {
        path: path.into(),
        source,
    }
}
