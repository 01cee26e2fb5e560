//! What is taken: the table of endpoints.
//!
//! The table is the truth; [`Ledger`] only remembers from where a search is worth while, and which
//! addresses still answer although their record may be gone. A transaction that fails later makes
//! the memory pessimistic, never wrong.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use meta::{Read, Table, Txn};
use serde::{Deserialize, Serialize};
use types::id::ContainerId;

use super::{Prefix, pool};
use crate::{Error, Result};

/// Endpoints by `NETWORK/ADDRESS`.
const ENDPOINTS: Table<EndpointRecord> = Table::new("endpoint");

/// One container's attachment to one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRecord {
    /// 64 random hexadecimal digits.
    pub id: String,
    /// Whose it is.
    pub container: ContainerId,
    /// Name of the network: `bridge`.
    pub network: String,
    /// The container's address and the length of the network.
    pub address: Prefix,
    /// Where its default route leads.
    pub gateway: Ipv4Addr,
    /// Hardware address of its interface.
    pub mac: [u8; 6],
}

impl EndpointRecord {
    /// Returns the hardware address as `02:42:ac:11:00:02`.
    pub fn mac_text(&self) -> String {
        self.mac.map(|byte| format!("{byte:02x}")).join(":")
    }

    fn key(&self) -> String {
        key(&self.network, self.address.address())
    }
}

fn key(network: &str, address: Ipv4Addr) -> String {
    format!("{network}/{address}")
}

/// Gives out the addresses of one network.
#[derive(Debug)]
pub(crate) struct Ledger {
    network: String,
    /// The gateway's address with the length of the network.
    gateway: Prefix,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// No address below is free.
    hint: Ipv4Addr,
    /// Something may still answer there, whatever the table says.
    lingering: BTreeSet<Ipv4Addr>,
}

impl Ledger {
    pub(crate) fn new(network: &str, gateway: Prefix) -> Self {
        let memory = Memory {
            hint: Ipv4Addr::UNSPECIFIED,
            lingering: BTreeSet::new(),
        };
        Self {
            network: network.to_owned(),
            gateway,
            memory: Mutex::new(memory),
        }
    }

    /// Takes the first free address for `container`.
    pub(crate) fn allocate(
        &self,
        txn: &Txn<'_>,
        container: ContainerId,
        id: String,
    ) -> Result<EndpointRecord> {
        let mut memory = self.memory();
        let gateway = self.gateway.address();
        // Second round from the start: the hint may be too high after a failed transaction.
        for from in [memory.hint, Ipv4Addr::UNSPECIFIED] {
            for address in pool::candidates(self.gateway, gateway, from) {
                if memory.lingering.contains(&address)
                    || txn.get(&ENDPOINTS, &key(&self.network, address))?.is_some()
                {
                    continue;
                }
                let record = EndpointRecord {
                    id,
                    container,
                    network: self.network.clone(),
                    address: self.gateway.with_address(address),
                    gateway,
                    mac: pool::mac(address),
                };
                txn.put(&ENDPOINTS, &record.key(), &record)?;
                memory.hint = address;
                return Ok(record);
            }
        }
        let subnet = self.gateway.network();
        Err(Error::NoAddress {
            network: self.network.clone(),
            subnet,
        })
    }

    /// Forgets the endpoint. Its address is given out again, unless it lingers.
    pub(crate) fn release(&self, txn: &Txn<'_>, record: &EndpointRecord) -> Result<()> {
        forget(txn, record)?;
        let mut memory = self.memory();
        memory.hint = memory.hint.min(record.address.address());
        Ok(())
    }

    /// Something will answer at the address until [`Ledger::free`] is called.
    pub(crate) fn linger(&self, address: Ipv4Addr) {
        self.memory().lingering.insert(address);
    }

    /// Nothing answers at the address any more.
    pub(crate) fn free(&self, address: Ipv4Addr) {
        let mut memory = self.memory();
        memory.lingering.remove(&address);
        memory.hint = memory.hint.min(address);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere leaves a pessimistic memory at worst.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns all endpoints on record.
pub(crate) fn all(from: &impl Read) -> Result<Vec<EndpointRecord>> {
    Ok(from
        .scan(&ENDPOINTS)?
        .into_iter()
        .map(|(_, record)| record)
        .collect())
}

/// Forgets an endpoint whatever its network is now; another one at its address stays.
pub(crate) fn forget(txn: &Txn<'_>, record: &EndpointRecord) -> Result<()> {
    let key = record.key();
    if txn
        .get(&ENDPOINTS, &key)?
        .is_some_and(|present| present.id == record.id)
    {
        txn.delete(&ENDPOINTS, &key)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::Meta;

    #[test]
    fn addresses_come_in_order_and_rest_while_they_linger() {
        let path = std::env::temp_dir().join(format!("wharf-ledger-{}", std::process::id()));
        let meta = Meta::open(&path).unwrap();
        let ledger = Ledger::new("bridge", "10.0.0.1/29".parse().unwrap());
        let container: ContainerId = "ab".repeat(32).parse().unwrap();
        let drawn = std::cell::Cell::new(0);
        let take = || {
            drawn.set(drawn.get() + 1);
            meta.write(|txn| ledger.allocate(txn, container, drawn.get().to_string()))
        };
        let last = |record: &EndpointRecord| record.address.address().octets()[3];
        let give = |record: &EndpointRecord| meta.write(|txn| ledger.release(txn, record));

        let undone: Result<()> = meta.write(|txn| {
            ledger.allocate(txn, container, String::new())?;
            Err(Error::NoBridge)
        });
        assert!(undone.is_err());
        let (two, three) = (take().unwrap(), take().unwrap());
        assert_eq!(
            (last(&two), last(&three)),
            (2, 3),
            "what was undone is free"
        );
        ledger.linger(two.address.address());
        give(&two).unwrap();
        assert_eq!(last(&take().unwrap()), 4, "the old one may still answer");
        ledger.free(two.address.address());
        assert_eq!(last(&take().unwrap()), 2);
        give(&two).unwrap();
        assert_eq!(
            last(&take().unwrap()),
            5,
            "what is released twice is somebody else's"
        );
        give(&three).unwrap();
        assert_eq!(last(&take().unwrap()), 3);
        // Another run of the engine knows the same, from the table alone.
        let next = Ledger::new("bridge", "10.0.0.1/29".parse().unwrap());
        let taken = meta
            .write(|txn| next.allocate(txn, container, String::new()))
            .unwrap();
        assert_eq!(last(&taken), 6);
        assert_eq!(all(&meta.read().unwrap()).unwrap().len(), 5);
        std::fs::remove_file(path).unwrap();
    }
}
