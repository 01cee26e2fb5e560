//! `start`, attached or not.

use std::os::fd::AsFd;

use api::container::ContainerInspect;

use crate::commands::{container_path, run};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::Query;
use crate::keys::Keys;
use crate::session::Session;
use crate::stream::{self, Join};

/// `start`
pub(crate) fn start(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if parsed.given("checkpoint") || parsed.given("checkpoint-dir") {
        return Err(Error::text("--checkpoint is not built yet"));
    }
    if parsed.is_set("attach") || parsed.is_set("interactive") {
        if parsed.args.len() > 1 {
            return Err(Error::text(
                "you cannot start and attach multiple containers at once",
            ));
        }
        return start_attached(session, parsed);
    }
    let mut failed = Vec::new();
    for name in &parsed.args {
        match session.client.post(&container_path(name, "/start")) {
            Ok(_) => session.line(name)?,
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => {
                session.warn(&error.to_string());
                failed.push(name.as_str());
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Error::text(format!(
        "Error: failed to start containers: {}",
        failed.join(", ")
    )))
}

fn start_attached(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = &parsed.args[0];
    let inspect: ContainerInspect = session.client.get_json(&container_path(name, "/json"))?;
    let config = &inspect.config;
    let stdin = parsed.is_set("interactive") && config.open_stdin;
    if config.tty && stdin && !stream::is_terminal(std::io::stdin().as_fd()) {
        return Err(Error::text("the input device is not a TTY"));
    }
    let base = container_path(&inspect.id, "");
    let sig_proxy = !config.tty && parsed.is_set_or_default("sig-proxy");
    let signals = stream::catch_signals(sig_proxy, config.tty)?;
    let keys = Keys::parse(parsed.text("detach-keys"))?;
    let query = Query::default()
        .with_text("detachKeys", parsed.text("detach-keys"))
        .with_flag("stderr", true)
        .with_flag("stdin", stdin)
        .with_flag("stdout", true)
        .with_flag("stream", true)
        .render();
    let hijacked = session
        .client
        .hijack(&format!("{base}/attach{query}"), &[])?;
    let removed = inspect.host_config.auto_remove;
    let wait = run::wait(session, &base, removed)?;
    session.client.post(&format!("{base}/start"))?;
    let join = Join {
        hijacked,
        tty: config.tty,
        stdin,
        keys,
        wait: Some(wait),
        resize: config.tty.then_some(base.as_str()),
        signals: sig_proxy.then_some(inspect.id.as_str()),
    };
    let ended = stream::run(&mut session.client, join, signals.as_ref())?;
    if ended.detached {
        return Ok(0);
    }
    run::exit_status(&ended.waited.unwrap_or_default())
}
