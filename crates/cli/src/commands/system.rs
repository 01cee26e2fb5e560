//! `version`, `info`, `system df`, `system trace`.

use api::container::TraceStep;

use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::table;
use crate::session::Session;

/// `version`
pub(crate) fn version(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    Err(Error::text(format!(
        "{}: 'version' is not built yet",
        session.config.program
    )))
}

/// `info`
pub(crate) fn info(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    Err(Error::text(format!(
        "{}: 'info' is not built yet",
        session.config.program
    )))
}

/// `system df`
pub(crate) fn disk_usage(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    Err(Error::text(format!(
        "{}: 'system df' is not built yet",
        session.config.program
    )))
}

/// `system trace`: the step clock of a container's start.
pub(crate) fn trace(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = crate::http::escape_path(&parsed.args[0]);
    let steps: Vec<TraceStep> = session
        .client
        .get_json(&format!("/wharf/v1/containers/{name}/trace"))?;
    let mut rows = vec![vec!["STEP".to_owned(), "AT".to_owned(), "TOOK".to_owned()]];
    let mut before = 0;
    let shown = |us: u64| format!("{}.{:03}ms", us / 1000, us % 1000);
    for step in &steps {
        rows.push(vec![
            step.name.clone(),
            shown(step.us),
            shown(step.us.saturating_sub(before)),
        ]);
        before = step.us;
    }
    session.print(&table::render(&rows))?;
    Ok(0)
}
