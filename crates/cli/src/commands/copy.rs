//! `cp`: files between a container and this machine.

use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::session::Session;

/// `cp`
pub(crate) fn copy(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    Err(Error::text(format!(
        "{}: 'cp' is not built yet",
        session.config.program
    )))
}
