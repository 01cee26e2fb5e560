//! The kernel door: every `unsafe` block of the house, each behind a safe function.
//!
//! Vocabulary: a *call* is one function of this crate; it names itself to [`failpoint::pass`]
//! before it enters the kernel, so that a test can fail it, delay it or kill the process there.
//!
//! Invariants: no policy here: no retries (but `EINTR`), no logging, no paths of ours. Callers
//! get the errno and the name of the call; they add the object it was about. Callers never see
//! a raw descriptor, only `OwnedFd` and `BorrowedFd`.

pub mod bpf;
pub mod cgroupfs;
pub mod clone;
pub mod credentials;
pub mod dir;
pub mod durable;
pub mod error;
pub mod failpoint;
pub mod fd;
pub mod fifo;
pub mod inet;
pub mod inotify;
pub mod lsm;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod pidfd;
pub mod poll;
pub mod process;
pub mod random;
pub mod regular;
mod remove_tree;
pub mod root;
pub mod rows;
pub mod sched;
pub mod seccomp;
pub mod single_threaded;
pub mod socket;
pub mod tty;
pub mod xattr;

pub use error::{Error, Result, errno_text};
pub use rustix::io::Errno;
