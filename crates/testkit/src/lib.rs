//! What tests share: temporary roots, engines under test, snapshot filters.

#![forbid(unsafe_code)]
