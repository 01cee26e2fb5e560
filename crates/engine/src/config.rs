//! Validated settings of an engine.

use std::path::PathBuf;

/// What an engine is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Everything that lasts.
    pub data_root: PathBuf,
    /// Everything that does not survive a boot.
    pub exec_root: PathBuf,
    /// The default bridge.
    pub bridge: Bridge,
    /// Firewall rules may be made.
    pub firewall: bool,
    /// Say more in the log.
    pub debug: bool,
    /// How registries are talked to.
    pub registries: registry::client::Settings,
    /// Layers that come at once.
    pub downloads: usize,
    /// Layers that go at once.
    pub uploads: usize,
    /// `KEY=VALUE`, for those who ask about the engine.
    pub labels: Vec<String>,
}

/// The default bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// No default bridge: containers have loopback only, unless they ask for more.
    None,
    /// A bridge of this name, made when missing.
    Named {
        /// At most 15 bytes.
        name: String,
        /// Its address and prefix length, `10.1.2.3/24`.
        address: Option<String>,
    },
}
