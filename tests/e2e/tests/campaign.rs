//! Crash campaigns: daemons and shims are killed, or a call of theirs fails, at every place and at
//! random moments; nothing is lost, nothing is half made, nothing is left. `cargo xtask chaos` runs
//! them, in a network and a mount namespace of their own.

#![forbid(unsafe_code)]
#![allow(
    clippy::tests_outside_test_module,
    reason = "this binary is nothing but tests"
)]
#![allow(
    clippy::panic,
    clippy::print_stdout,
    reason = "a case fails by a panic, and tells its seed and its counts"
)]

#[path = "campaign/faults.rs"]
mod faults;
#[path = "campaign/moments.rs"]
mod moments;
#[path = "campaign/stage.rs"]
mod stage;
#[path = "campaign/twins.rs"]
mod twins;
#[path = "campaign/walk.rs"]
mod walk;
