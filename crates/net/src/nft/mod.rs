//! The firewall: one table of ours, made and changed in whole transactions.
//!
//! `rules` decides (pure, printable in nft's own syntax), `encode` turns rules into the kernel's
//! expressions (pure), `commit` sends one transaction. A table of another name is never touched.
//!
//! An `accept` is final for its own table only: what another table drops (an iptables `FORWARD`
//! policy of `DROP`, ufw, firewalld) stays dropped, see docs/decisions/0005-one-nft-table.md.

pub(crate) mod commit;
pub(crate) mod encode;
mod expression;
pub(crate) mod rules;
