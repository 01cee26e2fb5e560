//! Pure: what both ends agree on: paths, challenges, errors, links, ranges (OCI distribution 1.1).
