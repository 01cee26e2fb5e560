//! The front door: picks the personality, nothing else.

#![forbid(unsafe_code)]

fn main() {}
