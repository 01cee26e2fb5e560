//! System call filters: a profile becomes a program for the kernel, by a compiler of our own.
//!
//! profile (names, as JSON has them) → rules (numbers, per architecture) → instructions.

mod compile;
mod default;
mod profile;

use sys::seccomp::Instruction;
use types::oci::runtime::Seccomp;

pub use default::{DEFAULT_CAPABILITIES, default_profile};
pub(crate) use profile::ACTIONS;
pub use profile::Invalid;

/// Tells whether a rule asks a listener.
pub(crate) fn asks(profile: &Seccomp) -> bool {
    profile
        .syscalls
        .iter()
        .any(|rule| rule.action == profile::NOTIFY)
}

/// Compiles a profile: the program, and flags for its load.
pub(crate) fn compile(profile: &Seccomp) -> Result<(Vec<Instruction>, u32), Invalid> {
    let rules = profile::Rules::new(profile)?;
    let program = compile::compile(&rules);
    // The kernel's own limit (BPF_MAXINSNS).
    if program.len() > 4096 {
        return Err(Invalid::TooLong(program.len()));
    }
    Ok((program, rules.flags))
}
