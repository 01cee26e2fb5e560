//! Which subnet, which address: pure choices, and the record of what is taken.

pub(crate) mod ledger;
pub(crate) mod pool;
mod prefix;

pub use prefix::Prefix;
