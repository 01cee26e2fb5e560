//! The plain verbs of containers: start, stop, kill, wait, rm, rename, pause, resize, top.

use api::container::{Top, WaitError, WaitResponse};
use engine::container::Volumes;
use engine::container::state::WaitCondition;

use crate::error::Failure;
use crate::request::{Answer, Request, Result, line};

/// A body of start is left from API 1.22; more than this much of it is refused.
const START_BODY_MAX: usize = 7;

pub(crate) async fn start(request: Request) -> Result {
    if !request.query.get("checkpoint").is_empty() {
        return Err(Failure::not_yet("start from a checkpoint"));
    }
    let (body, request) = request.small_body().await?;
    if body.len() > START_BODY_MAX {
        return Err(Failure::bad_request(
            "starting container with non-empty request body was deprecated since API v1.22 and \
             removed in v1.24",
        ));
    }
    request.engine.start(&request.name).await?;
    Ok(Answer::no_content())
}

pub(crate) async fn stop(request: Request) -> Result {
    let signal = request
        .query
        .find("signal")
        .filter(|_| request.version.at_least(42));
    request
        .engine
        .stop(&request.name, signal, request.query.number("t"))
        .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn restart(request: Request) -> Result {
    let signal = request
        .query
        .find("signal")
        .filter(|_| request.version.at_least(42));
    request
        .engine
        .restart(&request.name, signal, request.query.number("t"))
        .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn kill(request: Request) -> Result {
    request
        .engine
        .kill(&request.name, request.query.find("signal"))
        .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn remove(request: Request) -> Result {
    if request.query.is_on("link") {
        return Err(Failure::not_yet("removing a link"));
    }
    let volumes = if request.query.is_on("v") {
        Volumes::Remove
    } else {
        Volumes::Keep
    };
    request
        .engine
        .remove(&request.name, request.query.is_on("force"), volumes)
        .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn rename(request: Request) -> Result {
    request
        .engine
        .rename(&request.name, request.query.get("name"))
        .await?;
    Ok(Answer::no_content())
}

pub(crate) async fn pause(request: Request) -> Result {
    request.engine.pause(&request.name).await?;
    Ok(Answer::no_content())
}

pub(crate) async fn unpause(request: Request) -> Result {
    request.engine.unpause(&request.name).await?;
    Ok(Answer::no_content())
}

pub(crate) async fn resize(request: Request) -> Result {
    let (width, height) = size(&request)?;
    request.engine.resize(&request.name, width, height).await?;
    Ok(Answer::Empty(hyper::StatusCode::OK))
}

/// Reads `w` and `h`.
pub(crate) fn size(request: &Request) -> Result<(u16, u16)> {
    let number = |key: &str| {
        let text = request.query.get(key);
        text.parse::<u16>().map_err(|_| {
            Failure::bad_request(format!(
                "strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })
    };
    Ok((number("w")?, number("h")?))
}

pub(crate) async fn top(request: Request) -> Result {
    let processes = request
        .engine
        .top(&request.name, request.query.get("ps_args"))
        .await?;
    Ok(Answer::ok(&Top {
        processes: processes.rows,
        titles: processes.titles,
    }))
}

pub(crate) async fn wait(request: Request) -> Result {
    let condition = match request.query.get("condition") {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => {
            return Err(Failure::bad_request(format!(
                "invalid condition: {other:?}"
            )));
        }
    };
    let waiting = request.engine.wait(&request.name, condition)?;
    // The headers go out at once: clients wait for them before they start the container.
    Ok(Answer::stream("application/json", |sender| async move {
        let document = tokio::select! {
            ended = waiting.end() => match ended {
                Ok((code, error)) => WaitResponse {
                    status_code: i64::from(code),
                    error: (!error.is_empty()).then_some(WaitError { message: error }),
                },
                Err(error) => WaitResponse {
                    status_code: -1,
                    error: Some(WaitError { message: error.to_string() }),
                },
            },
            () = sender.closed() => return,
        };
        drop(sender.send(line(&document, "\n")).await);
    }))
}
