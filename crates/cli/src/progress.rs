//! Progress streams: one object a line, errors within.

use std::io::{Read, Write};

use api::progress::Progress;

use crate::error::{Error, Result};
use crate::http::Response;

/// Where progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The result of the command.
    Stdout,
    /// Beside the result.
    Stderr,
}

/// Shows a stream of progress to its end; returns the last `aux` or error.
pub(crate) fn show(response: &mut Response, to: To, quiet: bool) -> Result<()> {
    let terminal = match to {
        To::Stdout => sys::tty::is_terminal(std::io::stdout()),
        To::Stderr => sys::tty::is_terminal(std::io::stderr()),
    };
    let mut screen = Screen {
        terminal,
        lines: Vec::new(),
    };
    each(response, |progress: Progress| {
        if let Some(error) = progress.error_detail {
            return Err(Error::Exit {
                text: error.message,
                code: 1,
            });
        }
        let text = screen.show(&progress);
        if quiet || text.is_empty() {
            return Ok(());
        }
        match to {
            To::Stdout => std::io::stdout().lock().write_all(text.as_bytes())?,
            To::Stderr => std::io::stderr().lock().write_all(text.as_bytes())?,
        }
        Ok(())
    })
}

/// Calls `take` for each object of a stream.
pub(crate) fn each<T: serde::de::DeserializeOwned>(
    response: &mut Response,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = response.read(&mut buffer)?;
        pending.extend_from_slice(&buffer[..count]);
        let mut stream = serde_json::Deserializer::from_slice(&pending).into_iter::<T>();
        let mut used = 0;
        while let Some(item) = stream.next() {
            match item {
                Ok(item) => {
                    used = stream.byte_offset();
                    take(item)?;
                }
                Err(error) if error.is_eof() && count > 0 => break,
                Err(error) => {
                    return Err(Error::text(format!(
                        "cannot read the daemon's answer: {error}"
                    )));
                }
            }
        }
        pending.drain(..used);
        if count == 0 {
            return Ok(());
        }
    }
}

/// One line per id on a terminal; otherwise only what is not a bar.
struct Screen {
    terminal: bool,
    lines: Vec<String>,
}

impl Screen {
    fn show(&mut self, progress: &Progress) -> String {
        if !progress.stream.is_empty() {
            return progress.stream.clone();
        }
        if progress.status.is_empty() {
            return String::new();
        }
        let with_id = match progress.id.as_str() {
            "" => progress.status.clone(),
            id => format!("{id}: {}", progress.status),
        };
        if !self.terminal {
            // Bars are for eyes; a log gets the steps.
            let bar = progress
                .progress_detail
                .as_ref()
                .is_some_and(|detail| detail.current > 0);
            return if bar {
                String::new()
            } else {
                format!("{with_id}\n")
            };
        }
        if progress.id.is_empty() {
            return format!("{with_id}\n");
        }
        let known = self.lines.iter().position(|id| *id == progress.id);
        let line = format!("\x1b[2K\r{with_id} {}", progress.progress);
        let Some(at) = known else {
            self.lines.push(progress.id.clone());
            return format!("{line}\n");
        };
        let up = self.lines.len() - at;
        format!("\x1b[{up}A{line}\r\x1b[{up}B")
    }
}
