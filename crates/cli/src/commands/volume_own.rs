//! What Docker's volumes cannot: `volume export`, `import`, `clone`, `snapshot`, `rename`.

use std::io::Read;

use api::volume::Volume;

use crate::client::parse;
use crate::commands::transfer::{TAR, check_output, open, receive};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::{Query, escape_path};
use crate::session::Session;
use crate::stream::is_terminal;

fn path(name: &str, rest: &str) -> String {
    format!("/wharf/v1/volumes/{}/{rest}", escape_path(name))
}

/// `volume export`
pub(crate) fn export(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let output = parsed.text("output");
    check_output(output, "export volume")?;
    let mut response = session
        .client
        .stream("GET", &path(&parsed.args[0], "export"))?;
    receive(&mut response, output)?;
    Ok(0)
}

/// `volume import`
pub(crate) fn import(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    use std::os::fd::AsFd;
    let mut from: Box<dyn Read> = match parsed.args.get(1).map(String::as_str) {
        None | Some("-") if is_terminal(std::io::stdin().as_fd()) => {
            return Err(Error::text(
                "requested import from stdin, but stdin is empty",
            ));
        }
        None | Some("-") => Box::new(std::io::stdin().lock()),
        Some(path) => Box::new(open(path)?),
    };
    let path = path(&parsed.args[0], "import");
    let mut response = session.client.upload("POST", &path, TAR, &mut from)?;
    let mut rest = Vec::new();
    response.read_to_end(&mut rest)?;
    session.line(&parsed.args[0])?;
    Ok(0)
}

/// `volume clone`
pub(crate) fn clone(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default()
        .with("to", parsed.args[1].as_str())
        .render();
    make(session, &path(&parsed.args[0], &format!("clone{query}")))
}

/// `volume snapshot`
pub(crate) fn snapshot(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let to = parsed.args.get(1).map_or("", String::as_str);
    let query = Query::default()
        .with_text("to", to)
        .with_flag("live", parsed.is_set("live"))
        .render();
    make(session, &path(&parsed.args[0], &format!("snapshot{query}")))
}

/// `volume rename`
pub(crate) fn rename(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default()
        .with("to", parsed.args[1].as_str())
        .render();
    make(session, &path(&parsed.args[0], &format!("rename{query}")))
}

/// Posts, and prints the name of the volume that there is then.
fn make(session: &mut Session, path: &str) -> Result<i32> {
    let made: Volume = parse(&session.client.post(path)?)?;
    session.line(&made.name)?;
    Ok(0)
}
