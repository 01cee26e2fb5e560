//! Removing a whole tree: [`Dir::remove_tree`].

use std::ffi::{OsStr, OsString};
use std::path::Path;

use rustix::io::Errno;

use crate::Result;
use crate::dir::{Dir, Kind};

/// How many directories [`Dir::remove_tree`] holds open at once.
const HELD: usize = 32;

/// A directory that is being emptied.
struct Frame {
    dir: Dir,
    name: OsString,
    names: Vec<OsString>,
}

impl Frame {
    fn open(parent: &Dir, name: &OsStr) -> Result<Self> {
        let dir = parent.open_dir(Path::new(name))?;
        let names = dir.names()?;
        Ok(Self {
            dir,
            name: name.to_owned(),
            names,
        })
    }
}

impl Dir {
    /// Removes `name` and everything beneath it; a missing one is no error. Nothing outside is
    /// touched, whatever links are inside; a mount beneath gives `EBUSY`. Two may remove the same
    /// tree at once.
    pub fn remove_tree(&self, name: &OsStr) -> Result<()> {
        match self.find(name)? {
            None => return Ok(()),
            Some(stat) if stat.kind != Kind::Directory => return self.unlink(name),
            Some(_) => {}
        }
        // An explicit stack: the depth of a hostile tree is neither the depth of ours nor the number
        // of descriptors; what lies deeper than `HELD` is moved up into the top directory first.
        let mut stack = vec![Frame::open(self, name)?];
        let mut moved = 0_u64;
        while let Some(frame) = stack.last_mut() {
            let Some(child) = frame.names.pop() else {
                let Some(frame) = stack.pop() else { break };
                let parent = stack.last().map_or(self, |parent| &parent.dir);
                match parent.remove_dir(&frame.name) {
                    Ok(()) => {}
                    Err(error) if error.errno == Errno::NOENT => {}
                    // Something was moved here, or is being made here by somebody else.
                    Err(error) if matches!(error.errno, Errno::NOTEMPTY | Errno::EXIST) => {
                        stack.push(Frame::open(parent, &frame.name)?);
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            match frame.dir.unlink(&child) {
                Ok(()) => continue,
                Err(error) if error.errno == Errno::NOENT => continue,
                Err(error) if matches!(error.errno, Errno::ISDIR | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
            match frame.dir.remove_dir(&child) {
                Ok(()) => continue,
                Err(error) if error.errno == Errno::NOENT => continue,
                Err(error) if matches!(error.errno, Errno::NOTEMPTY | Errno::EXIST) => {}
                // A mount point is `EBUSY` here, so that we never descend into a mount.
                Err(error) => return Err(error),
            }
            if stack.len() < HELD {
                match Frame::open(&stack[stack.len() - 1].dir, &child) {
                    Err(error) if error.errno == Errno::NOENT => {}
                    next => stack.push(next?),
                }
            } else {
                let new = OsString::from(format!(".deep-{moved}"));
                moved += 1;
                match stack[stack.len() - 1]
                    .dir
                    .rename_noreplace(&child, &stack[0].dir, &new)
                {
                    Err(error) if error.errno == Errno::EXIST => frame_back(&mut stack, child),
                    result => result?,
                }
            }
        }
        Ok(())
    }
}

fn frame_back(stack: &mut [Frame], child: OsString) {
    if let Some(frame) = stack.last_mut() {
        frame.names.push(child);
    }
}
