//! The documents of the Docker Engine API: what travels between a client and the daemon, and nothing else.

#![forbid(unsafe_code)]
