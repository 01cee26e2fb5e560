//! Pure: glibc's `/etc/ld.so.cache`: which file a soname is.
//!
//! Source: glibc sysdeps/generic/dl-cache.h. Only the new format (glibc 2.2 and later) is read,
//! alone or behind the old one; entries for hardware capabilities are passed over, for their
//! plain versions work everywhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const NEW_HEADER: usize = 48;
const NEW_ENTRY: usize = 24;
/// Bits of the flags that name the machine, and the values that we can use.
const MACHINE: u32 = 0xff00;
#[cfg(target_arch = "x86_64")]
const OURS: u32 = 0x0300;
#[cfg(target_arch = "aarch64")]
const OURS: u32 = 0x0a00;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OURS: u32 = 0x0000;

/// Returns file by soname for this machine's kind; the first entry of a name counts. What cannot be
/// read is passed over: the default directories are searched anyway.
pub(crate) fn parse(bytes: &[u8]) -> BTreeMap<Vec<u8>, PathBuf> {
    new_part(bytes).and_then(entries).unwrap_or_default()
}

/// Skips the old format, which the new one follows aligned to 8 bytes.
fn new_part(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(OLD_MAGIC) {
        return Some(bytes);
    }
    let count = usize::try_from(word(bytes, 12)?).ok()?;
    let end = count
        .checked_mul(OLD_ENTRY)?
        .checked_add(OLD_HEADER)?
        .checked_next_multiple_of(8)?;
    bytes.get(end..)
}

fn entries(bytes: &[u8]) -> Option<BTreeMap<Vec<u8>, PathBuf>> {
    bytes.strip_prefix(NEW_MAGIC)?;
    let count = usize::try_from(word(bytes, 20)?).ok()?;
    let mut files = BTreeMap::new();
    for at in 0..count {
        let at = at.checked_mul(NEW_ENTRY)?.checked_add(NEW_HEADER)?;
        let (flags, key, value) = (word(bytes, at)?, word(bytes, at + 4)?, word(bytes, at + 8)?);
        let capabilities = word(bytes, at + 16)? | word(bytes, at + 20)?;
        if flags & MACHINE != OURS || capabilities != 0 {
            continue;
        }
        if let (Some(key), Some(value)) = (text(bytes, key), text(bytes, value)) {
            files
                .entry(key.to_vec())
                .or_insert_with(|| PathBuf::from(OsStr::from_bytes(value)));
        }
    }
    Some(files)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

/// A text at an offset from the beginning of the new part.
fn text(bytes: &[u8], at: u32) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    rest.split(|byte| *byte == 0)
        .next()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(old: bool) -> Vec<u8> {
        let mut bytes = NEW_MAGIC.to_vec();
        bytes.extend(3_u32.to_le_bytes());
        bytes.resize(NEW_HEADER, 0);
        let strings = u32::try_from(NEW_HEADER + 3 * NEW_ENTRY).unwrap();
        let texts = b"libc.so.6\0/lib/libc.so.6\0/hw/libc.so.6\0/32/libc.so.6\0";
        for (flags, value, capabilities) in
            [(OURS | 3, 25, 1_u64 << 62), (3, 38, 0), (OURS | 3, 10, 0)]
        {
            for number in [flags, strings, strings + value, 0] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(capabilities.to_le_bytes());
        }
        bytes.extend(texts);
        if old {
            let mut both = OLD_MAGIC.to_vec();
            both.extend(1_u32.to_le_bytes());
            both.resize(32, 0);
            both.extend(bytes);
            return both;
        }
        bytes
    }

    #[test]
    fn plain_entry_of_our_machine() {
        if OURS == 0 {
            return;
        }
        for old in [false, true] {
            let files = parse(&cache(old));
            let expect = (b"libc.so.6".to_vec(), PathBuf::from("/lib/libc.so.6"));
            assert_eq!(files.into_iter().collect::<Vec<_>>(), [expect]);
        }
    }

    #[test]
    fn cut_off_anywhere() {
        for old in [false, true] {
            let whole = cache(old);
            for length in 0..whole.len() {
                drop(parse(&whole[..length]));
            }
        }
        assert!(parse(b"something else").is_empty());
    }
}
