//! Output of a container, kept and read back.

#![forbid(unsafe_code)]
