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
use crate::record::{NetworkRecord, Subnet};
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
    /// Id of the network.
    pub network: String,
    /// Its name.
    pub network_name: String,
    /// The container's address and the length of the network.
    pub address: Prefix,
    /// Where its default route may lead.
    pub gateway: Option<Ipv4Addr>,
    /// Hardware address of its interface.
    pub mac: [u8; 6],
    /// Its interface.
    pub link: String,
    /// The highest one's gateway is the container's.
    pub priority: i64,
    /// What the container is called on this network; the first is its name.
    pub names: Vec<String>,
    /// Kernel settings of its interface, `ipv4/conf/eth0/x` and value.
    pub settings: Vec<(String, String)>,
}

/// What is wished of an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointRequest {
    /// Id of the network.
    pub network: String,
    /// Whose it is.
    pub container: ContainerId,
    /// An address of the user's choice.
    pub address: Option<Ipv4Addr>,
    /// A hardware address of the user's choice.
    pub mac: Option<[u8; 6]>,
    /// Its interface.
    pub link: String,
    /// The highest one's gateway is the container's.
    pub priority: i64,
    /// What the container is called on this network.
    pub names: Vec<String>,
    /// Kernel settings of its interface.
    pub settings: Vec<(String, String)>,
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

/// Returns the endpoint whose gateway is the container's: that of the highest priority, then of the
/// first name (network reference §2.1).
pub fn gateway_of(endpoints: &[EndpointRecord]) -> Option<&EndpointRecord> {
    endpoints
        .iter()
        .filter(|endpoint| endpoint.gateway.is_some())
        .min_by_key(|endpoint| (-endpoint.priority, endpoint.network_name.as_str()))
}

fn key(network: &str, address: Ipv4Addr) -> String {
    format!("{network}/{address}")
}

/// Gives out the addresses of one network.
#[derive(Debug)]
pub(crate) struct Ledger {
    network: String,
    name: String,
    internal: bool,
    subnet: Subnet,
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
    pub(crate) fn new(network: &NetworkRecord, subnet: Subnet) -> Self {
        let memory = Memory {
            hint: Ipv4Addr::UNSPECIFIED,
            lingering: BTreeSet::new(),
        };
        Self {
            network: network.id.clone(),
            name: network.name.clone(),
            internal: network.internal,
            subnet,
            memory: Mutex::new(memory),
        }
    }

    /// Takes the address that is asked for, or the first free one.
    pub(crate) fn allocate(
        &self,
        txn: &Txn<'_>,
        request: &EndpointRequest,
        id: String,
    ) -> Result<EndpointRecord> {
        let mut memory = self.memory();
        let address = match request.address {
            Some(address) => self.claim(txn, address)?,
            None => self.search(txn, &memory)?,
        };
        let record = EndpointRecord {
            id,
            container: request.container,
            network: self.network.clone(),
            network_name: self.name.clone(),
            address: self.subnet.subnet.with_address(address),
            gateway: (!self.internal).then_some(self.subnet.gateway),
            mac: request.mac.unwrap_or_else(|| pool::mac(address)),
            link: request.link.clone(),
            priority: request.priority,
            names: request.names.clone(),
            settings: request.settings.clone(),
        };
        txn.put(&ENDPOINTS, &record.key(), &record)?;
        if request.address.is_none() {
            memory.hint = address;
        }
        Ok(record)
    }

    /// One that lingers is given to who asks for just that: it is the same container, started again.
    fn claim(&self, txn: &Txn<'_>, address: Ipv4Addr) -> Result<Ipv4Addr> {
        let taken = txn.get(&ENDPOINTS, &key(&self.network, address))?.is_some();
        if taken || address == self.subnet.gateway {
            return Err(Error::AddressTaken);
        }
        Ok(address)
    }

    fn search(&self, txn: &Txn<'_>, memory: &Memory) -> Result<Ipv4Addr> {
        // Second round from the start: the hint may be too high after a failed transaction.
        for from in [memory.hint, Ipv4Addr::UNSPECIFIED] {
            for address in pool::candidates(&self.subnet, from) {
                if !memory.lingering.contains(&address)
                    && txn.get(&ENDPOINTS, &key(&self.network, address))?.is_none()
                {
                    return Ok(address);
                }
            }
        }
        Err(Error::NoAddress {
            network: self.name.clone(),
            id: self.network.clone(),
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
    use crate::record::Driver;
    use meta::Meta;
    use std::collections::BTreeMap;

    fn small() -> Ledger {
        let subnet = Subnet {
            subnet: "10.0.0.0/29".parse().unwrap(),
            range: None,
            gateway: Ipv4Addr::new(10, 0, 0, 1),
            gateway_told: true,
            chosen: true,
            auxiliary: BTreeMap::new(),
        };
        let record = NetworkRecord {
            id: "n".into(),
            name: "bridge".into(),
            created_ns: 0,
            driver: Driver::Bridge,
            subnet: None,
            internal: false,
            attachable: false,
            options: BTreeMap::new(),
            ipam_options: BTreeMap::new(),
            labels: BTreeMap::new(),
        };
        Ledger::new(&record, subnet)
    }

    #[test]
    fn addresses_come_in_order_and_rest_while_they_linger() {
        let path = std::env::temp_dir().join(format!("wharf-ledger-{}", std::process::id()));
        let meta = Meta::open(&path).unwrap();
        let ledger = small();
        let request = EndpointRequest {
            network: "n".into(),
            container: "ab".repeat(32).parse().unwrap(),
            address: None,
            mac: None,
            link: "eth0".into(),
            priority: 0,
            names: Vec::new(),
            settings: Vec::new(),
        };
        let drawn = std::cell::Cell::new(0);
        let take = || {
            drawn.set(drawn.get() + 1);
            meta.write(|txn| ledger.allocate(txn, &request, drawn.get().to_string()))
        };
        let last = |record: &EndpointRecord| record.address.address().octets()[3];
        let give = |record: &EndpointRecord| meta.write(|txn| ledger.release(txn, record));

        let undone: Result<()> = meta.write(|txn| {
            ledger.allocate(txn, &request, String::new())?;
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
        let next = small();
        let taken = meta
            .write(|txn| next.allocate(txn, &request, String::new()))
            .unwrap();
        assert_eq!(last(&taken), 6);
        assert_eq!(all(&meta.read().unwrap()).unwrap().len(), 5);
        std::fs::remove_file(path).unwrap();
    }
}
