//! A plan reaches the kernel: one send on the host, one in the container's namespace.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::link::bridge;
use crate::netns::Namespace;
use crate::plan::{Effect, Plan};
use crate::wire::message::Batch;
use crate::wire::route::{self, LanRequest, VethRequest};
use crate::wire::talk::{Talk, first_refusal};
use crate::{Error, Result};

/// Does what `plan` says, with `link` as the wire's end in the namespace. All that it does hangs on
/// that wire, so to undo it is to remove it.
pub(crate) fn apply(
    plan: &Plan,
    host: &mut Talk,
    namespace: &mut Namespace,
    link: &str,
) -> Result<()> {
    let mut batch = Batch::new();
    for effect in &plan.outside {
        encode(effect, &mut batch, 0, namespace.netns.as_fd());
    }
    first_refusal(&host.send(&batch)?, |index| name(&plan.outside, index))?;
    // An address needs the link's number, which the kernel chose.
    let index = match namespace.link {
        Some(index) => index,
        None => {
            bridge::find(&mut namespace.inside, link)?
                .ok_or(Error::Unsteady)?
                .index
        }
    };
    namespace.link = Some(index);
    let mut batch = Batch::new();
    for effect in &plan.inside {
        encode(effect, &mut batch, index, namespace.netns.as_fd());
    }
    first_refusal(&namespace.inside.send(&batch)?, |at| name(&plan.inside, at))
}

/// Removes a wire after a failure, if it was made at all.
pub(crate) fn remove_wire(name: &str, host: &mut Talk) {
    let mut batch = Batch::new();
    route::delete_link(&mut batch, name);
    // The failure before this one is the one to report.
    drop(host.send(&batch));
}

/// `index` is the inside link's, for effects that name it by number.
fn encode(effect: &Effect, batch: &mut Batch, index: u32, netns: BorrowedFd<'_>) {
    match effect {
        Effect::Wire { host, inside, mtu } => {
            let netns = netns.as_raw_fd();
            route::new_veth(
                batch,
                &VethRequest {
                    host,
                    peer: inside,
                    mtu: *mtu,
                    netns,
                },
            );
        }
        Effect::Lan { link, parent, mode } => {
            let netns = netns.as_raw_fd();
            route::new_lan(
                batch,
                &LanRequest {
                    link,
                    parent: *parent,
                    mode: *mode,
                    netns,
                },
            );
        }
        Effect::Port {
            host,
            bridge,
            alias,
        } => route::enslave(batch, host, *bridge, alias),
        Effect::Alias { host, alias } => route::set_alias(batch, host, alias),
        Effect::Up { link } => route::set_up(batch, link, true),
        Effect::Mac { link, mac } => route::set_mac(batch, link, *mac),
        Effect::Address { address, .. } => route::new_address(batch, index, *address),
        Effect::DefaultRoute { gateway } => route::new_default_route(batch, *gateway),
    }
}

fn name(effects: &[Effect], index: usize) -> String {
    effects
        .get(index)
        .map_or_else(|| "connect".to_owned(), ToString::to_string)
}
