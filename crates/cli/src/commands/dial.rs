//! `system dial-stdio`: what comes in goes to the daemon, what it says goes out. `ssh://` hosts run
//! it at the other end.

use std::io::{self, Read, Write};

use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::Socket;
use crate::session::{Session, print_bytes};

/// `system dial-stdio`
pub(crate) fn stdio(session: &mut Session, _parsed: &Parsed) -> Result<i32> {
    let host = &session.config.host;
    let failed = |error: io::Error| Error::text(format!("unable to connect to {host}: {error}"));
    let mut socket = Socket::connect(host, &session.config.env).map_err(failed)?;
    let mut to = socket.duplicate().map_err(failed)?;
    std::thread::spawn(move || {
        // Whoever stops reading has seen enough.
        drop(copy(&mut io::stdin().lock(), &mut to));
        drop(to.close_write());
    });
    let mut buffer = [0; 16 << 10];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(0),
            Ok(count) => print_bytes(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Passes every piece on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
