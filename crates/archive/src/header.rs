//! Pure: one tar header block of 512 bytes: parsed and written.
//!
//! Source: POSIX.1-2024 pax (ustar interchange format) and GNU tar's manual, "Basic Tar Format".
//! Everything here is hostile: numbers are checked, nothing is indexed beyond its field.

/// Bytes of a block; headers are one, contents are padded to whole ones.
pub(crate) const BLOCK: usize = 512;

/// The largest number that a 12 byte octal field holds.
pub(crate) const MAX_OCTAL_SIZE: u64 = 0o777_7777_7777;

/// The largest number that an 8 byte octal field holds.
pub(crate) const MAX_OCTAL_ID: u64 = 0o777_7777;

/// A header as it stands, before PAX records and long names are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    /// The type flag.
    pub(crate) flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) size: u64,
    pub(crate) mtime: i64,
    pub(crate) device: (u32, u32),
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// 512 zero bytes: two of them end an archive.
    Zero,
    /// A header.
    Header(Header),
}

/// Parses a block; the error is the rule that it breaks.
pub(crate) fn parse(block: &[u8; BLOCK]) -> Result<Block, &'static str> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Block::Zero);
    }
    let stated = number(field(block, 148, 8)).ok_or("the checksum is not a number")?;
    if stated != checksum(block, false) && stated != checksum(block, true) {
        return Err("the checksum does not match");
    }
    let ustar = field(block, 257, 6) == b"ustar\0";
    let gnu = field(block, 257, 8) == b"ustar  \0";
    let mut path = text(field(block, 0, 100)).to_vec();
    if ustar {
        let prefix = text(field(block, 345, 155));
        if !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
    }
    let flag = block[156];
    let device = if ustar || gnu {
        (device(field(block, 329, 8))?, device(field(block, 337, 8))?)
    } else {
        (0, 0)
    };
    Ok(Block::Header(Header {
        path,
        link: text(field(block, 157, 100)).to_vec(),
        flag,
        mode: mode(field(block, 100, 8)).ok_or("the mode is not a number")?,
        uid: unsigned(field(block, 108, 8)).ok_or("the owner is not a number")?,
        gid: unsigned(field(block, 116, 8)).ok_or("the group is not a number")?,
        size: unsigned(field(block, 124, 12)).ok_or("the size is not a number")?,
        mtime: number(field(block, 136, 12)).ok_or("the time is not a number")?,
        device,
    }))
}

