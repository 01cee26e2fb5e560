//! Reads a json-file log back across its rotated files, and goes on while it is written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::json_file;
use crate::select::{Select, Verdict, tail_in_block};
use crate::write::numbered;

/// Bytes read at once.
const BLOCK: usize = 16 * 1024;
/// Longest line that is believed to be an entry: [`crate::lines::LINE_MAX`] bytes, each escaped.
const LONGEST: usize = 256 * 1024;
/// Rotated files that are looked for.
const FILES_MAX: u32 = 10_000;

/// A reader of one log. It never waits and holds no more than a few kilobytes.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    select: Select,
    /// Oldest first; the first is being read.
    files: VecDeque<Part>,
    follow: bool,
    /// Bytes read and not yet taken, from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
    ended: bool,
}

#[derive(Debug)]
struct Part {
    file: File,
    inode: (u64, u64),
    /// Where to read next.
    offset: u64,
    /// Where to stop, when entries written later are not wanted.
    end: Option<u64>,
}

impl Reader {
    /// Opens the log whose newest file is `path`. Without `follow` it shows what was written until
    /// now. A log that does not exist yet is empty.
    pub fn open(path: &Path, select: Select, follow: bool) -> Result<Self> {
        let files = open_all(path, follow).map_err(|e| Error::file(path, e))?;
        let mut reader = Self {
            path: path.to_owned(),
            select,
            files,
            follow,
            buffer: Vec::new(),
            taken: 0,
            ended: false,
        };
        if let Some(tail) = select.tail {
            reader.seek_tail(tail).map_err(|e| Error::file(path, e))?;
        }
        Ok(reader)
    }

    /// Returns the next entry; none when there is no more now. With `follow` ask again when
    /// [`crate::Watcher`] saw a change.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        while !self.ended {
            let Some(line) = self.next_line()? else {
                return Ok(None);
            };
            // A line that is no entry was cut short by a crash or a full disk.
            let Some(entry) = json_file::decode(&line) else {
                continue;
            };
            match self.select.judge(&entry) {
                Verdict::Show => return Ok(Some(entry)),
                Verdict::Skip => {}
                Verdict::End => self.ended = true,
            }
        }
        Ok(None)
    }

    /// Tells whether no entry can come any more, because a later one than wanted was seen.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..end].to_vec();
                self.taken += end + 1;
                return Ok(Some(line));
            }
            if rest.len() > LONGEST {
                self.taken = self.buffer.len();
            }
            if !self.fill().map_err(|e| Error::file(&self.path, e))? {
                return Ok(None);
            }
        }
    }

    /// Reads the next block, from the next file if this one is over. False: nothing more now.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        loop {
            let Some(part) = self.files.front_mut() else {
                if !self.follow || !self.find_successor(None)? {
                    return Ok(false);
                }
                continue;
            };
            if part.read_into(&mut self.buffer)? {
                return Ok(true);
            }
            let inode = part.inode;
            if self.files.len() == 1 && (!self.follow || !self.find_successor(Some(inode))?) {
                self.buffer.shrink_to_fit();
                return Ok(false);
            }
            // It was renamed away before we came here: what was written to it meanwhile is still
            // to be read, and then nothing more comes.
            if let Some(part) = self.files.front_mut()
                && part.read_into(&mut self.buffer)?
            {
                return Ok(true);
            }
            self.files.pop_front();
            // The piece of an entry at its end will never be whole.
            self.buffer.clear();
        }
    }

    /// Opens the files that are newer than the one with this inode; false when it is the newest.
    fn find_successor(&mut self, inode: Option<(u64, u64)>) -> std::io::Result<bool> {
        if let Some(inode) = inode {
            match std::fs::metadata(&self.path) {
                Ok(newest) if (newest.dev(), newest.ino()) == inode => return Ok(false),
                // Between rename and create of a rotation.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        let mut all = open_all(&self.path, true)?;
        if let Some(at) = all.iter().position(|part| Some(part.inode) == inode) {
            all.drain(..=at);
        }
        let found = !all.is_empty();
        self.files.append(&mut all);
        Ok(found)
    }

    /// Moves to where the last `tail` entries begin.
    fn seek_tail(&mut self, tail: u64) -> std::io::Result<()> {
        // The end of line before the first one wanted is to be found, too.
        let mut wanted = tail.saturating_add(1);
        for index in (0..self.files.len()).rev() {
            let part = &mut self.files[index];
            match part.find_tail(wanted)? {
                Ok(offset) => {
                    part.offset = offset;
                    self.files.drain(..index);
                    return Ok(());
                }
                Err(left) => wanted = left,
            }
        }
        Ok(())
    }
}

impl Part {
    fn open(path: &Path, bounded: bool) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let inode = (meta.dev(), meta.ino());
        Ok(Self {
            file,
            inode,
            offset: 0,
            end: bounded.then_some(meta.len()),
        })
    }

    /// Appends the next block; false at the end.
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
        let left = self
            .end
            .map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        let wanted = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        let start = buffer.len();
        buffer.resize(start + wanted, 0);
        let count = self.file.read_at(&mut buffer[start..], self.offset);
        buffer.truncate(start + *count.as_ref().unwrap_or(&0));
        let count = count? as u64;
        self.offset += count;
        if count == 0 && self.end.is_none() && self.file.metadata()?.len() < self.offset {
            // Somebody truncated it in place, as other log rotators do.
            self.offset = 0;
        }
        Ok(count != 0)
    }

    /// Returns where the last lines begin, or how many ends of lines are wanted before this file.
    fn find_tail(&self, mut wanted: u64) -> std::io::Result<Result<u64, u64>> {
        let mut end = match self.end {
            Some(end) => end,
            None => self.file.metadata()?.len(),
        };
        let mut block = [0; BLOCK];
        while end > 0 {
            let start = end.saturating_sub(BLOCK as u64);
            let len = usize::try_from(end - start).expect("a block is small");
            self.file.read_exact_at(&mut block[..len], start)?;
            match tail_in_block(&block[..len], wanted) {
                Ok(at) => return Ok(Ok(start + at as u64)),
                Err(left) => wanted = left,
            }
            end = start;
        }
        Ok(Err(wanted))
    }
}

/// Opens every file of the log, oldest first. A rotation meanwhile shows one file twice at worst,
/// which is seen by its inode.
fn open_all(path: &Path, follow: bool) -> std::io::Result<VecDeque<Part>> {
    let mut parts: VecDeque<Part> = VecDeque::new();
    for number in 0..FILES_MAX {
        match Part::open(&numbered(path, number), !follow && number == 0) {
            Ok(part) => {
                if parts.iter().all(|other| other.inode != part.inode) {
                    parts.push_front(part);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound && number > 0 => break,
            // Between rename and create of a rotation the newest is `NAME.1`.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(parts)
}
