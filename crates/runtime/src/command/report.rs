//! Where a failure is told: standard error and the log that the caller named, in logrus' two forms.

use std::io::Write;
use std::path::PathBuf;

use crate::error::unheard;

/// How the caller wants to hear.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    pub(super) file: Option<PathBuf>,
    pub(super) json: bool,
}

impl Report {
    /// Tells what failed: to the log, and as a bare sentence on standard error when the log is
    /// elsewhere.
    pub(super) fn error(&self, message: &str) {
        self.line("error", message);
        if self.file.is_some() {
            unheard(writeln!(std::io::stderr(), "{message}"));
        }
    }

    /// Tells what did not keep the command from its work.
    pub(super) fn warning(&self, message: &str) {
        self.line("warning", message);
    }

    fn line(&self, level: &str, message: &str) {
        let now = now();
        let line = if self.json {
            json(level, message, &now)
        } else {
            text(level, message, &now)
        };
        match &self.file {
            None => unheard(std::io::stderr().write_all(line.as_bytes())),
            Some(file) => unheard(sys::durable::append(file, line.as_bytes(), 0o644)),
        }
    }
}

/// Seconds are enough for people.
fn now() -> String {
    let now = jiff::Timestamp::now();
    let whole = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
    whole.to_string()
}

fn json(level: &str, message: &str, time: &str) -> String {
    let value = serde_json::json!({ "level": level, "msg": message, "time": time });
    format!("{value}\n")
}

fn text(level: &str, message: &str, time: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-._/@^+".contains(char);
    let message = if !message.is_empty() && message.chars().all(plain) {
        message.to_owned()
    } else {
        format!("{message:?}")
    };
    format!("time=\"{time}\" level={level} msg={message}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_logrus_s() {
        let time = "2026-11-21T17:29:52Z";
        assert_eq!(
            text("error", "container does not exist", time),
            "time=\"2026-11-21T17:29:52Z\" level=error msg=\"container does not exist\"\n"
        );
        assert_eq!(
            text("error", "a \"b\"", time),
            "time=\"2026-11-21T17:29:52Z\" level=error msg=\"a \\\"b\\\"\"\n"
        );
        assert_eq!(
            text("error", "x", time),
            "time=\"2026-11-21T17:29:52Z\" level=error msg=x\n"
        );
        assert_eq!(
            json("error", "container does not exist", time),
            "{\"level\":\"error\",\"msg\":\"container does not exist\",\"time\":\"2026-11-21T17:29:52Z\"}\n"
        );
    }
}
