//! The news for a service manager: ready, stopping (sd_notify(3)).

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::Environment;

/// Tells the manager, if there is one that wants to know.
pub(crate) fn tell(environment: &Environment, news: &str) {
    let Some(path) = &environment.notify_socket else {
        return;
    };
    let sent = address(path).and_then(|to| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(news.as_bytes(), &to)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, news, "telling the service manager");
    }
}

/// A path, or a name behind an `@`.
fn address(path: &OsStr) -> std::io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_news_arrives() {
        let name = format!("wharf-notify-{}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&at).unwrap();
        let environment = Environment {
            notify_socket: Some(format!("@{name}").into()),
            ..Environment::default()
        };
        tell(&environment, "READY=1");
        let mut buffer = [0; 32];
        let count = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..count], b"READY=1");
    }
}
