//! Pure: what a pull tells whoever waits for it.

use types::Digest;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullStep {
    /// A manifest was found.
    From {
        /// The repository within its registry.
        repository: String,
        /// The tag or digest.
        target: String,
    },
    /// Something about a layer.
    Layer {
        /// The first digits of its blob's digest.
        id: String,
        /// What.
        doing: LayerStep,
    },
    /// Something to know.
    Notice(String),
    /// What was pulled has this digest.
    Digest(Digest),
    /// It is here.
    Done {
        /// It was not here before.
        newer: bool,
        /// As people call it.
        name: String,
    },
}

/// What is done with a layer; they come in this order, and none is left out but the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerStep {
    /// It is here already.
    Exists,
    /// It is not.
    Fetching,
    /// Others are fetched before it.
    Waiting,
    /// It comes.
    Downloading {
        /// Bytes that are here.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The registry failed; it is asked again after so many seconds.
    Retrying(u64),
    /// It came.
    Verifying,
    /// It is what it should be.
    Downloaded,
    /// It is unpacked.
    Extracting {
        /// Of the compressed bytes.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// It is unpacked and verified.
    Complete,
}

impl LayerStep {
    /// Returns what must have been said before this, for whoever looks away sometimes.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Exists | Self::Fetching => 0,
            Self::Waiting => 1,
            Self::Downloading { .. } | Self::Retrying(_) => 2,
            Self::Verifying => 3,
            Self::Downloaded => 4,
            Self::Extracting { .. } => 5,
            Self::Complete => 6,
        }
    }
}

/// Returns the steps that lead from one to another and were not seen.
pub(super) fn between(before: LayerStep, now: LayerStep) -> Vec<LayerStep> {
    [LayerStep::Verifying, LayerStep::Downloaded]
        .into_iter()
        .filter(|step| before.rank() < step.rank() && step.rank() < now.rank())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_out() {
        use LayerStep::{Complete, Downloaded, Extracting, Fetching, Verifying};
        let extracting = Extracting {
            current: 1,
            total: 2,
        };
        assert_eq!(between(Fetching, extracting), [Verifying, Downloaded]);
        assert_eq!(between(Verifying, Complete), [Downloaded]);
        assert_eq!(between(extracting, Complete), []);
        assert_eq!(between(Fetching, Fetching), []);
    }
}
