//! Kinds of objects that cannot exist yet: what is asked for by name is not there, in dockerd's
//! words, so that `inspect NAME` can look through all kinds.

use hyper::StatusCode;

use crate::error::Failure;
use crate::request::{Request, Result};

pub(crate) async fn plugin(request: Request) -> Result {
    let sentence = format!("plugin \"{}\" not found", request.name);
    Err(Failure::new(StatusCode::NOT_FOUND, sentence))
}
