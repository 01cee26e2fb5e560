//! Pure: limits become values for files.

use types::oci::runtime::Resources;

use crate::{Result, Topology};

/// One value for one file of a group, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `memory`, `cpu`, … or empty for a file of the core.
    pub controller: String,
    /// `memory.max`
    pub file: String,
    /// What is written.
    pub value: String,
}

/// What to write for `resources` here, and what cannot be obeyed, in one sentence each.
pub fn plan(_resources: &Resources, _topology: &Topology) -> Result<(Vec<Write>, Vec<String>)> {
    Ok((Vec::new(), Vec::new()))
}
