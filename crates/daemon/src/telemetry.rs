//! The daemon's log: one line per event on stderr, with the time, the level and the fields.

use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

struct Lines {
    level: Level,
}

/// Begins to log what is at least as grave as `level`, in dockerd's words for it.
pub(crate) fn start(level: &str) {
    let level = match level {
        "debug" => Level::DEBUG,
        "warn" => Level::WARN,
        "error" | "fatal" => Level::ERROR,
        _ => Level::INFO,
    };
    // Set once, at the start of the process; a second daemon in one process does not exist.
    drop(tracing::subscriber::set_global_default(Lines { level }));
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Our own crates only: hyper's spans would cost on every request.
        *metadata.level() <= self.level
            && metadata.is_event()
            && !metadata.target().starts_with("hyper")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = format!(
            "time=\"{}\" level={}",
            crate::time::rfc3339_nano(engine::now_ns()),
            event.metadata().level().as_str().to_ascii_lowercase()
        );
        event.record(&mut Fields(&mut line));
        line.push('\n');
        // Nobody is left to tell that the log cannot be written.
        drop(std::io::stderr().write_all(line.as_bytes()));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let name = if field.name() == "message" {
            "msg"
        } else {
            field.name()
        };
        let text = format!("{value:?}");
        self.0.extend([" ", name, "=", &format!("{text:?}")]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0
            .extend([" ", field.name(), "=", &format!("{value:?}")]);
    }
}
