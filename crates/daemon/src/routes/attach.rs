//! `POST /containers/{id}/attach`: the connection leaves HTTP and goes to the container's shim.

use std::os::fd::OwnedFd;

use engine::Attach;
use engine::container::LogRequest;

use crate::error::Failure;
use crate::hijack::{self, Head};
use crate::request::{Answer, Request, Result};
use crate::routes::logs::View;

pub(crate) async fn attach(request: Request) -> Result {
    let query = &request.query;
    let stream = query.is_on("stream");
    let keys = hijack::detach_keys(query.get("detachKeys"));
    let found = request.engine.attachable(&request.name).await;
    let upgrade = request.upgrades();
    let version = request.version;
    let replay = query.is_on("logs");
    let name = request.name.clone();
    let attach = Attach {
        stdin: stream && query.is_on("stdin"),
        stdout: stream && query.is_on("stdout"),
        stderr: stream && query.is_on("stderr"),
        framed: true,
        early_input: Vec::new(),
        detach_keys: Vec::new(),
        client: 0,
    };
    let engine = request.engine.clone();
    // Errors of attach are texts behind a head of their own (API reference §4.1).
    let ready = match (found, keys) {
        (Err(error), _) => Err(Failure::from(error)),
        (_, Err(sentence)) => Err(Failure::bad_request(sentence)),
        (Ok(found), Ok(keys)) => Ok((found, keys)),
    };
    Ok(Answer::Takeover(Box::new(move |fd, early| {
        Box::pin(async move {
            let (found, detach_keys) = match ready {
                Ok(ready) => ready,
                Err(failure) => {
                    let text = hijack::refusal(failure.status, &failure.message);
                    drop(hijack::write(fd, text.as_bytes()));
                    return;
                }
            };
            let head = Head {
                upgrade,
                tty: found.tty,
                version,
                with_server: false,
            };
            let attach = Attach {
                framed: !found.tty,
                early_input: early,
                detach_keys: if found.tty { detach_keys } else { Vec::new() },
                ..attach
            };
            let Some(mut fd) = hijack::write(fd, head.text().as_bytes()) else {
                return;
            };
            if replay {
                let Some(open) = replay_log(&engine, &name, &attach, fd).await else {
                    return;
                };
                fd = open;
            }
            if let Err(error) = engine.attach(found, attach, fd).await {
                tracing::warn!(%error, "attaching a client");
            }
        })
    })))
}

/// Writes what the container said so far; gives the stream back unless the client is gone.
async fn replay_log(
    engine: &engine::Engine,
    name: &str,
    attach: &Attach,
    mut fd: OwnedFd,
) -> Option<OwnedFd> {
    let mut log = engine.logs(name, LogRequest::default()).await.ok()?;
    let view = View {
        stdout: attach.stdout,
        stderr: attach.stderr,
        timestamps: false,
        tty: log.tty,
    };
    loop {
        let batch = log.next().await.ok()?;
        if batch.is_empty() {
            return Some(fd);
        }
        for piece in batch.iter().filter_map(|entry| view.piece(entry, false)) {
            fd = hijack::write(fd, &piece)?;
        }
    }
}
