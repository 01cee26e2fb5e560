//! What this process holds of the machine's memory, and how it gives it back while it rests.

#![allow(unsafe_code, reason = "the allocator's and the linker's doors")]

/// Gives memory that the allocator keeps for later back to the kernel.
pub fn trim_heap() {
    // SAFETY: walks the allocator's own free lists under its lock.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}

/// Lets the allocator keep at most this many arenas: by default every thread gets one of its own,
/// and each keeps what it once held.
pub fn limit_arenas(most: i32) {
    // SAFETY: sets a number of the allocator's under its lock.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, most)
    };
    #[cfg(not(target_env = "gnu"))]
    let _no_arenas_here = most;
}

/// Lets go of the pages of this program's code: they stay in the page cache, and what is called
/// again is mapped again by a minor fault (madvise(2), `MADV_DONTNEED` on a file mapping).
pub fn forget_code() {
    // What every linker of ELF programs defines (ld(1)); only the addresses are taken.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    let start = (&raw const __executable_start).addr();
    let end = (&raw const etext).addr();
    let page = rustix::param::page_size();
    let start = start.next_multiple_of(page);
    let len = (end & !(page - 1)).saturating_sub(start);
    if len == 0 {
        return;
    }
    // SAFETY: read-only data and code, mapped from the file, written by nobody: dropped pages
    // come back with the same bytes. An error leaves them mapped, which is as good.
    let _still_mapped = unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(start),
            len,
            libc::MADV_DONTNEED,
        )
    };
}

/// All that a process can give back that has nothing to do for a while.
pub fn rest() {
    trim_heap();
    forget_code();
}

#[cfg(test)]
mod tests {
    #[test]
    fn code_comes_back() {
        let text = format!("{:?}", std::env::args());
        super::rest();
        assert_eq!(text, format!("{:?}", std::env::args()));
    }
}
