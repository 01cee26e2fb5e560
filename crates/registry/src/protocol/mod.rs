//! Pure: what both ends agree on: paths, challenges, errors, links, ranges (OCI distribution 1.1).

pub mod challenge;
pub mod errors;
pub mod link;
pub mod path;
pub mod range;
