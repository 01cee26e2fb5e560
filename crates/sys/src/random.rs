//! Random bytes from the kernel.

use crate::{Error, Result, failpoint};

/// Fills `buffer` with random bytes (getrandom(2)).
pub fn fill(buffer: &mut [u8]) -> Result<()> {
    failpoint::pass("getrandom")?;
    let mut filled = 0;
    while filled < buffer.len() {
        filled +=
            rustix::rand::getrandom(&mut buffer[filled..], rustix::rand::GetRandomFlags::empty())
                .map_err(|errno| Error::new("getrandom", errno))?;
    }
    Ok(())
}
