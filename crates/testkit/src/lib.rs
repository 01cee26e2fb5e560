//! Test-only: engines under test, their clients, and what must be gone afterwards.
//!
//! A *case* is one property of an engine that a user can see. It runs on any engine (`ENGINE`) with
//! any client (`CLIENT`), and must be true of the reference engine before it is asked of ours.
//!
//! Invariants: a case never touches the machine's network or another case's objects; a case that is
//! not run says so with a reason that stands in `tests/e2e/skips.txt`.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests report on their output"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests run programs and make throw-away files"
)]
#![allow(clippy::panic, reason = "a test fails by a panic")]

mod board;
mod boxes;
mod case;
mod engine;
pub mod fake;
pub mod http;
mod leaks;
mod oci;
pub mod peer;
mod program;
mod registry;
mod setting;
mod shelf;
mod temp;
mod terminal;

pub use board::{Board, Fault, Side};
pub use boxes::{BOX, box_tar};
pub use case::{case, case_in};
pub use engine::{Engine, Manner};
pub use leaks::{Ground, kill, shims};
pub use oci::{Image, Packed};
pub use program::{Output, Program};
pub use registry::Registry;
pub use setting::{Client, Kind, Setting};
pub use shelf::Shelf;
pub use temp::TempDir;
pub use terminal::Terminal;

use std::time::{Duration, Instant};

/// How long a thing that must happen soon may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Returns how much slower than a machine this one is: the rig of `tests/vm` names its kernel.
fn slowness() -> u32 {
    if std::env::var_os("WHARF_VM").is_some() {
        5
    } else {
        1
    }
}

/// Returns how long is waited for what may `usually` take so long: less where failures are expected
/// and waited for (`WHARF_E2E_PATIENCE`, seconds), more under emulation.
pub(crate) fn patience(usually: Duration) -> Duration {
    let said = std::env::var("WHARF_E2E_PATIENCE").ok();
    let said = said.and_then(|text| text.parse().ok());
    let usually = usually * slowness();
    said.map_or(usually, |seconds| usually.min(Duration::from_secs(seconds)))
}

/// Asks `question` until it answers, at most [`SOON`]; a case that waits in vain fails with `what`.
pub fn eventually<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience(SOON);
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Declares a case: `case!(name, |engine| { … });`
#[macro_export]
macro_rules! case {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            $crate::case(concat!(module_path!(), "::", stringify!($name)), $body);
        }
    };
    ($name:ident, $manner:expr, $body:expr) => {
        #[test]
        fn $name() {
            let path = concat!(module_path!(), "::", stringify!($name));
            $crate::case_in(path, $manner, $body);
        }
    };
}
