//! What a new daemon does: what runs gets back what it lacks, what is nobody's goes.

use meta::Txn;
use types::id::ContainerId;

use crate::Result;
use crate::ipam::ledger::{self, EndpointRecord, gateway_of};
use crate::keeper::Retired;
use crate::netd::Adopted;
use crate::networks::{Networks, Running};
use crate::publish;
use crate::wire::message::Batch;
use crate::wire::route;
use crate::wire::talk::first_refusal;

impl Networks {
    /// Forgets, at start, the endpoints of containers that do not run any more, and connects the
    /// wires of the others again if a bridge had to be made anew; brings their ports back. Returns
    /// what was forgotten.
    pub fn repair(&self, txn: &Txn<'_>, running: &[Running]) -> Result<Vec<EndpointRecord>> {
        let runs = |id: ContainerId| running.iter().any(|one| one.container == id);
        let (kept, gone): (Vec<_>, Vec<_>) = ledger::all(txn)?
            .into_iter()
            .partition(|endpoint| runs(endpoint.container));
        for endpoint in &gone {
            ledger::forget(txn, endpoint)?;
        }
        self.repair_wires(&kept)?;
        self.repair_ports(running)?;
        for one in running {
            self.ports.note(one.container, &one.ports);
        }
        Ok(gone)
    }

    /// Goes on with the loopback ports and the names of the containers that run.
    pub fn adopt(&self, running: Vec<Running>) -> Result<()> {
        let mut wanted = Vec::new();
        for one in running {
            let target = gateway_of(&one.endpoints).or(one.endpoints.first());
            let Some(target) = target.map(|found| found.address.address()) else {
                continue;
            };
            if !one.ports.is_empty() || one.names.is_some() {
                wanted.push(Adopted {
                    container: one.container,
                    target,
                    ports: one.ports,
                    names: one.names,
                    endpoints: one.endpoints,
                });
            }
        }
        self.netd.adopt(wanted)
    }

    /// Withdraws ports that lead to nobody, and brings back those that are missing.
    fn repair_ports(&self, running: &[Running]) -> Result<()> {
        let wanted = running
            .iter()
            .filter_map(|one| Some((gateway_of(&one.endpoints)?, &one.ports)))
            .flat_map(|(endpoint, ports)| publish::elements(endpoint, ports));
        self.firewall.settle(wanted.collect())
    }

    fn repair_wires(&self, kept: &[EndpointRecord]) -> Result<()> {
        let mut batch = Batch::new();
        for wire in self.wires()? {
            let owner = kept
                .iter()
                .find(|kept| self.config.wire_alias(kept) == wire.alias);
            let Some(owner) = owner else {
                self.keeper.retire(Retired {
                    aliases: vec![wire.alias],
                    remove: true,
                    ..Retired::default()
                });
                continue;
            };
            let Ok(live) = self.live(&owner.network) else {
                continue;
            };
            if let Some(wiring) = live.wiring().as_ref()
                && wire.master != wiring.bridge.index
            {
                route::enslave(&mut batch, &wire.name, wiring.bridge.index, &wire.alias);
            }
        }
        let refusals = self.host().send(&batch)?;
        first_refusal(&refusals, |_| "connect a wire to its bridge".to_owned())
    }
}
