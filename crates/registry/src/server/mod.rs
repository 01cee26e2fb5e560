//! The server of repositories.
