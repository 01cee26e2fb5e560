//! The house's own tools: check, e2e, bench, fresh.

#![forbid(unsafe_code)]

fn main() {}
