//! A user's home directory, from the container's own /etc/passwd.

use std::ffi::CStr;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest file that is looked at, in bytes: an image may hold anything under this name.
const LIMIT: u64 = 1 << 20;

/// Returns the home directory of `uid` by the file in `root`; `/` when it says nothing.
pub(crate) fn of(root: BorrowedFd<'_>, uid: u32) -> String {
    open(root, c"/etc/passwd").map_or_else(|| "/".to_owned(), |file| find(file.into(), uid))
}

/// The same by a file of the host that is to be mounted over the container's.
pub(crate) fn of_file(path: &str, uid: u32) -> String {
    std::fs::File::open(path).map_or_else(|_| "/".to_owned(), |file| find(file, uid))
}

fn open(root: BorrowedFd<'_>, path: &CStr) -> Option<OwnedFd> {
    let file = sys::root::open_file(root, path).ok()?;
    sys::root::kind(file.as_fd()).ok()?.is_file.then_some(file)
}

fn find(file: std::fs::File, uid: u32) -> String {
    let lines = BufReader::new(file.take(LIMIT))
        .split(b'\n')
        .map_while(Result::ok);
    home_in(lines, uid).unwrap_or_else(|| "/".to_owned())
}

fn home_in(lines: impl Iterator<Item = Vec<u8>>, uid: u32) -> Option<String> {
    for line in lines {
        let Ok(line) = std::str::from_utf8(&line) else {
            continue;
        };
        let mut fields = line.trim_end().split(':');
        let (Some(number), Some(home)) = (fields.nth(2), fields.nth(2)) else {
            continue;
        };
        if number.parse() == Ok(uid) {
            return (!home.is_empty()).then(|| home.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found() {
        let check = |uid, expect: Option<&str>| {
            let text = b"# x\nroot:x:0:0:root:/root:/bin/sh\nbad\na:x:7:7::/home/a:\nb:x:8:8:::\n";
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            assert_eq!(home_in(lines, uid).as_deref(), expect);
        };
        check(0, Some("/root"));
        check(7, Some("/home/a"));
        check(8, None);
        check(9, None);
    }
}
