//! Swarm: one sentence, as a dockerd outside a swarm says it.

use hyper::StatusCode;

use crate::error::Failure;
use crate::request::{Request, Result};

pub(crate) async fn refused(_request: Request) -> Result {
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
         connect this node to swarm and try again.",
    ))
}
