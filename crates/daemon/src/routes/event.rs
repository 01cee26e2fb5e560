//! `GET /events`.

use std::collections::BTreeMap;

use api::Filters;
use api::event::{Actor, Event};
use tokio::sync::broadcast::error::RecvError;

use crate::error::Failure;
use crate::request::{Answer, Request, Result, line};

pub(crate) async fn events(request: Request) -> Result {
    let query = &request.query;
    let moment = |key: &str| match query.get(key) {
        "" => Ok(None),
        text => crate::time::parse_unix(text)
            .map(Some)
            .map_err(|sentence| Failure::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, sentence)),
    };
    let (since, until) = (moment("since")?, moment("until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(Failure::bad_request(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            query.get("since"),
            query.get("until")
        )));
    }
    let filters =
        Filters::parse(query.get("filters")).map_err(|_| Failure::bad_request("invalid filter"))?;
    let (past, mut future) = request.engine.events();
    Ok(Answer::stream(
        "application/json",
        move |sender| async move {
            for event in past {
                // As Docker: either end of a span asks for what is past.
                let wanted = (since.is_some() || until.is_some())
                    && since.is_none_or(|since| event.time_ns >= since)
                    && until.is_none_or(|until| event.time_ns <= until);
                if wanted
                    && matches(&event, &filters)
                    && sender.send(line(&document(&event), "\n")).await.is_err()
                {
                    return;
                }
            }
            let remaining = until.map(|until| until.saturating_sub(engine::now_ns()));
            if remaining.is_some_and(|ns| ns <= 0) {
                return;
            }
            let patience = remaining.and_then(|ns| u64::try_from(ns).ok());
            let end = async move {
                match patience {
                    Some(ns) => tokio::time::sleep(std::time::Duration::from_nanos(ns)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(end);
            loop {
                let event = tokio::select! {
                    event = future.recv() => event,
                    () = sender.closed() => return,
                    () = &mut end => return,
                };
                match event {
                    Ok(event) if matches(&event, &filters) => {
                        if sender.send(line(&document(&event), "\n")).await.is_err() {
                            return;
                        }
                    }
                    // A listener that is too slow misses events, and goes on with the next.
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        },
    ))
}

fn document(event: &engine::Event) -> Event {
    let legacy = matches!(event.kind.as_str(), "container" | "image");
    let from = if event.kind == "container" {
        event.attributes.get("image").cloned().unwrap_or_default()
    } else {
        String::new()
    };
    Event {
        status: if legacy {
            event.action.clone()
        } else {
            String::new()
        },
        id: if legacy {
            event.id.clone()
        } else {
            String::new()
        },
        from,
        kind: event.kind.clone(),
        action: event.action.clone(),
        actor: Actor {
            id: event.id.clone(),
            attributes: event.attributes.clone(),
        },
        scope: "local".to_owned(),
        time: event.time_ns.div_euclid(1_000_000_000),
        time_nano: event.time_ns,
    }
}

/// Docker's filters of events (API reference §4.5); unknown keys are ignored.
fn matches(event: &engine::Event, filters: &Filters) -> bool {
    let any = |key: &str, test: &dyn Fn(&str) -> bool| {
        !filters.contains(key) || filters.get(key).iter().any(|value| test(value))
    };
    let object = |kind: &str| {
        any(kind, &|value| {
            event.kind == kind
                && (event.id == value
                    || event.id.starts_with(value)
                    || event
                        .attributes
                        .get("name")
                        .is_some_and(|name| name == value))
        })
    };
    let image = any("image", &|value| {
        let name = event.attributes.get(if event.kind == "image" {
            "name"
        } else {
            "image"
        });
        let same = |name: &String| {
            name == value || name.rsplit_once(':').is_some_and(|(bare, _)| bare == value)
        };
        matches!(event.kind.as_str(), "image" | "container")
            && (event.id == value || name.is_some_and(same))
    });
    let prefixed = ["health_status", "exec_create", "exec_start"];
    any("type", &|value| event.kind == value)
        && any("event", &|value| {
            event.action == value
                || (prefixed.contains(&value) && event.action.starts_with(&format!("{value}:")))
        })
        && any("scope", &|value| value == "local")
        && labels(&event.attributes, filters.get("label"))
        && object("container")
        && object("network")
        && object("volume")
        && object("daemon")
        && image
}

/// `k` or `k=v`; all must hold.
pub(super) fn labels(labels: &BTreeMap<String, String>, wanted: &[String]) -> bool {
    wanted.iter().all(|filter| match filter.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
        None => labels.contains_key(filter),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> engine::Event {
        engine::Event {
            kind: "container".to_owned(),
            action: "exec_create: true ".to_owned(),
            id: "abc".to_owned(),
            attributes: BTreeMap::from([
                ("name".to_owned(), "n".to_owned()),
                ("image".to_owned(), "busybox:1".to_owned()),
            ]),
            time_ns: 1,
        }
    }

    #[test]
    fn filters_as_docker_has_them() {
        for (filter, holds) in [
            ("{}", true),
            (r#"{"type":["container"]}"#, true),
            (r#"{"type":["image"]}"#, false),
            (r#"{"event":["exec_create"]}"#, true),
            (r#"{"event":["start"]}"#, false),
            (r#"{"container":["n"]}"#, true),
            (r#"{"container":["ab"]}"#, true),
            (r#"{"image":["busybox"]}"#, true),
            (r#"{"label":["x"]}"#, false),
            (r#"{"whatever":["x"]}"#, true),
        ] {
            assert_eq!(
                matches(&event(), &Filters::parse(filter).unwrap()),
                holds,
                "{filter}"
            );
        }
    }
}
