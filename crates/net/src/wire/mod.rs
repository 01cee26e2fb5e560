//! Netlink as we speak it: messages, the requests of rtnetlink, and a conversation.
//!
//! `message` and `route` are pure; `talk` sends and receives.

pub(crate) mod message;
pub(crate) mod route;
pub(crate) mod talk;
