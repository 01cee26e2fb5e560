//! Operations that are not built: each says so, and stands in docs/compat.md.

use crate::error::Failure;
use crate::request::{Request, Result};

pub(crate) async fn refused(_request: Request) -> Result {
    Err(Failure::not_yet("this operation of the API"))
}
