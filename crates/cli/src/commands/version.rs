//! `version`: ours and the daemon's.

use crate::VERSION;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::template::{Over, Template};
use crate::format::value::Value;
use crate::format::{row, unescape};
use crate::session::Session;
use crate::text::append;

fn client(session: &Session) -> Value {
    let version = session.client.version().to_string();
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    row(vec![
        ("Version", Value::text(VERSION)),
        ("ApiVersion", Value::text(version)),
        (
            "DefaultAPIVersion",
            Value::text(api::ApiVersion::MAX.to_string()),
        ),
        (
            "GitCommit",
            Value::text(concat!("wharf-", env!("CARGO_PKG_VERSION"))),
        ),
        ("GoVersion", Value::text("none")),
        ("Os", Value::text("linux")),
        ("Arch", Value::text(arch)),
        ("BuildTime", Value::text("")),
        ("Context", Value::text("default")),
    ])
}

/// `version`
pub(crate) fn version(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let format = parsed.text("format");
    let template = match format {
        "" | "json" => None,
        text => Some(
            Template::parse(&unescape(text)).map_err(|error| Error::Exit {
                text: format!("template parsing error: {error}"),
                code: 64,
            })?,
        ),
    };
    let server = session.client.get_json::<Value>("/version");
    let (server, failure) = match server {
        Ok(server) => (server, None),
        Err(error) => (Value::Null, Some(error)),
    };
    let both = row(vec![
        ("Client", client(session)),
        ("Server", with_dates(server)),
    ]);
    match (&template, format) {
        (Some(template), _) => {
            let text = template.execute(&both, Over::Document);
            let text =
                text.map_err(|error| Error::text(format!("template parsing error: {error}")))?;
            session.line(&text)?;
        }
        (None, "json") => session.line(&both.to_json(true))?,
        (None, _) => session.print(&version_text(&both))?,
    }
    failure.map_or(Ok(0), Err)
}

/// Writes the build time of components as C does.
fn with_dates(server: Value) -> Value {
    let Value::Object(entries) = server else {
        return server;
    };
    let shown = |value: Value| match value {
        Value::String(text) => Value::String(ansi_date(&text).unwrap_or(text)),
        value => value,
    };
    let detail = |(key, value): (String, Value)| match key.as_str() {
        "BuildTime" => (key, shown(value)),
        _ => (key, value),
    };
    let field = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("Details", Value::Object(details)) => (
            key,
            Value::Object(details.into_iter().map(detail).collect()),
        ),
        (_, value) => (key, value),
    };
    let component = |value| match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(field).collect()),
        value => value,
    };
    let entry = |(key, value): (String, Value)| match (key.as_str(), value) {
        ("Components", Value::Array(list)) => {
            (key, Value::Array(list.into_iter().map(component).collect()))
        }
        (_, value) => (key, value),
    };
    Value::Object(entries.into_iter().map(entry).collect())
}

fn ansi_date(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.strftime("%a %b %e %H:%M:%S %Y").to_string())
}

fn version_text(both: &Value) -> String {
    let client = both.get("Client");
    let (version, newest) = (
        text_in(client, "ApiVersion"),
        text_in(client, "DefaultAPIVersion"),
    );
    let downgraded = if version == newest {
        String::new()
    } else {
        format!(" (downgraded from {newest})")
    };
    let mut out = String::from("Client:\n");
    let of = |key: &str| text_in(client, key);
    for (name, value) in [
        (" Version:", of("Version")),
        (" API version:", format!("{version}{downgraded}")),
        (" Go version:", of("GoVersion")),
        (" Git commit:", of("GitCommit")),
        (" Built:", of("BuildTime")),
        (" OS/Arch:", format!("{}/{}", of("Os"), of("Arch"))),
        (" Context:", of("Context")),
    ] {
        append(&mut out, format_args!("{name:<20}{value}\n"));
    }
    let Some(server @ Value::Object(_)) = both.get("Server") else {
        return out;
    };
    let platform = text_in(server.get("Platform"), "Name");
    let gap = if platform.is_empty() { "" } else { " " };
    append(&mut out, format_args!("\nServer:{gap}{platform}\n"));
    if let Some(Value::Array(components)) = server.get("Components") {
        for component in components {
            component_text(component, &mut out);
        }
    }
    out
}

fn component_text(component: &Value, out: &mut String) {
    let name = text_in(Some(component), "Name");
    append(out, format_args!(" {name}:\n"));
    let mut pair = |name: &str, value: &str| append(out, format_args!("{name:<20}{value}\n"));
    pair("  Version:", &text_in(Some(component), "Version"));
    let details = component.get("Details");
    let detail = |key: &str| text_in(details, key);
    if name != "Engine" {
        if let Some(Value::Object(entries)) = details {
            for (key, _) in entries {
                pair(&format!("  {key}:"), &detail(key));
            }
        }
        return;
    }
    let least = detail("MinAPIVersion");
    let least = if least.is_empty() {
        least
    } else {
        format!(" (minimum version {least})")
    };
    pair(
        "  API version:",
        &format!("{}{least}", detail("ApiVersion")),
    );
    pair("  Go version:", &detail("GoVersion"));
    pair("  Git commit:", &detail("GitCommit"));
    pair("  Built:", &detail("BuildTime"));
    pair(
        "  OS/Arch:",
        &format!("{}/{}", detail("Os"), detail("Arch")),
    );
    pair("  Experimental:", &detail("Experimental"));
}

/// Returns a text within a value; empty if there is none.
fn text_in(value: Option<&Value>, key: &str) -> String {
    match value.and_then(|value| value.get(key)) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}
