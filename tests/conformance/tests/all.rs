//! Our runtime beside Debian's runc on the same bundles, and as the runtime of other engines.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests run programs and make throw-away files"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests report on their output"
)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "all of this is tests, and a test fails by a panic"
)]

mod commands;
mod config;
mod cves;
mod engines;
mod sockets;
