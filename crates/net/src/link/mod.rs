//! Links: the bridge that is a network's switch.

pub(crate) mod bridge;
pub(crate) mod lan;
