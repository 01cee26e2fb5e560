//! The record file.
#![forbid(unsafe_code)]
