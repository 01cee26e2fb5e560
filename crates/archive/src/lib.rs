//! Tar and its company: reading, writing, decompressing and safely extracting archives.

#![forbid(unsafe_code)]
