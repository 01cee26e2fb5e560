//! A namespace that is connected to the bridge but has no address yet: what the pool keeps ready,
//! and what an endpoint is made from.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::apply::{self, apply};
use crate::ipam::ledger::EndpointRecord;
use crate::link::bridge::Bridge;
use crate::netns::Namespace;
use crate::wire::talk::Talk;
use crate::{Error, Result, plan};

/// How the wires of one network are made.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    /// The switch.
    pub(crate) bridge: Bridge,
    /// Bytes of the largest packet.
    pub(crate) mtu: u32,
    /// Alias of a wire that belongs to no container yet.
    pub(crate) alias: String,
}

/// A connected namespace.
#[derive(Debug)]
pub(crate) struct Wired {
    namespace: Namespace,
    /// Name of the host end.
    host_link: String,
}

impl Wired {
    /// Connects `namespace`. On failure nothing is left on the host.
    pub(crate) fn connect(
        wiring: &Wiring,
        host: &mut Talk,
        mut namespace: Namespace,
    ) -> Result<Self> {
        let host_link = format!("veth{}", &random_id()?[..7]);
        let plan = plan::wire(&host_link, wiring);
        apply(&plan, host, &mut namespace).inspect_err(|_| apply::remove_wire(&host_link, host))?;
        Ok(Self {
            namespace,
            host_link,
        })
    }

    /// Gives it the endpoint's addresses and route, and `alias` to the wire. On failure nothing is
    /// left on the host.
    pub(crate) fn adopt(
        mut self,
        endpoint: &EndpointRecord,
        alias: String,
        host: &mut Talk,
    ) -> Result<Namespace> {
        let plan = plan::endpoint(endpoint, &self.host_link, alias);
        apply(&plan, host, &mut self.namespace)
            .inspect_err(|_| apply::remove_wire(&self.host_link, host))?;
        Ok(self.namespace)
    }
}

/// Returns 64 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 32];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| Error::Setting {
            path: path.to_owned(),
            source,
        })?;
    Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
}
