//! `GET /containers/{id}/logs`.

use bytes::Bytes;
use engine::container::LogRequest;
use engine::{LogEntry, LogStreamKind};

use crate::error::Failure;
use crate::hijack::{MULTIPLEXED, RAW};
use crate::request::{Answer, Request, Result};

/// Which streams, and how a line looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) timestamps: bool,
    pub(super) tty: bool,
}

pub(crate) async fn logs(request: Request) -> Result {
    let query = &request.query;
    let mut view = View {
        stdout: query.is_on("stdout"),
        stderr: query.is_on("stderr"),
        timestamps: query.is_on("timestamps"),
        tty: false,
    };
    if !view.stdout && !view.stderr {
        // Who asks for nothing of something that is not there hears that it is not there.
        request.engine.inspect(&request.name)?;
        return Err(Failure::bad_request(
            "Bad parameters: you must choose at least one stream",
        ));
    }
    let moment = |key: &str| match query.get(key) {
        "" | "0" => Ok(None),
        text => crate::time::parse_unix(text)
            .map(Some)
            .map_err(|sentence| Failure::new(hyper::StatusCode::INTERNAL_SERVER_ERROR, sentence)),
    };
    let log = LogRequest {
        since_ns: moment("since")?,
        until_ns: moment("until")?,
        tail: query.get("tail").parse().ok(),
        follow: query.is_on("follow"),
    };
    let details = query.is_on("details");
    let mut stream = request.engine.logs(&request.name, log).await?;
    view.tty = stream.tty;
    let content_type = if view.tty || !request.version.at_least(42) {
        RAW
    } else {
        MULTIPLEXED
    };
    Ok(Answer::stream(content_type, |sender| async move {
        loop {
            let batch = tokio::select! {
                batch = stream.next() => batch,
                () = sender.closed() => return,
            };
            let batch = match batch {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(%error, "reading a log");
                    return;
                }
            };
            for entry in &batch {
                if let Some(piece) = view.piece(entry, details)
                    && sender.send(piece).await.is_err()
                {
                    return;
                }
            }
        }
    }))
}

impl View {
    /// One entry as one frame and one HTTP chunk.
    pub(super) fn piece(self, entry: &LogEntry, details: bool) -> Option<Bytes> {
        let (wanted, number) = match entry.stream {
            LogStreamKind::Stdout => (self.stdout, 1),
            LogStreamKind::Stderr => (self.stderr, 2),
        };
        if !wanted {
            return None;
        }
        let mut line = Vec::with_capacity(entry.bytes.len() + 48);
        if self.timestamps {
            line.extend_from_slice(nine_digits(entry.time_ns).as_bytes());
            line.push(b' ');
        }
        if details {
            // Labels and environment are not recorded with entries yet: there are none to show.
            line.push(b' ');
        }
        line.extend_from_slice(&entry.bytes);
        if self.tty {
            return Some(line.into());
        }
        let mut frame = Vec::with_capacity(line.len() + 8);
        frame.extend_from_slice(&[number, 0, 0, 0]);
        frame.extend_from_slice(&u32::try_from(line.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend_from_slice(&line);
        Some(frame.into())
    }
}

/// RFC 3339 with exactly nine digits of fraction, as log timestamps have it.
fn nine_digits(ns: i64) -> String {
    let whole = crate::time::rfc3339_nano(ns - ns.rem_euclid(1_000_000_000));
    format!(
        "{}.{:09}Z",
        whole.trim_end_matches('Z'),
        ns.rem_euclid(1_000_000_000)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_frame() {
        let entry = LogEntry {
            time_ns: 1_500_000_000,
            stream: LogStreamKind::Stderr,
            bytes: b"err\n".to_vec(),
        };
        let view = View {
            stdout: true,
            stderr: true,
            timestamps: true,
            tty: false,
        };
        assert_eq!(
            view.piece(&entry, false).unwrap(),
            &b"\x02\0\0\0\0\0\0#1970-01-01T00:00:01.500000000Z err\n"[..]
        );
        assert_eq!(
            View {
                stderr: false,
                ..view
            }
            .piece(&entry, false),
            None
        );
    }
}
