//! The command line: parse, one or more API requests, an exit code.

#![forbid(unsafe_code)]
