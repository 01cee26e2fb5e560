//! Our own program, which a process of a container can reach by /proc/PID/exe while ours is on its
//! way in: it is run from a read-only mount that is nowhere, so that nobody can write to the file
//! through it (CVE-2019-5736).

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use sys::clone::Strings;
use sys::mount::{self, Attributes, Tree, attr};

use super::Call;
use super::error::{Error, Result};

/// Starts this program anew from such a mount, unless that is where it runs.
pub(super) fn own_program(call: &Call<'_>) -> Result<()> {
    let failed = Error::kernel("protect our own program");
    let own = c"/proc/self/exe";
    if mount::is_read_only(own).map_err(Error::kernel("look at our own program"))? {
        return Ok(());
    }
    let made = (|| {
        let copy = mount::open_host_tree(own, Tree::Clone)?;
        let attributes = Attributes {
            set: attr::RDONLY | attr::NOSUID,
            ..Attributes::default()
        };
        mount::set_attributes(copy.as_fd(), false, attributes)?;
        Ok(copy)
    })();
    let copy = made.map_err(failed)?;
    let text = |bytes: &[u8]| CString::new(bytes).expect("the kernel gave them without NUL");
    let args = call.all.iter().map(|word| text(word.as_bytes())).collect();
    let pair = |name: &[u8], value: &[u8]| text(&[name, b"=", value].concat());
    let env = call.env.iter();
    let env = env
        .map(|(name, value)| pair(name.as_bytes(), value.as_bytes()))
        .collect();
    let error = sys::clone::execveat(copy.as_fd(), &Strings::new(args), &Strings::new(env));
    Err(Error::kernel("start our own program anew")(error))
}
