//! Keeps one container: its stdio, its log, its exit record, exec and attach.
//!
//! Invariants: survives the daemon; holds no image or network knowledge; opens no store; its memory
//! does not grow with output.

#![forbid(unsafe_code)]

pub mod protocol;
