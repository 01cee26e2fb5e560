//! System call filters: a profile becomes a program for the kernel, by a compiler of our own.

use sys::seccomp::Instruction;
use types::oci::runtime::Seccomp;

/// Why a profile cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Nothing is compiled yet.
    #[error("not supported yet")]
    Unsupported,
}

/// Compiles a profile: the program, and flags for its load.
pub(crate) fn compile(_profile: &Seccomp) -> Result<(Vec<Instruction>, u32), Invalid> {
    Err(Invalid::Unsupported)
}
