//! The Docker face: HTTP in, one verb of the engine, HTTP out.

#![forbid(unsafe_code)]