/// Writes a ustar header. Numbers that do not fit are written as zero and texts are cut: the
/// caller has put them into PAX records.
pub(crate) fn write(header: &Header) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, 100, &header.path);
    put_octal(&mut block, 100, 8, u64::from(header.mode));
    put_octal(&mut block, 108, 8, fits(header.uid, MAX_OCTAL_ID));
    put_octal(&mut block, 116, 8, fits(header.gid, MAX_OCTAL_ID));
    put_octal(&mut block, 124, 12, fits(header.size, MAX_OCTAL_SIZE));
    let mtime = u64::try_from(header.mtime).unwrap_or(0);
    put_octal(&mut block, 136, 12, fits(mtime, MAX_OCTAL_SIZE));
    block[156] = header.flag;
    put(&mut block, 157, 100, &header.link);
    put(&mut block, 257, 8, b"ustar\x0000");
    put_octal(
        &mut block,
        329,
        8,
        fits(u64::from(header.device.0), MAX_OCTAL_ID),
    );
    put_octal(
        &mut block,
        337,
        8,
        fits(u64::from(header.device.1), MAX_OCTAL_ID),
    );
    let sum = checksum(&block, false);
    put(&mut block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn field(block: &[u8; BLOCK], at: usize, length: usize) -> &[u8] {
    &block[at..at + length]
}

/// Text up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal with blanks and NULs around it, or base-256 when the first bit is set (GNU).
fn number(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // Big-endian two's complement; bit 6 of the first byte is the sign.
        let negative = first & 0x40 != 0;
        let start = if negative {
            -1_i64 << 6 | i64::from(first & 0x3f)
        } else {
            i64::from(first & 0x3f)
        };
        return rest.iter().try_fold(start, |value, byte| {
            value.checked_mul(256)?.checked_add(i64::from(*byte))
        });
    }
    let digits: Vec<u8> = field
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ' || *byte == 0)
        .take_while(|byte| *byte != b' ' && *byte != 0)
        .collect();
    digits.iter().try_fold(0_i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn unsigned(field: &[u8]) -> Option<u64> {
    number(field).and_then(|number| u64::try_from(number).ok())
}

/// The low twelve bits; some writers put the type of the file above them.
fn mode(field: &[u8]) -> Option<u32> {
    u32::try_from(unsigned(field)? & 0o7777).ok()
}

fn device(field: &[u8]) -> Result<u32, &'static str> {
    unsigned(field)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or("the device number is not a number")
}

/// The sum of all bytes with the checksum field as blanks; very old tars summed signed bytes.
fn checksum(block: &[u8; BLOCK], signed: bool) -> i64 {
    block
        .iter()
        .enumerate()
        .map(|(at, byte)| match (148..156).contains(&at) {
            true => i64::from(b' '),
            false if signed => i64::from(byte.cast_signed()),
            false => i64::from(*byte),
        })
        .sum()
}

fn put(block: &mut [u8; BLOCK], at: usize, length: usize, bytes: &[u8]) {
    let length = length.min(bytes.len());
    block[at..at + length].copy_from_slice(&bytes[..length]);
}

fn put_octal(block: &mut [u8; BLOCK], at: usize, length: usize, number: u64) {
    let text = format!("{number:0width$o}", width = length - 1);
    put(block, at, length, text.as_bytes());
}

fn fits(number: u64, most: u64) -> u64 {
    if number > most { 0 } else { number }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        for (field, expect) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o777_7777_7777)),
            (b"0008\0", None),
            (b"-1\0", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x02\x01", Some(513)),
            (b"\x80\0\0\x02\0\0\0\0\0\0\0\0", None),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe",
                Some(-2),
            ),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
        ] {
            assert_eq!(number(field), expect, "{field:?}");
        }
    }

    #[test]
    fn zero_and_broken_blocks() {
        assert_eq!(parse(&[0; BLOCK]), Ok(Block::Zero));
        let mut block = write(&example());
        block[0] ^= 1;
        assert_eq!(parse(&block), Err("the checksum does not match"));
    }

    fn example() -> Header {
        Header {
            path: b"a/b".to_vec(),
            link: Vec::new(),
            flag: b'0',
            mode: 0o4755,
            uid: 1000,
            gid: 5,
            size: 12,
            mtime: 1_700_000_000,
            device: (0, 0),
        }
    }

    #[test]
    fn prefix_is_joined() {
        let mut block = write(&example());
        put(&mut block, 345, 155, b"long/prefix");
        let sum = checksum(&block, false);
        put(&mut block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
        let Ok(Block::Header(header)) = parse(&block) else {
            panic!("no header")
        };
        assert_eq!(header.path, b"long/prefix/a/b");
    }

    proptest! {
        #[test]
        fn parses_what_it_writes(
            path in "[a-z/]{1,100}", link in "[a-z/]{0,100}", mode in 0_u32..0o7777,
            uid in 0..=MAX_OCTAL_ID, size in 0..=MAX_OCTAL_SIZE, mtime in 0_i64..0o777_7777_7777,
            minor in 0_u32..0o777_7777,
        ) {
            let header = Header {
                path: path.into_bytes(), link: link.into_bytes(), flag: b'3', mode, uid, gid: uid,
                size, mtime, device: (1, minor),
            };
            prop_assert_eq!(parse(&write(&header)), Ok(Block::Header(header)));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), BLOCK), fix in any::<bool>()) {
            let mut block = [0; BLOCK];
            block.copy_from_slice(&bytes);
            if fix {
                let sum = checksum(&block, false);
                put(&mut block, 148, 8, format!("{sum:06o}\0 ").as_bytes());
            }
            drop(parse(&block));
        }
    }
}
