//! Exec instances: create, start, resize, inspect.

use api::exec::{ExecCreateRequest, ExecInspect, ExecStartRequest, IdResponse, ProcessConfig};
use engine::Attach;
use engine::container::ExecConfig;
use hyper::StatusCode;

use crate::error::Failure;
use crate::hijack::{self, Head};
use crate::request::{Answer, Request, Result};

pub(crate) async fn create(request: Request) -> Result {
    let (document, request) = request.document::<ExecCreateRequest>().await?;
    let argv = document.cmd.map(|words| words.0).unwrap_or_default();
    if argv.is_empty() {
        return Err(Failure::bad_request("No exec command specified"));
    }
    // A container that is missing is the better news.
    request.engine.inspect(&request.name)?;
    hijack::detach_keys(&document.detach_keys).map_err(|_| {
        let keys = &document.detach_keys;
        Failure::bad_request(format!("Invalid escape keys ({keys}) provided"))
    })?;
    let config = ExecConfig {
        argv,
        env: document.env.unwrap_or_default(),
        user: document.user,
        working_dir: document.working_dir,
        tty: document.tty,
        privileged: document.privileged,
        attach_stdin: document.attach_stdin,
        attach_stdout: document.attach_stdout,
        attach_stderr: document.attach_stderr,
        detach_keys: document.detach_keys,
        console_size: document.console_size.and_then(size),
    };
    let id = request.engine.exec_create(&request.name, config)?;
    Ok(Answer::json(StatusCode::CREATED, &IdResponse { id }))
}

/// `[height, width]` as the API has it → columns, rows.
fn size([height, width]: [u32; 2]) -> Option<(u16, u16)> {
    let size = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    (size != (0, 0)).then_some(size)
}

pub(crate) async fn start(request: Request) -> Result {
    let (document, request) = request.document::<ExecStartRequest>().await?;
    let engine = request.engine.clone();
    let id = request.name.clone();
    let console_size = document.console_size.and_then(size);
    let exec = engine.exec_inspect(&id).await?;
    if document.detach {
        engine.exec_start(&id, None, console_size).await?;
        return Ok(Answer::Empty(StatusCode::OK));
    }
    let checked = engine.exec_check(&id);
    let config = exec.config.clone();
    let upgrade = request.upgrades();
    let version = request.version;
    let keys = hijack::detach_keys(&config.detach_keys).map_err(Failure::bad_request)?;
    Ok(Answer::Takeover(Box::new(move |fd, early_input| {
        Box::pin(async move {
            let tty = config.tty;
            let head = Head {
                upgrade,
                tty,
                version,
                with_server: true,
            };
            let Some(fd) = hijack::write(fd, head.text().as_bytes()) else {
                return;
            };
            let Ok(own) = fd.try_clone() else { return };
            let attach = Attach {
                stdin: config.attach_stdin,
                stdout: config.attach_stdout,
                stderr: config.attach_stderr,
                framed: !tty,
                early_input,
                detach_keys: if tty { keys } else { Vec::new() },
                client: 0,
            };
            let started = match checked {
                Ok(_) => {
                    engine
                        .exec_start(&id, Some((attach, fd)), console_size)
                        .await
                }
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                // The stream is open: the only way left is its stdout.
                drop(hijack::write(own, &hijack::frame(&error.to_string(), tty)));
            }
        })
    })))
}

pub(crate) async fn resize(request: Request) -> Result {
    let (width, height) = super::container::size(&request)?;
    request
        .engine
        .exec_resize(&request.name, width, height)
        .await?;
    Ok(Answer::Empty(StatusCode::OK))
}

pub(crate) async fn inspect(request: Request) -> Result {
    let exec = request.engine.exec_inspect(&request.name).await?;
    let state = exec.state();
    let config = &exec.config;
    let document = ExecInspect {
        id: exec.id.clone(),
        running: state.running,
        exit_code: state.exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: config.tty,
            entrypoint: config.argv.first().cloned().unwrap_or_default(),
            arguments: Some(config.argv.get(1..).unwrap_or_default().to_vec()),
            privileged: Some(config.privileged),
            user: config.user.clone(),
        },
        open_stdin: config.attach_stdin,
        open_stderr: config.attach_stderr,
        open_stdout: config.attach_stdout,
        can_remove: false,
        container_id: exec.container.to_string(),
        detach_keys: config.detach_keys.clone(),
        pid: i64::from(state.pid),
    };
    Ok(Answer::ok(&document))
}
