//! What can go wrong with a group, and of which kind it is.

use types::ErrorKind;

/// A cgroup failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No cgroup file system is mounted.
    #[error("no cgroup hierarchy is mounted")]
    NotMounted,
    /// The kernel has the controller in no mounted hierarchy.
    #[error("cgroup controller {controller} is not mounted")]
    NoController {
        /// Its name.
        controller: String,
    },
    /// A path of a group must name something below the root, without `.` and `..`.
    #[error("cgroup path {path:?} is invalid")]
    Path {
        /// As it was given.
        path: String,
    },
    /// Somebody else's group, or a left-over.
    #[error("cgroup {path} already exists")]
    Exists {
        /// The directory.
        path: String,
    },
    /// It was there, and is not empty.
    #[error("container's cgroup is not empty: {path}")]
    Occupied {
        /// The directory.
        path: String,
    },
    /// Processes in it did not end, or sub-groups came back.
    #[error("cgroup {path} is still in use")]
    Busy {
        /// The directory.
        path: String,
    },
    /// The freezer did not finish within a second.
    #[error("cgroup {path} cannot be frozen")]
    NotFrozen {
        /// The group.
        path: String,
    },
    /// runc's words, which people and tests look for.
    #[error("unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})")]
    MemoryInUse {
        /// The limit that was asked for, in bytes.
        limit: String,
        /// Bytes in use.
        usage: u64,
        /// Most bytes that ever were.
        peak: u64,
    },
    /// Limits that contradict each other or this machine.
    #[error("invalid resources: {reason}")]
    Resources {
        /// What is wrong, in half a sentence.
        reason: String,
    },
    /// A value the kernel refused.
    #[error("cannot write {value:?} to {file} of cgroup {path}")]
    Write {
        /// The group.
        path: String,
        /// The file.
        file: String,
        /// The value.
        value: String,
        /// The call.
        #[source]
        source: sys::Error,
    },
    /// Any other call.
    #[error("cgroup {path}")]
    Kernel {
        /// The group, its directory or file.
        path: String,
        /// The call.
        #[source]
        source: sys::Error,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kind of the failure, for faces.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Path { .. } | Self::Resources { .. } | Self::NoController { .. } => {
                ErrorKind::InvalidArgument
            }
            Self::Write { source, .. } if source.errno == sys::Errno::INVAL => {
                ErrorKind::InvalidArgument
            }
            Self::Exists { .. }
            | Self::Occupied { .. }
            | Self::Busy { .. }
            | Self::MemoryInUse { .. } => ErrorKind::Conflict,
            Self::NotMounted
            | Self::NotFrozen { .. }
            | Self::Write { .. }
            | Self::Kernel { .. } => ErrorKind::Internal,
        }
    }

    /// Makes the error of a call about `path`.
    pub(crate) fn kernel(path: impl std::fmt::Display) -> impl FnOnce(sys::Error) -> Self {
        let path = path.to_string();
        |source| Self::Kernel { path, source }
    }

    /// The errno, if a call failed.
    pub fn errno(&self) -> Option<sys::Errno> {
        match self {
            Self::Write { source, .. } | Self::Kernel { source, .. } => Some(source.errno),
            Self::NotMounted
            | Self::NoController { .. }
            | Self::Path { .. }
            | Self::Exists { .. }
            | Self::Occupied { .. }
            | Self::Busy { .. }
            | Self::NotFrozen { .. }
            | Self::MemoryInUse { .. }
            | Self::Resources { .. } => None,
        }
    }
}
