//! One suite, any engine, any client; the cases are in `tests/`.

#![forbid(unsafe_code)]
