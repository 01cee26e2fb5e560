//! `logs`: what a container has written.

use std::io::Read;
use std::time::SystemTime;

use api::container::ContainerInspect;

use crate::commands::container_path;
use crate::demux::Demux;
use crate::error::{Error, Result};
use crate::flags::{Parsed, quote};
use crate::format::time::api_time;
use crate::http::Query;
use crate::session::Session;

/// `logs`
pub(crate) fn logs(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let time = |flag: &str| match parsed.text(flag) {
        "" => Ok(String::new()),
        text => api_time(text, SystemTime::now()).ok_or_else(|| {
            Error::text(format!(
                "invalid value for \"{flag}\": failed to parse value as time or duration: {}",
                quote(text)
            ))
        }),
    };
    let path = container_path(&parsed.args[0], "/json");
    let inspect: ContainerInspect = session.client.get_json(&path)?;
    let query = Query::default()
        .with_flag("details", parsed.is_set("details"))
        .with_flag("follow", parsed.is_set("follow"))
        .with_text("since", &time("since")?)
        .with_flag("stderr", true)
        .with_flag("stdout", true)
        .with("tail", parsed.last("tail").unwrap_or("all"))
        .with_flag("timestamps", parsed.is_set("timestamps"))
        .with_text("until", &time("until")?)
        .render();
    let mut response = session.client.stream(
        "GET",
        &container_path(&inspect.id, &format!("/logs{query}")),
    )?;
    let tty = inspect.config.tty;
    let mut demux = match parsed.text("grep") {
        "" => Demux::new(tty),
        text => Demux::grep(tty, text),
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match response.read(&mut buffer)? {
            0 => {
                demux.finish()?;
                return Ok(0);
            }
            count => demux.write(&buffer[..count])?,
        }
    }
}
