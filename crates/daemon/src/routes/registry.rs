//! What goes to and comes from registries: pull, push, login; progress as dockerd streams it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::auth::{AuthAnswer, AuthRequest};
use api::progress::{Progress, ProgressDetail};
use engine::{
    Credentials, Engine, LayerStep, PullRequest, PullStep, PushRequest, PushStep, SendStep,
};
use tokio::sync::mpsc;
use types::{Platform, Reference};

use crate::body::Body;
use crate::error::Failure;
use crate::request::{Answer, Boxed, Request, Result, line};

/// Objects that wait for a slow client before bars are left out.
const WAITING: usize = 1024;

/// `POST /images/create?fromImage=…`: pulls.
pub(crate) async fn pull(request: Request) -> Result {
    let query = &request.query;
    let reference = wanted(query.get("fromImage"), query.get("tag"))?;
    let platform = platform(query.get("platform"))?;
    let pull = PullRequest {
        reference,
        platform,
        credentials: credentials(&request),
    };
    stream(request.engine, move |engine, say| async move {
        let steps = move |step: PullStep| {
            for document in said(step) {
                say(document);
            }
        };
        engine.image_pull(pull, Arc::new(steps)).await
    })
    .await
}

/// `POST /images/{name}/push`: sends a tag, or all of them.
pub(crate) async fn push(request: Request) -> Result {
    let reference = wanted(&request.name, request.query.get("tag"))?;
    if reference.digest().is_some() {
        return Err(Failure::bad_request("cannot push a digest reference"));
    }
    if let Some(platform) = platform(request.query.get("platform"))?
        && Platform::of_machine(std::env::consts::ARCH)
            .runs(&platform)
            .is_none()
    {
        return Err(Failure::not_yet("push of another platform"));
    }
    let push = PushRequest {
        reference,
        credentials: credentials(&request),
    };
    stream(request.engine, move |engine, say| async move {
        let steps = move |step: PushStep| {
            for document in sent(step) {
                say(document);
            }
        };
        engine.image_push(push, Arc::new(steps)).await
    })
    .await
}

/// A step of a push in dockerd's words.
fn sent(step: PushStep) -> Vec<Progress> {
    match step {
        PushStep::To(name) => {
            let text = format!("The push refers to repository [{name}]");
            vec![Progress::status("", text)]
        }
        PushStep::Layer { id, doing } => vec![layer_out(&id, doing)],
        PushStep::Tag { tag, digest, size } => {
            let aux = serde_json::json!({"Tag": tag, "Digest": digest, "Size": size});
            vec![
                Progress::status("", format!("{tag}: digest: {digest} size: {size}")),
                Progress {
                    progress_detail: Some(ProgressDetail::default()),
                    aux: Some(aux),
                    ..Progress::default()
                },
            ]
        }
    }
}

fn layer_out(id: &str, doing: SendStep) -> Progress {
    let plain = |status: &str| Progress {
        progress_detail: Some(ProgressDetail::default()),
        ..Progress::status(id, status)
    };
    match doing {
        SendStep::Preparing => plain("Preparing"),
        SendStep::Waiting => plain("Waiting"),
        SendStep::Exists => plain("Layer already exists"),
        SendStep::Mounted(from) => plain(&format!("Mounted from {from}")),
        SendStep::Pushing { current, total } => Progress::bar(id, "Pushing", current, total),
        SendStep::Retrying(1) => plain("Retrying in 1 second"),
        SendStep::Retrying(seconds) => plain(&format!("Retrying in {seconds} seconds")),
        SendStep::Pushed => plain("Pushed"),
    }
}

/// `GET /distribution/{name}/json`: asks a registry what a name stands for.
pub(crate) async fn distribution(request: Request) -> Result {
    let reference = wanted(&request.name, "")?.or_latest();
    let found = request
        .engine
        .image_distribution(&reference, credentials(&request))
        .await?;
    Ok(Answer::ok(&serde_json::json!({
        "Descriptor": found.descriptor,
        "Platforms": found.platforms,
    })))
}

/// Results of a search when nobody says how many.
const FOUND: i64 = 25;
/// And at most.
const FOUND_MAX: i64 = 100;

/// `GET /images/search`: asks the Hub's index, or another registry's.
pub(crate) async fn search(request: Request) -> Result {
    let query = &request.query;
    let limit = match query.get("limit") {
        "" | "0" => FOUND,
        text => text.parse().map_err(|_| {
            Failure::bad_request(format!(
                "invalid limit specified: strconv.Atoi: parsing \"{text}\": invalid syntax"
            ))
        })?,
    };
    if !(1..=FOUND_MAX).contains(&limit) {
        return Err(Failure::bad_request(format!(
            "limit {limit} is outside the range of [1, {FOUND_MAX}]"
        )));
    }
    let filters = api::Filters::parse(query.get("filters"))
        .map_err(|_| Failure::bad_request("invalid filter"))?;
    let (mut official, mut stars) = (None, 0);
    for key in filters.0.keys() {
        for value in filters.get(key) {
            let bad = || Failure::bad_request(format!("invalid filter '{key}=[{value}]'"));
            match key.as_str() {
                "is-official" => official = Some(value.parse::<bool>().map_err(|_| bad())?),
                // Nothing is built by the Hub itself any more.
                "is-automated" => {}
                "stars" => stars = value.parse::<i64>().map_err(|_| bad())?.max(stars),
                _ => return Err(Failure::bad_request(format!("invalid filter '{key}'"))),
            }
        }
    }
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let shown = credentials(&request);
    let found = request
        .engine
        .image_search(query.get("term"), limit, shown)
        .await?;
    let rows: Vec<_> = found
        .into_iter()
        .filter(|one| official.is_none_or(|official| one.is_official == official))
        .filter(|one| one.star_count >= stars)
        .collect();
    Ok(Answer::ok(&rows))
}

