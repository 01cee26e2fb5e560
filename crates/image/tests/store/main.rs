//! The store on a real directory, with real layers. Needs root for owners and device nodes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this whole file is tests"
)]

mod commit;
mod from_host;
mod house;
mod images;
mod load;
mod save;
