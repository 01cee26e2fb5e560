//! `run` and `create`: create, attach, wait, start, in this order, so that no output and no exit
//! code is lost.

use std::io::Write;
use std::os::fd::AsFd;

use api::container::{ContainerCreateRequest, ContainerCreateResponse, WaitResponse};
use api::host_config::{BindOptions, MountRequest};

use crate::client::{Hijacked, parse};
use crate::commands::container_path;
use crate::container_config;
use crate::error::{Error, Result, go_text};
use crate::flags::{Parsed, quote};
use crate::http::{Query, Response};
use crate::keys::Keys;
use crate::session::Session;
use crate::stream::{self, Join};

/// `create`
pub(crate) fn create(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let request = prepare(session, parsed)?;
    let id = create_container(session, parsed, &request)?;
    session.line(&id)?;
    Ok(0)
}

/// `run`
pub(crate) fn run(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let mut request = prepare(session, parsed)?;
    let detach = parsed.is_set("detach");
    if detach {
        if !parsed.all("attach").is_empty() {
            return Err(Error::text(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        let config = &mut request.config;
        (
            config.attach_stdin,
            config.attach_stdout,
            config.attach_stderr,
        ) = (false, false, false);
        config.stdin_once = false;
    } else if request.config.tty
        && request.config.attach_stdin
        && !stream::is_terminal(std::io::stdin().as_fd())
    {
        return Err(Error::text("the input device is not a TTY"));
    }
    if request.config.tty
        && let Some(host) = &mut request.host_config
        && let Ok((width, height)) = sys::tty::size(std::io::stdout())
    {
        host.console_size = [height.into(), width.into()];
    }
    run_container(session, parsed, &request).map_err(|error| as_run_error(session, error))
}

/// Gives an error the words and the exit code of `run`.
fn as_run_error(session: &Session, error: Error) -> Error {
    let program = session.config.program;
    match error {
        Error::Exit { .. } => error,
        error => {
            let text = error.to_string();
            let has = |phrase: &str| text.contains(phrase);
            let code = if has("executable file not found")
                || has("no such file or directory")
                || has("system cannot find the file specified")
            {
                127
            } else if has("permission denied") || has("is a directory") {
                126
            } else {
                125
            };
            hinted(program, &session.path, &text, code)
        }
    }
}

fn hinted(program: &str, path: &str, text: &str, code: i32) -> Error {
    let text = format!("{program}: {text}\n\nRun '{program} {path} --help' for more information");
    Error::Exit { text, code }
}

/// Checks everything that needs no daemon.
fn prepare(session: &Session, parsed: &Parsed) -> Result<ContainerCreateRequest> {
    let refuse = |text: String| hinted(session.config.program, &session.path, &text, 125);
    let pull = parsed.text("pull");
    if !matches!(pull, "" | "always" | "missing" | "never") {
        return Err(refuse(format!(
            "invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\""
        )));
    }
    if let Some(flag) = ["cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"]
        .into_iter()
        .find(|flag| parsed.given(flag))
    {
        return Err(Error::text(format!(
            "\"--{flag}\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux"
        )));
    }
    let mut request = container_config::request(&session.config, parsed)
        .map_err(|error| refuse(error.to_string()))?;
    if parsed.is_set("use-api-socket") {
        let host = request.host_config.get_or_insert_default();
        host.mounts.push(api_socket());
    }
    Ok(request)
}

/// The engine's socket in the container, at the place where clients look for it, as Docker has it
/// whatever the client's own address is.
fn api_socket() -> MountRequest {
    const SOCKET: &str = "/var/run/docker.sock";
    MountRequest {
        kind: "bind".to_owned(),
        source: SOCKET.to_owned(),
        target: SOCKET.to_owned(),
        bind_options: Some(BindOptions::default()),
        ..MountRequest::default()
    }
}

/// Creates the container; pulls the image if it is missing. Returns the id.
fn create_container(
    session: &mut Session,
    parsed: &Parsed,
    request: &ContainerCreateRequest,
) -> Result<String> {
    let cidfile = parsed.text("cidfile");
    if !cidfile.is_empty() && std::fs::symlink_metadata(cidfile).is_ok() {
        return Err(Error::text(format!(
            "container ID file found, make sure the other container isn't running or delete {cidfile}"
        )));
    }
    let image = &request.config.image;
    match image.parse::<types::Reference>() {
        // Sixty-four digits are an id.
        Ok(_) | Err(types::reference::InvalidReference::LooksLikeId(_)) => {}
        Err(_) if image.starts_with("sha256:") => {}
        Err(error) => return Err(Error::text(error.to_string())),
    }
    let platform = platform(session, parsed);
    let query = Query::default()
        .with_text("name", parsed.text("name"))
        .with_text("platform", &platform)
        .render();
    let path = format!("/containers/create{query}");
    let pull = parsed.text("pull");
    if pull == "always" {
        pull_image(session, parsed, image, &platform)?;
    }
    let answer = match session.client.post_json(&path, request) {
        // As Docker: any 404 of create is an image that is not here, or not for this platform.
        Err(Error::Daemon { status: 404, .. }) if pull != "never" && pull != "always" => {
            if !parsed.is_set("quiet") {
                let shown = image.parse::<types::Reference>().map_or_else(
                    |_| image.clone(),
                    |reference| reference.or_latest().familiar(),
                );
                session.warn(&format!("Unable to find image '{shown}' locally"));
            }
            pull_image(session, parsed, image, &platform)?;
            session.client.post_json(&path, request)?
        }
        result => result?,
    };
    let answer: ContainerCreateResponse = parse(&answer)?;
    for warning in &answer.warnings {
        session.warn(&format!("WARNING: {warning}"));
    }
    if !cidfile.is_empty() {
        write_cidfile(cidfile, &answer.id)?;
    }
    Ok(answer.id)
}

fn platform(session: &Session, parsed: &Parsed) -> String {
    let variable = || {
        session
            .config
            .var("DOCKER_DEFAULT_PLATFORM")
            .unwrap_or_default()
    };
    parsed.last("platform").map_or_else(variable, str::to_owned)
}

fn write_cidfile(path: &str, id: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        Error::text(format!(
            "failed to create the container ID file: open {path}: {}",
            go_text(&error)
        ))
    };
    let mut file = std::fs::File::create(path).map_err(failed)?;
    file.write_all(id.as_bytes()).map_err(failed)
}

/// Pulls with the progress on stderr.
fn pull_image(session: &mut Session, parsed: &Parsed, image: &str, platform: &str) -> Result<()> {
    let reference: types::Reference = image
        .parse()
        .map_err(|error| Error::text(format!("{error}")))?;
    let reference = reference.or_latest();
    let tag = match (reference.tag(), reference.digest()) {
        (_, Some(digest)) => digest.to_string(),
        (tag, None) => tag.unwrap_or_default().to_owned(),
    };
    let query = Query::default()
        .with(
            "fromImage",
            reference
                .to_string()
                .split(['@'])
                .next()
                .unwrap_or_default()
                .trim_end_matches(&format!(":{tag}")),
        )
        .with("tag", tag)
        .with_text("platform", platform)
        .render();
    let shown = crate::credentials::header(&session.config, reference.registry())?;
    let path = format!("/images/create{query}");
    let mut response = session
        .client
        .stream_shown("POST", &path, shown.as_deref())?;
    let quiet = parsed.is_set("quiet");
    crate::progress::show(&mut response, crate::progress::To::Stderr, quiet)?;
    session.client.recycle(response);
    Ok(())
}

fn run_container(
    session: &mut Session,
    parsed: &Parsed,
    request: &ContainerCreateRequest,
) -> Result<i32> {
    let id = create_container(session, parsed, request)?;
    let config = &request.config;
    let attached = config.attach_stdin || config.attach_stdout || config.attach_stderr;
    let base = container_path(&id, "");
    // Caught from here on, so that a Ctrl-C between now and the start reaches the container.
    let sig_proxy = !parsed.is_set("detach") && parsed.is_set_or_default("sig-proxy");
    let signals = stream::catch_signals(sig_proxy, attached && config.tty)?;
    if !attached {
        session.client.post(&format!("{base}/start"))?;
        session.line(&id)?;
        return Ok(0);
    }
    let hijacked = attach(session, &base, request, parsed.text("detach-keys"))?;
    let keys = Keys::parse(parsed.text("detach-keys"))?;
    let removed = request
        .host_config
        .as_ref()
        .is_some_and(|host| host.auto_remove);
    let wait = wait(session, &base, removed)?;
    if let Err(error) = session.client.post(&format!("{base}/start")) {
        if removed {
            // The engine removes it; whoever reads our exit code may count on that.
            let mut wait = wait;
            drop(wait.read_all());
        }
        return Err(error);
    }
    let join = Join {
        hijacked,
        tty: config.tty,
        stdin: config.attach_stdin,
        keys,
        wait: Some(wait),
        resize: config.tty.then_some(base.as_str()),
        signals: sig_proxy.then_some(id.as_str()),
    };
    let ended = stream::run(&mut session.client, join, signals.as_ref())?;
    if ended.detached {
        return Ok(0);
    }
    exit_status(&ended.waited.unwrap_or_default())
}

fn attach(
    session: &mut Session,
    base: &str,
    request: &ContainerCreateRequest,
    keys: &str,
) -> Result<Hijacked> {
    let config = &request.config;
    let query = Query::default()
        .with_text("detachKeys", keys)
        .with_flag("stderr", config.attach_stderr)
        .with_flag("stdin", config.attach_stdin)
        .with_flag("stdout", config.attach_stdout)
        .with_flag("stream", true)
        .render();
    session.client.hijack(&format!("{base}/attach{query}"), &[])
}

/// Asks for the exit code before the start: its headers come at once, its body at the end.
pub(crate) fn wait(session: &mut Session, base: &str, removed: bool) -> Result<Response> {
    let condition = if removed { "removed" } else { "next-exit" };
    session
        .client
        .stream("POST", &format!("{base}/wait?condition={condition}"))
}

/// Turns the answer to wait into our exit code.
pub(crate) fn exit_status(body: &[u8]) -> Result<i32> {
    let answer: WaitResponse = parse(body)?;
    if let Some(error) = answer.error.filter(|error| !error.message.is_empty()) {
        return Err(Error::Exit {
            text: format!("Error waiting for container: {}", quote(&error.message)),
            code: 125,
        });
    }
    Ok(i32::try_from(answer.status_code).unwrap_or(125))
}
