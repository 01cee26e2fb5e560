//! Verbs of one request per container: stop, kill, rm, rename, …

use api::container::{
    Change, ContainerInspect, ContainersPruned, Top, UpdateResponse, WaitResponse,
};

use crate::client::parse;
use crate::commands::container_path;
use crate::container_config;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::table;
use crate::http::Query;
use crate::session::Session;
use crate::text::append;

/// Returns the query of stop and restart.
fn stop_query(parsed: &Parsed) -> Result<String> {
    if parsed.given("timeout") && parsed.given("time") {
        return Err(Error::text(
            "conflicting options: cannot specify both --timeout and --time",
        ));
    }
    let flag = if parsed.given("time") {
        "time"
    } else {
        "timeout"
    };
    let query = Query::default().with_text("signal", parsed.text("signal"));
    Ok(query.with_text("t", parsed.text(flag)).render())
}

/// `stop`
pub(crate) fn stop(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    deprecated_time(session, parsed)?;
    let query = stop_query(parsed)?;
    session.each(&parsed.args, |session, name| {
        session
            .client
            .post(&container_path(name, &format!("/stop{query}")))
            .map(drop)
    })
}

/// `restart`
pub(crate) fn restart(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    deprecated_time(session, parsed)?;
    let query = stop_query(parsed)?;
    session.each(&parsed.args, |session, name| {
        session
            .client
            .post(&container_path(name, &format!("/restart{query}")))
            .map(drop)
    })
}

fn deprecated_time(session: &mut Session, parsed: &Parsed) -> Result<()> {
    if parsed.given("time") {
        session.line("Flag --time has been deprecated, use --timeout instead")?;
    }
    Ok(())
}

/// `kill`
pub(crate) fn kill(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let query = Query::default()
        .with_text("signal", parsed.text("signal"))
        .render();
    session.each(&parsed.args, |session, name| {
        session
            .client
            .post(&container_path(name, &format!("/kill{query}")))
            .map(drop)
    })
}

/// `pause`
pub(crate) fn pause(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    session.each(&parsed.args, |session, name| {
        session
            .client
            .post(&container_path(name, "/pause"))
            .map(drop)
    })
}

/// `unpause`
pub(crate) fn unpause(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    session.each(&parsed.args, |session, name| {
        session
            .client
            .post(&container_path(name, "/unpause"))
            .map(drop)
    })
}

/// `rm`
pub(crate) fn remove(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let force = parsed.is_set("force");
    let query = Query::default()
        .with_flag("force", force)
        .with_flag("link", parsed.is_set("link"))
        .with_flag("v", parsed.is_set("volumes"))
        .render();
    let mut code = 0;
    for name in &parsed.args {
        let name = name.trim_start_matches('/');
        let result = if name.is_empty() {
            Err(Error::text("container name cannot be empty"))
        } else {
            session
                .client
                .delete(&container_path(name, &query))
                .map(drop)
        };
        match result {
            Ok(()) => session.line(name)?,
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => {
                session.warn(&error.to_string());
                if !(force && error.is_not_found()) {
                    code = 1;
                }
            }
        }
    }
    Ok(code)
}

/// `rename`
pub(crate) fn rename(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let [old, new] = &parsed.args[..] else {
        return Ok(1);
    };
    let (old, new) = (old.trim(), new.trim());
    if old.is_empty() || new.is_empty() {
        return Err(Error::text("Error: Neither old nor new names may be empty"));
    }
    let query = Query::default().with("name", new).render();
    if let Err(error) = session
        .client
        .post(&container_path(old, &format!("/rename{query}")))
    {
        if matches!(error, Error::NoDaemon { .. }) {
            return Err(error);
        }
        session.warn(&error.to_string());
        return Err(Error::text(format!(
            "Error: failed to rename container named {old}"
        )));
    }
    Ok(0)
}

/// `wait`
pub(crate) fn wait(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let mut code = 0;
    for name in &parsed.args {
        let answer = session.client.post(&container_path(name, "/wait"));
        match answer.and_then(|bytes| parse::<WaitResponse>(&bytes)) {
            Ok(answer) => session.line(&answer.status_code.to_string())?,
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => {
                code = 1;
                session.warn(&error.to_string());
            }
        }
    }
    Ok(code)
}

