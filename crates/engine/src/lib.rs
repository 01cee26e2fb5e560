//! The verbs of the engine.

#![forbid(unsafe_code)]
