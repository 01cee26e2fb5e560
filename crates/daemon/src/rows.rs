//! The rows of the compatibility table that are the API's, and what a row answers that a test has
//! asked to do nothing.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, StatusCode};

use crate::request::{Answer, Result};

/// Every operation of the API, once.
const OPERATIONS: &str = include_str!("../operations.tsv");
/// The header of a request that is a test's own and not one of the case's.
const UNCOUNTED: &str = "wharf-uncounted";

/// Returns every operation as `METHOD PATH`, its state and what is to be said beside it.
pub fn operations() -> Vec<[String; 3]> {
    let lines = OPERATIONS.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (method, path) = (columns.next()?, columns.next()?);
            let (state, note) = (columns.nth(1)?, columns.next()?);
            Some([
                format!("{method} {path}"),
                state.to_owned(),
                note.to_owned(),
            ])
        })
        .collect()
}

/// Passes the row of a route; returns whether it is to be obeyed. Only a build with the feature
/// `failpoints` has an order.
pub(crate) fn pass(method: &str, path: &str, headers: &HeaderMap) -> bool {
    headers.contains_key(UNCOUNTED) || sys::rows::pass(|| format!("{method} {path}"))
}

/// Answers success without doing anything: what a client sees of a route that forgot its work.
pub(crate) async fn nothing(method: &Method, path: &str, mut body: Incoming) -> Result {
    // Read, or the client sees a broken connection instead of success.
    let upgrade = path.ends_with("/attach") || path == "/exec/{id}/start";
    while !upgrade && body.frame().await.is_some_and(|frame| frame.is_ok()) {}
    let last = path.rsplit('/').next().unwrap_or_default();
    Ok(match (method, last) {
        (&Method::GET, "events" | "logs" | "export" | "get" | "archive") => {
            Answer::stream("application/octet-stream", |_| async {})
        }
        (_, "_ping") => Answer::Bare,
        (&Method::GET, "json") if !path.contains('{') => Answer::ok(&serde_json::json!([])),
        (&Method::GET, "history") => Answer::ok(&serde_json::json!([])),
        (&Method::POST, "create" | "exec") => Answer::json(
            StatusCode::CREATED,
            &serde_json::json!({"Id": "0".repeat(64)}),
        ),
        (&Method::POST, "tag") => Answer::Empty(StatusCode::CREATED),
        (&Method::HEAD, _) => Answer::Empty(StatusCode::OK),
        (&Method::POST, _) if upgrade => Answer::stream("application/octet-stream", |_| async {}),
        (&Method::POST, "start" | "stop" | "restart" | "kill" | "rename" | "pause" | "unpause") => {
            Answer::no_content()
        }
        (&Method::DELETE, _) if path.starts_with("/containers") => Answer::no_content(),
        _ => Answer::ok(&serde_json::json!({})),
    })
}

#[cfg(test)]
mod tests {
    use super::operations;

    #[test]
    fn every_line_is_a_row() {
        let rows = operations();
        assert!(rows.len() > 100, "{}", rows.len());
        assert!(
            rows.iter()
                .any(|[row, state, _]| row == "POST /containers/create" && state == "works")
        );
    }
}
