//! A namespace that is connected to the bridge but has no address yet: what the pool keeps ready,
//! and what an endpoint is made from.

use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;

use crate::apply::{self, apply};
use crate::ipam::ledger::EndpointRecord;
use crate::link::bridge::Bridge;
use crate::netns::Namespace;
use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::{Talk, first_refusal};
use crate::{Error, Result, netns, plan, sysctl};

/// How the wires of one network are made.
#[derive(Clone, Debug)]
pub(crate) struct Wiring {
    /// The switch.
    pub(crate) bridge: Bridge,
    /// Bytes of the largest packet.
    pub(crate) mtu: u32,
    /// Alias of a wire that belongs to no container yet.
    pub(crate) alias: String,
    /// Whether its containers may speak to each other.
    pub(crate) together: bool,
}

/// A connected namespace.
#[derive(Debug)]
pub(crate) struct Wired {
    namespace: Namespace,
    /// Name of the host end.
    host_link: String,
}

impl Wired {
    /// Connects `namespace` by a link of that name. On failure nothing is left on the host.
    pub(crate) fn connect(
        wiring: &Wiring,
        host: &mut Talk,
        mut namespace: Namespace,
        link: &str,
    ) -> Result<Self> {
        let host_link = format!("veth{}", &random_id()?[..7]);
        namespace.link = None;
        let plan = plan::wire(&host_link, link, wiring);
        let connected = apply(&plan, host, &mut namespace, link).and_then(|()| {
            if wiring.together {
                return Ok(());
            }
            let mut batch = Batch::new();
            route::isolate(&mut batch, &host_link);
            first_refusal(&host.send(&batch)?, |_| format!("isolate {host_link}"))
        });
        connected.inspect_err(|_| apply::remove_wire(&host_link, host))?;
        Ok(Self {
            namespace,
            host_link,
        })
    }

    /// Gives it the endpoint's addresses and settings, `alias` to the wire, and a default route to
    /// `gateway`. On failure nothing is left on the host.
    pub(crate) fn adopt(
        mut self,
        endpoint: &EndpointRecord,
        alias: String,
        gateway: Option<Ipv4Addr>,
        host: &mut Talk,
    ) -> Result<Namespace> {
        let plan = plan::endpoint(endpoint, &self.host_link, alias, gateway);
        apply(&plan, host, &mut self.namespace, &endpoint.link)
            .and_then(|()| settings(&self.namespace, endpoint))
            .inspect_err(|_| apply::remove_wire(&self.host_link, host))?;
        Ok(self.namespace)
    }
}

fn settings(namespace: &Namespace, endpoint: &EndpointRecord) -> Result<()> {
    if endpoint.settings.is_empty() {
        return Ok(());
    }
    netns::within(namespace.netns.as_fd(), || {
        endpoint
            .settings
            .iter()
            .try_for_each(|(name, value)| sysctl::ensure(name, value))
    })
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
