//! The engine's table: what it shall hold, and a watch that makes it whole again when somebody has
//! flushed the firewall.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use sys::netlink::{Protocol, Socket, buffer};

use crate::nft::rules::{self, Segment};
use crate::nft::{commit, encode};
use crate::publish::Element;
use crate::wire::message::messages;
use crate::{Error, Result};

/// The kernel tells everybody of this group what changes in nf_tables.
const CHANGES: u32 = 7;
/// Bytes of the watching thread's stack.
const STACK_BYTES: usize = 128 << 10;

/// The table of one engine; nothing is ever done without rules (`--iptables=false`).
#[derive(Debug)]
pub(crate) struct Firewall {
    on: bool,
    table: String,
    wanted: Mutex<Wanted>,
}

#[derive(Debug, Default)]
struct Wanted {
    segments: Vec<Segment>,
    elements: HashSet<Element>,
}

impl Firewall {
    pub(crate) fn new(on: bool, table: String) -> Arc<Self> {
        let firewall = Arc::new(Self {
            on,
            table,
            wanted: Mutex::default(),
        });
        if on {
            // Without the watch a flushed table stays so until the next start.
            drop(watch(&firewall));
        }
        firewall
    }

    /// Makes the rules those of `segments`; published ports stay.
    pub(crate) fn ensure(&self, segments: impl FnOnce() -> Vec<Segment>) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        let mut wanted = self.wanted();
        let segments = segments();
        if segments.is_empty() && wanted.segments.is_empty() {
            return Ok(());
        }
        wanted.segments = segments;
        commit::ensure(&rules::ruleset(&self.table, &wanted.segments)).map(drop)
    }

    /// Adds published ports, all or none.
    pub(crate) fn publish(&self, elements: &[Element]) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        let mut wanted = self.wanted();
        commit::publish(&self.table, elements)?;
        wanted.elements.extend(elements);
        Ok(())
    }

    /// Removes published ports.
    pub(crate) fn withdraw(&self, elements: &[Element]) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        let mut wanted = self.wanted();
        for element in elements {
            wanted.elements.remove(element);
        }
        commit::withdraw(&self.table, elements)
    }

    /// Makes the published ports those that are wanted: what an earlier daemon left goes, what is
    /// missing comes.
    pub(crate) fn settle(&self, elements: Vec<Element>) -> Result<()> {
        let mut wanted = self.wanted();
        if !self.on || wanted.segments.is_empty() {
            return Ok(());
        }
        wanted.elements = elements.into_iter().collect();
        let present = commit::published(&self.table)?;
        let stale: Vec<_> = present
            .iter()
            .filter(|element| !wanted.elements.contains(element))
            .copied()
            .collect();
        let missing: Vec<_> = wanted
            .elements
            .iter()
            .filter(|element| !present.contains(element))
            .copied()
            .collect();
        commit::withdraw(&self.table, &stale)?;
        commit::publish(&self.table, &missing)
    }

    /// Removes the table for good.
    pub(crate) fn remove(&self) -> Result<()> {
        if !self.on {
            return Ok(());
        }
        *self.wanted() = Wanted::default();
        commit::remove(&self.table)
    }

    /// Makes the table whole if it is gone.
    fn heal(&self) -> Result<()> {
        let wanted = self.wanted();
        if wanted.segments.is_empty() || !commit::present(&self.table)?.is_empty() {
            return Ok(());
        }
        commit::ensure(&rules::ruleset(&self.table, &wanted.segments))?;
        let elements: Vec<_> = wanted.elements.iter().copied().collect();
        commit::publish(&self.table, &elements)
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // What is half done is made whole by the next daemon.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that sees the table go; it ends some time after the firewall.
fn watch(firewall: &Arc<Firewall>) -> Result<()> {
    let socket = Socket::open(Protocol::Netfilter).map_err(Error::Socket)?;
    socket.join(CHANGES).map_err(Error::Socket)?;
    let firewall = Arc::downgrade(firewall);
    std::thread::Builder::new()
        .name("wharf-nft".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || see(&socket, &firewall))
        .map_err(Error::Thread)?;
    Ok(())
}

fn see(socket: &Socket, firewall: &Weak<Firewall>) {
    let mut room = buffer();
    loop {
        let gone = match socket.receive(&mut room) {
            Ok(bytes) => messages(bytes).any(|message| message.kind == encode::DELETE_TABLE),
            // Nothing for a while; or more than could be kept, among which anything may have been.
            Err(error) => error.errno != sys::Errno::AGAIN,
        };
        let Some(firewall) = firewall.upgrade() else {
            return;
        };
        if gone {
            // What cannot be healed now is healed by the next daemon.
            drop(firewall.heal());
        }
    }
}
