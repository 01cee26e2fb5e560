//! `POST /build`: a context and a Dockerfile become an image, told line by line as dockerd's own
//! builder does.

use std::collections::BTreeMap;

use api::host_config::HostConfig;
use api::progress::Progress;
use build::Event;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use types::{Digest, Reference};

use super::container_create::{Face, is_ours};
use super::create_host;
use super::image::{reference, upload};
use crate::body::{Body, Sender};
use crate::error::Failure;
use crate::query::Query;
use crate::request::{Answer, Request, Result, line};

pub(crate) async fn build(request: Request) -> Result {
    let asked = asked(&request)?;
    let quiet = request.query.is_on("q");
    let input = upload(request.body);
    let engine = request.engine;
    let (sender, body) = Body::channel();
    let (events, mut told) = mpsc::unbounded_channel();
    // A Dockerfile that cannot be read is the answer; what fails later is part of the stream.
    let mut work =
        Box::pin(async move { Box::pin(build::build(&engine, input, asked, events)).await });
    let first = tokio::select! {
        biased;
        first = told.recv() => first,
        ended = &mut work => {
            return match ended {
                Ok(_) => Ok(Answer::Stream("application/json", Body::empty())),
                Err(error) => Err(refusal(error)),
            };
        }
    };
    tokio::spawn(async move {
        let mut first = first;
        let ended = loop {
            let event = if first.is_some() {
                first.take()
            } else {
                tokio::select! {
                    biased;
                    event = told.recv() => event,
                    ended = &mut work => break ended,
                    // Nobody listens any more: the build stops.
                    () = sender.closed() => return,
                }
            };
            if let Some(event) = event
                && !quiet
                && !send(&sender, event).await
            {
                return;
            }
        };
        while let Ok(event) = told.try_recv() {
            if !quiet && !send(&sender, event).await {
                return;
            }
        }
        let last = match ended {
            Ok(id) if quiet => stream(format!("{id}\n")),
            Ok(_) => return,
            Err(error) => failure(&error),
        };
        drop(sender.send(line(&last, "\r\n")).await);
    });
    Ok(Answer::Stream("application/json", body))
}

/// False when the client is gone.
async fn send(to: &Sender, event: Event) -> bool {
    let document = match event {
        Event::Text(text) => stream(text),
        Event::Output(bytes) => stream(String::from_utf8_lossy(&bytes).into_owned()),
        Event::Image(id) => aux(id),
    };
    to.send(line(&document, "\r\n")).await.is_ok()
}

fn stream(text: String) -> Progress {
    Progress {
        stream: text,
        ..Progress::default()
    }
}

fn aux(id: Digest) -> Progress {
    Progress {
        aux: Some(serde_json::json!({"ID": id.to_string()})),
        ..Progress::default()
    }
}

fn failure(error: &build::Error) -> Progress {
    let mut last = Progress::error(&error.to_string());
    if let (Some(code), Some(detail)) = (error.code(), &mut last.error_detail) {
        detail.code = i64::from(code);
    }
    last
}

fn refusal(error: build::Error) -> Failure {
    match error {
        build::Error::Engine(error) => error.into(),
        other => Failure::bad_request(other.to_string()),
    }
}

fn asked(request: &Request) -> Result<build::Request> {
    let query = &request.query;
    refuse(query)?;
    let tags: Vec<Reference> = query
        .all("t")
        .filter(|name| !name.is_empty())
        .map(|name| reference(name, ""))
        .collect::<Result<_>>()?;
    let document = create_host::with_defaults(host(query)?, request.version);
    let host = create_host::host(&document)?;
    let face = serde_json::to_value(Face {
        config: api::container::Config::default(),
        host: document,
    })
    .expect("API documents have string keys and no failing serializer");
    Ok(build::Request {
        dockerfile: query.get("dockerfile").to_owned(),
        tags,
        args: json::<Option<BTreeMap<String, Option<String>>>>(query, "buildargs")?
            .unwrap_or_default(),
        labels: json::<Option<BTreeMap<String, String>>>(query, "labels")?.unwrap_or_default(),
        target: query.get("target").to_owned(),
        no_cache: query.is_on("nocache"),
        host,
        face,
    })
}

/// What cannot be obeyed is refused by name.
fn refuse(query: &Query) -> Result<()> {
    for (key, what) in [
        ("remote", "a build of a remote context"),
        ("outputs", "an output of a build other than an image"),
        ("session", "a session of a build"),
    ] {
        if !query.get(key).is_empty() {
            return Err(Failure::not_yet(what));
        }
    }
    if query.is_on("squash") {
        return Err(Failure::not_yet("squash"));
    }
    if query.is_on("pull") {
        return Err(Failure::not_yet("a build that pulls its base image anew"));
    }
    if query.get("version") == "2" {
        return Err(Failure::not_yet("BuildKit's door: set DOCKER_BUILDKIT=0"));
    }
    let platform = query.get("platform");
    if !platform.is_empty() && !is_ours(platform) {
        return Err(Failure::not_yet(&format!("a build for {platform}")));
    }
    Ok(())
}

/// How the programs of a build run.
fn host(query: &Query) -> Result<HostConfig> {
    let mut host = HostConfig {
        network_mode: query.get("networkmode").to_owned(),
        extra_hosts: Some(query.all("extrahosts").map(str::to_owned).collect()),
        shm_size: number(query, "shmsize")?,
        security_opt: Some(query.all("securityopt").map(str::to_owned).collect()),
        ..HostConfig::default()
    };
    let resources = &mut host.resources;
    resources.memory = number(query, "memory")?;
    resources.memory_swap = number(query, "memswap")?;
    resources.cpu_shares = number(query, "cpushares")?;
    resources.cpu_period = number(query, "cpuperiod")?;
    resources.cpu_quota = number(query, "cpuquota")?;
    query
        .get("cpusetcpus")
        .clone_into(&mut resources.cpuset_cpus);
    query
        .get("cpusetmems")
        .clone_into(&mut resources.cpuset_mems);
    query
        .get("cgroupparent")
        .clone_into(&mut resources.cgroup_parent);
    resources.ulimits = json(query, "ulimits")?;
    Ok(host)
}

fn number(query: &Query, key: &str) -> Result<i64> {
    match query.get(key) {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| Failure::bad_request(format!("{key}: {text:?} is no number"))),
    }
}

fn json<T: DeserializeOwned + Default>(query: &Query, key: &str) -> Result<T> {
    match query.get(key) {
        "" => Ok(T::default()),
        text => serde_json::from_str(text)
            .map_err(|error| Failure::bad_request(format!("error reading {key}: {error}"))),
    }
}
