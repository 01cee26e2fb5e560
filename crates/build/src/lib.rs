//! The builder's room. So far it holds the language ([`dockerfile`]) and what a context leaves out
//! ([`ignore`]); nothing is built yet.

#![forbid(unsafe_code)]

pub mod dockerfile;
pub mod ignore;
