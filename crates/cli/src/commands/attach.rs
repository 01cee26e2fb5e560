//! `attach`: our terminal joined to a running container.

use std::os::fd::AsFd;

use api::container::ContainerInspect;

use crate::commands::{container_path, run};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::Query;
use crate::keys::Keys;
use crate::session::Session;
use crate::stream::{self, Join};

/// `attach`
pub(crate) fn attach(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = &parsed.args[0];
    let inspect: ContainerInspect = session.client.get_json(&container_path(name, "/json"))?;
    let state = &inspect.state;
    if !state.running {
        return Err(Error::text(
            "You cannot attach to a stopped container, start it first",
        ));
    }
    if state.paused {
        return Err(Error::text(
            "You cannot attach to a paused container, unpause it first",
        ));
    }
    if state.restarting {
        return Err(Error::text(
            "You cannot attach to a restarting container, wait until it is running",
        ));
    }
    let config = &inspect.config;
    let stdin = !parsed.is_set("no-stdin") && config.open_stdin;
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
    // Asked before attaching, so that the code of a container that ends now is not lost.
    let wait = session.client.stream("POST", &format!("{base}/wait"))?;
    let hijacked = session
        .client
        .hijack(&format!("{base}/attach{query}"), &[])?;
    if config.tty {
        nudge(session, &base);
    }
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
        return Err(Error::text("read escape sequence"));
    }
    run::exit_status(&ended.waited.unwrap_or_default())
}

/// Resizes to one more each way, so that the program redraws when the true size follows.
fn nudge(session: &mut Session, base: &str) {
    if let Ok((width, height)) = sys::tty::size(std::io::stdout()) {
        let query = Query::default()
            .with("h", (height + 1).to_string())
            .with("w", (width + 1).to_string())
            .render();
        drop(session.client.post(&format!("{base}/resize{query}")));
    }
}
