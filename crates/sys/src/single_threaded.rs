//! A proof that this process has one thread, without which [`crate::clone::clone3`] is not called.

use crate::{Errno, Error, Result, failpoint};

/// Proof that this process had one thread when it was made. It cannot leave its thread, and
/// whoever starts threads later breaks the promise that the proof stands for.
#[derive(Clone, Copy, Debug)]
pub struct SingleThreaded(std::marker::PhantomData<*const ()>);

impl SingleThreaded {
    /// Asks the kernel: /proc/self/task has two links and one for each thread.
    ///
    /// Fails with `EBUSY` when there are more threads than this one.
    pub fn prove() -> Result<Self> {
        failpoint::pass("single_threaded")?;
        let task = rustix::fs::stat(c"/proc/self/task")
            .map_err(|errno| Error::new("single_threaded", errno))?;
        if task.st_nlink == 3 {
            Ok(Self(std::marker::PhantomData))
        } else {
            Err(Error::new("single_threaded", Errno::BUSY))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_seen() {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || receive.recv());
        assert_eq!(SingleThreaded::prove().unwrap_err().errno, Errno::BUSY);
        drop(send);
        assert!(other.join().unwrap().is_err());
    }
}
