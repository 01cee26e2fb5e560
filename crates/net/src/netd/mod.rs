//! netd: the process that answers at published ports of loopback and IPv6 addresses, and the names
//! of containers. It belongs to one engine and outlives its daemons.
//!
//! A daemon starts it at the first need and gives it sockets and descriptors of namespaces; the next
//! daemon finds it at its socket. It ends when it serves nobody and no daemon is connected. When it
//! is killed, the daemon starts another and gives it everything again.
//!
//! One thread, one poll loop; only what asks for names by TCP has a thread of its own.

mod client;
mod datagram;
mod forward;
mod protocol;
mod resolve;
mod server;
mod stream;

pub use client::NetdSetup;
pub(crate) use client::{Adopted, Netd};
pub(crate) use protocol::Entry;
pub use protocol::{Sandbox, Scope, Upstream};
pub(crate) use resolve::SERVER;
pub use server::run;

/// argv[0] that picks this personality.
pub const NAME: &str = "wharf-netd";
