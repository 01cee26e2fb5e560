//! Names: messages of RFC 1035, and who is called what.

pub(crate) mod message;
pub(crate) mod zone;
