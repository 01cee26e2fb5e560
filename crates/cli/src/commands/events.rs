//! `events`: what happens, as it happens.

use std::time::SystemTime;

use api::event::Event;

use crate::error::{Error, Result};
use crate::flags::{Parsed, quote};
use crate::format::template::{Over, Template};
use crate::format::time::api_time;
use crate::format::unescape;
use crate::format::value::Value;
use crate::http::Query;
use crate::progress;
use crate::session::{Session, print_bytes};
use crate::text::append;

/// `events`
pub(crate) fn events(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let format = parsed.text("format");
    let template = match format {
        "" | "json" => None,
        text => Some(
            Template::parse(&unescape(text)).map_err(|error| Error::Exit {
                text: format!("Error parsing format: {error}"),
                code: 64,
            })?,
        ),
    };
    let time = |flag: &str| match parsed.text(flag) {
        "" => Ok(String::new()),
        text => api_time(text, SystemTime::now()).ok_or_else(|| {
            Error::text(format!(
                "failed to parse value as time or duration: {}",
                quote(text)
            ))
        }),
    };
    let query = Query::default()
        .with_text("since", &time("since")?)
        .with_text("until", &time("until")?)
        .with_filters(&parsed.filters())
        .render();
    let mut response = session.client.stream("GET", &format!("/events{query}"))?;
    progress::each(&mut response, |value: Value| {
        let line = match (&template, format) {
            (Some(template), _) => template
                .execute(&value, Over::Document)
                .map_err(|error| Error::text(format!("failed to execute template: {error}")))?,
            (None, "json") => value.to_json(true),
            (None, _) => {
                let text = value.to_json(false);
                let event: Event = crate::client::parse(text.as_bytes())?;
                pretty(&event)
            }
        };
        print_bytes(format!("{line}\n").as_bytes())
    })?;
    Ok(0)
}

/// `2026-11-21T11:27:41.123456789Z container start ID (image=busybox, name=x)`
fn pretty(event: &Event) -> String {
    let nanos = event.time_nano;
    let time = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap_or_default();
    let mut text = format!(
        "{}Z {} {} {}",
        time.strftime("%Y-%m-%dT%H:%M:%S%.9f"),
        event.kind,
        event.action,
        event.actor.id
    );
    if !event.actor.attributes.is_empty() {
        let pairs: Vec<String> = event
            .actor
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        append(&mut text, format_args!(" ({})", pairs.join(", ")));
    }
    text
}
