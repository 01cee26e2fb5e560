//! The client: what is asked of a registry, and what its answers mean.
