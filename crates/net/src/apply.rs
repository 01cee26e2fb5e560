//! A plan reaches the kernel: two sends, one on the host, one in the container's namespace.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::link::bridge;
use crate::netns::Namespace;
use crate::plan::{Effect, INSIDE_LINK, Plan};
use crate::wire::message::Batch;
use crate::wire::route::{self, VethRequest};
use crate::wire::talk::{Talk, first_refusal};
use crate::{Error, Result};

/// Connects `namespace` as `plan` says. On failure nothing is left on the host.
pub(crate) fn apply(plan: &Plan, host: &mut Talk, namespace: &mut Namespace) -> Result<()> {
    let done = outside(plan, host, namespace).and_then(|()| inside(plan, namespace));
    if done.is_err() {
        undo(plan, host);
    }
    done
}

fn outside(plan: &Plan, host: &mut Talk, namespace: &Namespace) -> Result<()> {
    let mut batch = Batch::new();
    for effect in &plan.outside {
        encode(effect, &mut batch, 0, namespace.netns.as_fd());
    }
    let refusals = host.send(&batch)?;
    first_refusal(&refusals, |index| name(&plan.outside, index))
}

fn inside(plan: &Plan, namespace: &mut Namespace) -> Result<()> {
    // The address needs the link's number, which only the kernel knows.
    let index = bridge::find(&mut namespace.inside, INSIDE_LINK)?
        .ok_or(Error::Unsteady)?
        .index;
    let mut batch = Batch::new();
    for effect in &plan.inside {
        encode(effect, &mut batch, index, namespace.netns.as_fd());
    }
    let refusals = namespace.inside.send(&batch)?;
    first_refusal(&refusals, |at| name(&plan.inside, at))
}

/// Everything else that a plan does falls with the wire.
fn undo(plan: &Plan, host: &mut Talk) {
    let mut batch = Batch::new();
    for effect in plan.outside.iter().rev() {
        if let Effect::Wire { host, .. } = effect {
            route::delete_link(&mut batch, host);
        }
    }
    // The first failure is the one to report; a wire that was never made is refused here.
    drop(host.send(&batch));
}

/// `index` is the inside link's, for effects that name it by number.
fn encode(effect: &Effect, batch: &mut Batch, index: u32, netns: BorrowedFd<'_>) {
    match effect {
        Effect::Wire {
            host,
            inside,
            mac,
            mtu,
        } => {
            let netns = netns.as_raw_fd();
            let request = VethRequest {
                host,
                peer: inside,
                mac: *mac,
                mtu: *mtu,
                netns,
            };
            route::new_veth(batch, &request);
        }
        Effect::Port {
            host,
            bridge,
            alias,
        } => route::enslave(batch, host, *bridge, alias),
        Effect::Up { link } => route::set_up(batch, link, true),
        Effect::Address { address, .. } => route::new_address(batch, index, *address),
        Effect::DefaultRoute { gateway } => route::new_default_route(batch, *gateway),
    }
}

fn name(effects: &[Effect], index: usize) -> String {
    effects
        .get(index)
        .map_or_else(|| "connect".to_owned(), ToString::to_string)
}
