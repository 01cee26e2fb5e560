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
    /// Opens a directory to empty it; `None` if somebody else has removed it meanwhile.
    fn open(parent: &Dir, name: &OsStr) -> Result<Option<Self>> {
        let opened = parent
            .open_dir(Path::new(name))
            .and_then(|dir| Ok((dir.names()?, dir)));
        match opened {
            Ok((names, dir)) => Ok(Some(Self {
                dir,
                name: name.to_owned(),
                names,
            })),
            Err(error) if error.errno == Errno::NOENT => Ok(None),
            Err(error) => Err(error),
        }
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
        let mut stack: Vec<Frame> = Frame::open(self, name)?.into_iter().collect();
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
                        let again = Frame::open(parent, &frame.name)?;
                        stack.extend(again);
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
                let next = Frame::open(&stack[stack.len() - 1].dir, &child)?;
                stack.extend(next);
            } else {
                let new = OsString::from(format!(".deep-{moved}"));
                moved += 1;
                match stack[stack.len() - 1]
                    .dir
                    .rename_noreplace(&child, &stack[0].dir, &new)
                {
                    Err(error) if error.errno == Errno::EXIST => {
                        stack
                            .last_mut()
                            .into_iter()
                            .for_each(|frame| frame.names.push(child.clone()));
                    }
                    Err(error) if error.errno == Errno::NOENT => {}
                    result => result?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deeper than [`HELD`], a link out, and two who remove it at once.
    #[test]
    fn two_remove_one_tree() {
        let base = std::env::temp_dir().join(format!("remove-test-{}", std::process::id()));
        let name = OsStr::new("tree");
        for depth in [0, 35, 90] {
            std::fs::create_dir_all(base.join("kept")).unwrap();
            for width in 0..4 {
                let deep = base
                    .join("tree")
                    .join(width.to_string())
                    .join("d/".repeat(depth));
                std::fs::create_dir_all(&deep).unwrap();
                drop(std::fs::File::create(deep.join("file")).unwrap());
                drop(std::fs::File::create(deep.join(".deep-0")).unwrap());
                std::os::unix::fs::symlink(base.join("kept"), deep.join("link")).unwrap();
            }
            let dir = Dir::open(&base).unwrap();
            let remove = || dir.remove_tree(name);
            let (one, two) = std::thread::scope(|scope| {
                let other = scope.spawn(remove);
                (remove(), other.join().unwrap())
            });
            assert_eq!((one, two), (Ok(()), Ok(())));
            assert!(!base.join("tree").exists() && base.join("kept").exists());
        }
        let parent = Dir::open(base.parent().unwrap()).unwrap();
        parent.remove_tree(base.file_name().unwrap()).unwrap();
    }
}
