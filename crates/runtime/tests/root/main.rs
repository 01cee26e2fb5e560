//! Containers made for real, and looked at from inside and outside.
//!
//! A process with threads may not clone, and libtest starts one for each case: this harness runs
//! them in the main thread, one after the other, and speaks as much of libtest's language as
//! nextest and cargo need.

#![allow(missing_docs, reason = "a test program")]
#![allow(clippy::print_stdout, reason = "libtest's words")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where it is surprised"
)]
#![allow(clippy::tests_outside_test_module, reason = "the whole program is one")]

mod bundle;
mod cases;
mod hostile;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted: Vec<&String> = wanted
        .into_iter()
        .filter(|word| !["terse", "pretty", "json"].contains(&word.as_str()))
        .collect();
    let mut failed = 0;
    for (name, case) in cases::ALL {
        let is_wanted = |word: &&String| {
            if has("--exact") {
                word.as_str() == *name
            } else {
                name.contains(word.as_str())
            }
        };
        if has("--ignored") || (!wanted.is_empty() && !wanted.iter().any(is_wanted)) {
            continue;
        }
        if has("--list") {
            println!("{name}: test");
            continue;
        }
        let result = std::panic::catch_unwind(AssertUnwindSafe(case));
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        failed += usize::from(result.is_err());
    }
    bundle::remove_parent_groups();
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
