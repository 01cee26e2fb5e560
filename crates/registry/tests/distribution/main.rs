//! Every MUST of the OCI distribution specification 1.1 that is a registry's, asked of our server by
//! raw HTTP; and what hostile or careless clients send.

#![forbid(unsafe_code)]
#![allow(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "this binary is nothing but tests"
)]
#![allow(clippy::panic, reason = "a test fails by a panic")]

mod accounts;
mod bad_input;
mod blobs;
mod bucket;
mod collect;
mod lists;
mod manifests;
mod mirror;
mod pages;
mod server;
