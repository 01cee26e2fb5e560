//! Pure: mounts as values: what a snapshot driver emits and the runtime consumes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How the root file system of a container is made. Paths are the engine's own, never a
/// container's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// An overlay (kernel: Documentation/filesystems/overlayfs.rst).
    Overlay {
        /// Read-only directories, the topmost first.
        lower: Vec<PathBuf>,
        /// Where changes go.
        upper: PathBuf,
        /// overlayfs's own directory beside `upper`.
        work: PathBuf,
        /// Skip every sync: for containers that are removed when they end.
        volatile: bool,
    },
    /// A directory as it is.
    Bind {
        /// The directory.
        source: PathBuf,
    },
}
