//! What a command is handed: the surroundings, the daemon, and where its words go.

use std::io::Write;

use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, Result};

/// One call of the program.
#[derive(Debug)]
pub(crate) struct Session {
    /// The surroundings.
    pub(crate) config: Config,
    /// The daemon.
    pub(crate) client: Client,
    /// How the command was called, without the program: `container ls`, `ps`.
    pub(crate) path: String,
}

#[expect(clippy::unused_self, reason = "who may write is who has the session")]
impl Session {
    /// Writes to stdout as it is.
    pub(crate) fn print(&mut self, text: &str) -> Result<()> {
        print_bytes(text.as_bytes())
    }

    /// Writes a line to stdout.
    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        print_bytes(format!("{text}\n").as_bytes())
    }

    /// Writes a line to stderr; a stderr that is gone is no reason to stop.
    pub(crate) fn warn(&mut self, text: &str) {
        warn(text);
    }

    /// Does `action` for each name; echoes the name, or prints what went wrong and goes on.
    pub(crate) fn each(
        &mut self,
        names: &[String],
        mut action: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<i32> {
        let mut code = 0;
        for name in names {
            match action(self, name) {
                Ok(()) => self.line(name)?,
                Err(error @ Error::NoDaemon { .. }) => return Err(error),
                Err(error) => {
                    code = 1;
                    self.warn(&error.to_string());
                }
            }
        }
        Ok(code)
    }
}

/// Writes to stdout.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            // Whoever read us has seen enough.
            std::io::ErrorKind::BrokenPipe => Error::code(141),
            _ => error.into(),
        })
}

/// Writes a line to stderr.
pub(crate) fn warn(text: &str) {
    drop(
        std::io::stderr()
            .lock()
            .write_all(format!("{text}\n").as_bytes()),
    );
}