/// `update`
pub(crate) fn update(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if parsed.values.is_empty() {
        return Err(Error::text(
            "you must provide one or more flags when using this command",
        ));
    }
    let request = container_config::update(parsed)?;
    let mut warnings = Vec::new();
    let code = session.each(&parsed.args, |session, name| {
        let answer = session
            .client
            .post_json(&container_path(name, "/update"), &request)?;
        warnings.extend(
            parse::<UpdateResponse>(&answer)?
                .warnings
                .unwrap_or_default(),
        );
        Ok(())
    })?;
    if !warnings.is_empty() {
        session.line(&warnings.join("\n"))?;
    }
    Ok(code)
}

/// `diff`
pub(crate) fn diff(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = &parsed.args[0];
    let changes: Option<Vec<Change>> =
        session.client.get_json(&container_path(name, "/changes"))?;
    let mut lines = String::new();
    for change in changes.unwrap_or_default() {
        let letter = match change.kind {
            0 => 'C',
            1 => 'A',
            _ => 'D',
        };
        append(&mut lines, format_args!("{letter} {}\n", change.path));
    }
    session.print(&lines)?;
    Ok(0)
}

/// `top`
pub(crate) fn top(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let options = parsed.args[1..].join(" ");
    let query = Query::default().with_text("ps_args", &options).render();
    let top: Top = session
        .client
        .get_json(&container_path(&parsed.args[0], &format!("/top{query}")))?;
    let rows: Vec<Vec<String>> = std::iter::once(top.titles).chain(top.processes).collect();
    session.print(&table::render_with(&rows, 20, 3))?;
    Ok(0)
}

/// `port`
pub(crate) fn port(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = &parsed.args[0];
    let inspect: ContainerInspect = session.client.get_json(&container_path(name, "/json"))?;
    let ports = inspect.network_settings.ports;
    let address = |binding: &api::container::PortBinding| {
        let ip = &binding.host_ip;
        let ip = if ip.contains(':') {
            format!("[{ip}]")
        } else {
            ip.clone()
        };
        format!("{ip}:{}", binding.host_port)
    };
    if let Some(wanted) = parsed.args.get(1) {
        let wanted_key = if wanted.contains('/') {
            wanted.clone()
        } else {
            format!("{wanted}/tcp")
        };
        let Some(Some(bindings)) = ports.get(&wanted_key) else {
            return Err(Error::text(format!(
                "Error: No public port '{wanted}' published for {name}"
            )));
        };
        let lines: String = bindings
            .iter()
            .map(|binding| address(binding) + "\n")
            .collect();
        session.print(&lines)?;
        return Ok(0);
    }
    let mut lines: Vec<(u32, String)> = Vec::new();
    for (port, bindings) in &ports {
        let number = port
            .split('/')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        for binding in bindings.iter().flatten() {
            lines.push((number, format!("{port} -> {}\n", address(binding))));
        }
    }
    lines.sort_by_key(|(number, _)| *number);
    let text: String = lines.into_iter().map(|(_, line)| line).collect();
    session.print(&text)?;
    Ok(0)
}

/// `container prune`
pub(crate) fn prune(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if !parsed.is_set("force")
        && !confirm(session, "WARNING! This will remove all stopped containers.")?
    {
        return Ok(1);
    }
    let query = Query::default().with_filters(&parsed.filters()).render();
    let answer: ContainersPruned =
        parse(&session.client.post(&format!("/containers/prune{query}"))?)?;
    let mut text = String::new();
    if let Some(ids) = answer.containers_deleted.filter(|ids| !ids.is_empty()) {
        text = format!("Deleted Containers:\n{}\n\n", ids.join("\n"));
    }
    text.push_str(&reclaimed(answer.space_reclaimed));
    session.print(&text)?;
    Ok(0)
}

/// Returns the last line of every prune.
pub(crate) fn reclaimed(bytes: u64) -> String {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    format!(
        "Total reclaimed space: {}\n",
        types::units::human_size(bytes, 4)
    )
}

/// Asks before something is removed; the question goes to stdout, as Docker's does.
pub(crate) fn confirm(session: &mut Session, warning: &str) -> Result<bool> {
    session.print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
