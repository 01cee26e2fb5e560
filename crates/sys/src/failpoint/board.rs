//! A page of memory that a test shares with the processes under test: it counts the calls that they
//! pass, and lets exactly one of them die or fail at a chosen pass.
//!
//! The file is as long as all slots. Numbers are of 8 bytes in this machine's order:
//!
//! ```text
//! SLOT (64 KiB; 0 the daemon's, 1 the shims')
//!   0 mode: 0 off, 1 count, 2 kill, 3 errno     8 n    16 errno    24 seen    32 fired
//!   64 + 32*i  name of the i-th call passed, cut at 32 bytes, filled with 0
//! ```
//!
//! Passes are counted by all processes of a slot together, so that the n-th exists once however
//! often the process under test is started again.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

const SLOT_BYTES: usize = 64 << 10;
const NAMES_AT: usize = 64;
const NAME_BYTES: usize = 32;
const NAMES: u64 = ((SLOT_BYTES - NAMES_AT) / NAME_BYTES) as u64;

const MODE: usize = 0;
const NTH: usize = 8;
const ERRNO: usize = 16;
const SEEN: usize = 24;
const FIRED: usize = 32;

/// What a pass is to do.
pub(super) enum Verdict {
    Go,
    Die,
    Fail(Errno),
}

/// The slot of this process.
#[derive(Debug)]
pub(super) struct Board(*mut u8);

// SAFETY: the page is never unmapped, and every word of it is used atomically; a name belongs to
// the one pass that drew its number.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

impl Board {
    /// Maps the slot of `personality` in the file, which the test has made.
    pub(super) fn open(path: &str, personality: &str) -> Option<Self> {
        let slot: usize = match personality {
            "daemon" => 0,
            "shim" => 1,
            _ => return None,
        };
        let file = File::options().read(true).write(true).open(path).ok()?;
        let offset = libc::off_t::try_from(slot * SLOT_BYTES).ok()?;
        // SAFETY: a new mapping of a file, at an address that the kernel chooses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                SLOT_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                offset,
            )
        };
        (page != libc::MAP_FAILED).then_some(Self(page.cast()))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: `at` is one of the constants above, inside the mapping.
        let word = unsafe { self.0.add(at) };
        // SAFETY: aligned, mapped for ever, and only used atomically.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Counts a pass of `call`.
    pub(super) fn pass(&self, call: &str) -> Verdict {
        let mode = self.word(MODE).load(Ordering::Acquire);
        if mode == 0 {
            return Verdict::Go;
        }
        let number = self.word(SEEN).fetch_add(1, Ordering::AcqRel);
        self.note(number, call);
        if mode == 1 || number + 1 != self.word(NTH).load(Ordering::Acquire) {
            return Verdict::Go;
        }
        self.word(FIRED).store(1, Ordering::Release);
        if mode == 2 {
            return Verdict::Die;
        }
        let errno = self.word(ERRNO).load(Ordering::Acquire);
        Verdict::Fail(Errno::from_raw_os_error(i32::try_from(errno).unwrap_or(5)))
    }

    fn note(&self, number: u64, call: &str) {
        let Some(number) = usize::try_from(number.min(NAMES - 1)).ok() else {
            return;
        };
        let length = call.len().min(NAME_BYTES);
        // SAFETY: the number is below NAMES, so the name lies inside the mapping.
        let to = unsafe { self.0.add(NAMES_AT + NAME_BYTES * number) };
        // SAFETY: `length` bytes are readable there and writable here, and the two never overlap.
        unsafe { std::ptr::copy_nonoverlapping(call.as_ptr(), to, length) };
    }
}
