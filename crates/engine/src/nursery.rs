//! Where shims are born: one sealed copy of our own binary, and one shim that waits for work.
//!
//! Every shim is executed from the same memfd, so that all share its pages, a package upgrade never
//! touches a running one, and a container that reaches /proc/PID/exe finds nothing to overwrite.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::blocking;
use crate::error::{Error, Result};

/// argv[0] that picks the shim's personality.
pub const SHIM_NAME: &str = "wharf-shim";

/// A shim without container.
#[derive(Debug)]
pub(crate) struct Newborn {
    pub(crate) control: OwnedFd,
    pub(crate) pidfd: OwnedFd,
}

#[derive(Debug)]
pub(crate) struct Nursery {
    image: OwnedFd,
    null: OwnedFd,
    env: Vec<OsString>,
    spare: Mutex<Option<Newborn>>,
}

impl Nursery {
    /// Copies the running program into a sealed memfd. `env` is what shims get as environment.
    pub(crate) fn open(env: Vec<OsString>) -> Result<Self> {
        let failed = |e| Error::internal("copying the program for shims", e);
        let open = |path, write| {
            std::fs::OpenOptions::new()
                .read(true)
                .write(write)
                .open(path)
                .map_err(|e| failed(sys::Error::from_io("open", &e)))
        };
        let program = open("/proc/self/exe", false)?;
        let image = sys::fd::memfd_sealed_copy("wharf", program.as_fd()).map_err(failed)?;
        Ok(Self {
            image,
            null: open("/dev/null", true)?.into(),
            env,
            spare: Mutex::default(),
        })
    }

    /// Returns the waiting shim, or a new one, and starts the next in the background.
    pub(crate) async fn take(self: &Arc<Self>) -> Result<Newborn> {
        let spare = self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let newborn = if let Some(newborn) = spare {
            newborn
        } else {
            let nursery = Arc::clone(self);
            blocking::run(move || nursery.bear()).await?
        };
        tokio::spawn(Arc::clone(self).refill());
        Ok(newborn)
    }

    /// Starts a spare shim if none waits.
    pub(crate) async fn refill(self: Arc<Self>) {
        if self
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return;
        }
        let nursery = Arc::clone(&self);
        match blocking::run(move || nursery.bear()).await {
            // A second one that was born meanwhile ends when its socket is dropped.
            Ok(newborn) => {
                *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = Some(newborn);
            }
            Err(error) => tracing::warn!(%error, "no spare shim"),
        }
    }

    fn bear(&self) -> Result<Newborn> {
        let failed = |e| Error::internal("starting a shim", e);
        let (ours, theirs) = sys::socket::pair(sys::socket::Kind::SeqPacket).map_err(failed)?;
        sys::fd::set_nonblocking(ours.as_fd(), true).map_err(failed)?;
        Ok(Newborn {
            control: ours,
            pidfd: self.spawn(SHIM_NAME, &theirs).map_err(failed)?,
        })
    }

    /// Starts netd, which listens at `door`.
    pub(crate) fn bear_netd(&self, door: &OwnedFd) -> sys::Result<()> {
        let pidfd = self.spawn(net::netd::NAME, door)?;
        // It is collected at its end; outside of the runtime nobody waits for that.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(bury(pidfd));
        }
        Ok(())
    }

    /// Starts the program under a name of its personalities, with `control` as descriptor 3.
    fn spawn(&self, name: &str, control: &OwnedFd) -> sys::Result<OwnedFd> {
        let null = self.null.as_fd();
        let env: Vec<&OsStr> = self.env.iter().map(AsRef::as_ref).collect();
        let child = sys::process::Spawn {
            program: sys::process::Program::File(self.image.as_fd()),
            args: &[OsStr::new(name)],
            env: &env,
            cwd: Path::new("/"),
            // Not our own stderr: it outlives us, and would hold our log's pipe open.
            fds: &[null, null, null, control.as_fd()],
            session: true,
            foreground: false,
            death_signal: None,
        }
        .start()?;
        Ok(child.pidfd)
    }

    /// Lets the spare go; it ends when it finds its socket closed.
    pub(crate) fn close(&self) -> Option<Newborn> {
        self.spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Waits for the end of a shim that is our child and collects it.
pub(crate) async fn bury(pidfd: OwnedFd) {
    let Ok(pidfd) = crate::readiness::register(pidfd, tokio::io::Interest::READABLE) else {
        return;
    };
    if let Ok(guard) = pidfd.readable().await {
        // A shim that is no child of ours (adopted) is collected by somebody else.
        let _not_ours = sys::pidfd::wait(guard.get_inner().as_fd());
    }
}
