//! Pure: what an ELF file asks its loader for.

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64, PT_DYNAMIC,
    PT_INTERP, PT_LOAD,
};
use object::read::StringTable;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// The loader and the shared objects of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The loader; a static program and a shared object have none.
    pub(crate) interpreter: Option<Vec<u8>>,
    /// Sonames.
    pub(crate) needed: Vec<Vec<u8>>,
    /// RUNPATH, or RPATH where that is missing: directories, `$ORIGIN` in them not yet replaced.
    pub(crate) search: Vec<Vec<u8>>,
}

/// Reads the program headers; `None` if this is no ELF file.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Needs>, String> {
    match FileKind::parse(bytes) {
        Ok(FileKind::Elf32) => needs::<FileHeader32<Endianness>>(bytes),
        Ok(FileKind::Elf64) => needs::<FileHeader64<Endianness>>(bytes),
        _ => return Ok(None),
    }
    .map(Some)
    .map_err(|error| error.to_string())
}

fn needs<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> object::Result<Needs> {
    let header = Elf::parse(bytes)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, bytes)?;
    let mut needs = Needs::default();
    let (mut runpath, mut rpath) = (None, None);
    for segment in segments {
        if segment.p_type(endian) == PT_INTERP {
            needs.interpreter = segment.interpreter(endian, bytes)?.map(<[u8]>::to_vec);
        }
        if segment.p_type(endian) != PT_DYNAMIC {
            continue;
        }
        let Some(entries) = segment.dynamic(endian, bytes)? else {
            continue;
        };
        let strings = strings::<Elf>(endian, bytes, segments, entries);
        for entry in entries {
            let text = || entry.string(endian, strings).map(<[u8]>::to_vec);
            match entry.tag(endian) {
                DT_NEEDED => needs.needed.push(text()?),
                DT_RUNPATH => runpath = Some(text()?),
                DT_RPATH => rpath = Some(text()?),
                _ => {}
            }
        }
    }
    if let Some(path) = runpath.or(rpath) {
        needs.search = path
            .split(|byte| *byte == b':')
            .map(<[u8]>::to_vec)
            .collect();
    }
    Ok(needs)
}

/// The string table of the dynamic section: its address lies in a loaded segment. Section headers
/// are not needed, for strip(1) may remove them.
fn strings<'a, Elf: FileHeader<Endian = Endianness>>(
    endian: Endianness,
    bytes: &'a [u8],
    segments: &[Elf::ProgramHeader],
    entries: &[Elf::Dyn],
) -> StringTable<'a> {
    let value = |tag| {
        entries
            .iter()
            .find(|e| e.tag(endian) == tag)
            .map(|e| e.val(endian))
    };
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return StringTable::default();
    };
    for segment in segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD)
    {
        let start: u64 = segment.p_vaddr(endian).into();
        let length: u64 = segment.p_filesz(endian).into();
        let Some(within) = address.checked_sub(start).filter(|within| *within < length) else {
            continue;
        };
        let offset: u64 = segment.p_offset(endian).into();
        let Some(at) = offset.checked_add(within) else {
            break;
        };
        return StringTable::new(bytes, at, at.saturating_add(size));
    }
    StringTable::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_elf() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF"] {
            assert_eq!(parse(bytes), Ok(None), "{bytes:?}");
        }
    }
}
