//! `exec`: one more process in a running container.

use std::os::fd::AsFd;

use api::Words;
use api::exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse};

use crate::client::parse;
use crate::commands::container_path;
use crate::container_config;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::keys::Keys;
use crate::session::Session;
use crate::stream::{self, Join};

/// `exec`
pub(crate) fn exec(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let request = request(session, parsed)?;
    if !parsed.is_set("detach")
        && request.tty
        && request.attach_stdin
        && !stream::is_terminal(std::io::stdin().as_fd())
    {
        // Docker asks for the container first: one that is missing is the better news.
        session
            .client
            .get(&container_path(&parsed.args[0], "/json"))?;
        return Err(Error::text("the input device is not a TTY"));
    }
    let answer = session
        .client
        .post_json(&container_path(&parsed.args[0], "/exec"), &request)?;
    let id = parse::<IdResponse>(&answer)?.id;
    if id.is_empty() {
        return Err(Error::text("exec ID empty"));
    }
    let base = format!("/exec/{id}");
    let start = ExecStartRequest {
        detach: parsed.is_set("detach"),
        tty: request.tty,
        console_size: request.console_size,
    };
    if start.detach {
        session.client.post_json(&format!("{base}/start"), &start)?;
        return Ok(0);
    }
    let signals = stream::catch_signals(false, request.tty)?;
    let keys = Keys::parse(parsed.text("detach-keys"))?;
    let body = serde_json::to_vec(&start).map_err(|error| Error::text(error.to_string()))?;
    let hijacked = session.client.hijack(&format!("{base}/start"), &body)?;
    let join = Join {
        hijacked,
        tty: request.tty,
        stdin: request.attach_stdin,
        keys,
        wait: None,
        resize: request.tty.then_some(base.as_str()),
        signals: None,
    };
    let ended = stream::run(&mut session.client, join, signals.as_ref())?;
    if ended.detached {
        return Err(Error::text("read escape sequence"));
    }
    let inspect: ExecInspect = session.client.get_json(&format!("{base}/json"))?;
    Ok(inspect
        .exit_code
        .and_then(|code| i32::try_from(code).ok())
        .unwrap_or(0))
}

fn request(session: &Session, parsed: &Parsed) -> Result<ExecCreateRequest> {
    let detach = parsed.is_set("detach");
    let tty = parsed.is_set("tty");
    let env = container_config::variables(&session.config, parsed)?;
    let size = sys::tty::size(std::io::stdout())
        .ok()
        .filter(|_| tty && !detach);
    Ok(ExecCreateRequest {
        user: parsed.text("user").to_owned(),
        privileged: parsed.is_set("privileged"),
        tty,
        console_size: size.map(|(width, height)| [height.into(), width.into()]),
        attach_stdin: !detach && parsed.is_set("interactive"),
        attach_stderr: !detach,
        attach_stdout: !detach,
        detach_keys: parsed.text("detach-keys").to_owned(),
        env: (!env.is_empty()).then_some(env),
        working_dir: parsed.text("workdir").to_owned(),
        cmd: Some(Words(parsed.args[1..].to_vec())),
    })
}
