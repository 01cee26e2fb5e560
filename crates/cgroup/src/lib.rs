//! Limits and measures: the cgroup of a container on v1, hybrid and v2 hierarchies.
//!
//! Vocabulary: a *controller* is mounted in one *hierarchy* (v1) or listed in the unified one (v2);
//! a *group* is one directory per hierarchy, all with the same path.
//!
//! Invariants: knows no container, no record, no daemon configuration; plans are pure; nothing is
//! ever moved from outside: a process enters by itself (moving another one costs a grace period
//! of the kernel's, some 10 ms).

#![forbid(unsafe_code)]

mod apply;
mod destroy;
mod device;
mod error;
mod events;
mod freeze;
mod group;
mod hierarchy;
mod kill;
mod measure;
mod plan;
mod stats;
mod v1;
mod v2;

pub use device::DEVICE_PROGRAM;
pub use error::{Error, Result};
pub use events::{OomNews, OomWatch};
pub use group::{Entry, Group};
pub use hierarchy::{Hierarchy, Topology, Version};
pub use plan::{Write, plan};
pub use stats::{IoCount, Stats, Throttling};
