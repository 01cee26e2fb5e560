//! Links, addresses, rules and names of containers.

#![forbid(unsafe_code)]