/// `POST /auth`: shows credentials to a registry.
pub(crate) async fn auth(request: Request) -> Result {
    let (document, request) = request.document::<AuthRequest>().await?;
    let credentials = Credentials::new(&document.username, &document.password, &document.auth)
        .with_tokens(&document.identity_token, &document.registry_token);
    let server = document.server_address;
    request.engine.log_in(&server, credentials).await?;
    Ok(Answer::ok(&AuthAnswer {
        identity_token: String::new(),
        status: "Login Succeeded".to_owned(),
    }))
}

/// Takes a line of a stream.
pub(super) type Say = Arc<dyn Fn(Progress) + Send + Sync>;

/// Runs a verb whose steps are streamed. What fails before the first step is an answer of its own;
/// when the client goes, the verb ends.
pub(super) async fn stream<F>(engine: Engine, verb: impl FnOnce(Engine, Say) -> F) -> Result
where
    F: Future<Output = engine::Result<()>> + Send + 'static,
{
    let (steps, mut said) = mpsc::unbounded_channel::<Progress>();
    let waiting = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waiting);
    let say: Say = Arc::new(move |document: Progress| {
        // A client that is slow to read misses bars.
        if counted.load(Ordering::Relaxed) < WAITING || document.progress.is_empty() {
            counted.fetch_add(1, Ordering::Relaxed);
            // The client may be gone: then the verb ends soon.
            drop(steps.send(document));
        }
    });
    let mut work: Boxed<engine::Result<()>> = Box::pin(verb(engine, say));
    // Until the first step the request itself waits.
    let (first, done) = tokio::select! {
        biased;
        first = said.recv() => (first, None),
        done = &mut work => {
            done?;
            (said.try_recv().ok(), Some(()))
        }
    };
    let (sender, body) = Body::channel();
    let gone = sender.clone();
    let end = sender.clone();
    let forward = async move {
        let mut next = first;
        while let Some(document) = next {
            waiting.fetch_sub(1, Ordering::Relaxed);
            if sender.send(line(&document, "\r\n")).await.is_err() {
                return;
            }
            next = said.recv().await;
        }
    };
    // Its senders of steps end with the verb, so that the other side comes to its end too.
    let work = async move {
        match done {
            Some(()) => Ok(()),
            None => work.await,
        }
    };
    tokio::spawn(async move {
        let done = tokio::select! {
            ((), done) = async { tokio::join!(forward, work) } => done,
            () = gone.closed() => return,
        };
        if let Err(error) = done {
            let document = Progress::error(&error.to_string());
            // A client that went away needs no error.
            drop(end.send(line(&document, "\r\n")).await);
        }
    });
    Ok(Answer::Stream("application/json", body))
}

/// Returns the reference that two parameters name; `tag` may be a digest.
pub(super) fn wanted(name: &str, tag: &str) -> Result<Reference> {
    let bad = |e: types::reference::InvalidReference| {
        Failure::bad_request(format!("invalid reference format: {e}"))
    };
    let reference: Reference = name.parse().map_err(|e| match e {
        types::reference::InvalidReference::Format => {
            Failure::bad_request("invalid reference format")
        }
        other => bad(other),
    })?;
    if tag.is_empty() {
        return Ok(reference);
    }
    if tag.contains(':') {
        let name = format!("{}/{}@{tag}", reference.registry(), reference.repository());
        return name.parse().map_err(bad);
    }
    reference
        .with_tag(tag)
        .ok_or_else(|| Failure::bad_request("invalid tag format"))
}

/// Reads a platform; none where nothing is said.
pub(super) fn platform(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.parse::<Platform>();
    parsed
        .map(Some)
        .map_err(|error| Failure::bad_request(error.to_string()))
}

/// Reads who asks; what cannot be read is nobody, as in dockerd.
pub(super) fn credentials(request: &Request) -> Option<Credentials> {
    let header = request.headers.get("x-registry-auth")?;
    Credentials::from_header(header.to_str().ok()?)
}

/// A step in dockerd's words.
fn said(step: PullStep) -> Vec<Progress> {
    match step {
        PullStep::From { repository, target } => {
            vec![Progress::status(
                &target,
                format!("Pulling from {repository}"),
            )]
        }
        PullStep::Layer { id, doing } => vec![layer(&id, doing)],
        PullStep::Notice(text) => vec![Progress::status("", text)],
        PullStep::Digest(digest) => vec![Progress::status("", format!("Digest: {digest}"))],
        PullStep::Done { newer, name } => {
            let what = if newer {
                "Downloaded newer image for"
            } else {
                "Image is up to date for"
            };
            vec![Progress::status("", format!("Status: {what} {name}"))]
        }
    }
}

fn layer(id: &str, doing: LayerStep) -> Progress {
    let plain = |status: &str| Progress {
        progress_detail: Some(ProgressDetail::default()),
        ..Progress::status(id, status)
    };
    match doing {
        LayerStep::Exists => plain("Already exists"),
        LayerStep::Fetching => plain("Pulling fs layer"),
        LayerStep::Waiting => plain("Waiting"),
        LayerStep::Downloading { current, total } => {
            Progress::bar(id, "Downloading", current, total)
        }
        LayerStep::Retrying(1) => plain("Retrying in 1 second"),
        LayerStep::Retrying(seconds) => plain(&format!("Retrying in {seconds} seconds")),
        LayerStep::Verifying => plain("Verifying Checksum"),
        LayerStep::Downloaded => plain("Download complete"),
        LayerStep::Extracting { current, total } => Progress::bar(id, "Extracting", current, total),
        LayerStep::Complete => plain("Pull complete"),
    }
}
