//! The context of a build: unpacked beside the store, and gone with the build.

use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

use archive::ignore::{Ignore, clean};
use archive::{Owners, Rename};
use engine::build_verbs::Place;
use engine::{Engine, Input};
use sys::dir::Dir;

use crate::error::{Error, Result, object};

/// Longest file of instructions or patterns.
const FILE_MAX: u64 = 64 << 20;

/// A context on disk.
#[derive(Debug)]
pub(crate) struct Context {
    place: Place,
    ignore: Ignore,
}

impl Context {
    /// Unpacks an archive. Owners are forgotten: in an image everything is root's.
    pub(crate) async fn unpack(engine: &Engine, from: Input) -> Result<Self> {
        let place = engine.build_place().await?;
        engine::blocking(move || {
            let from = archive::decompress(from)?;
            archive::unpack(from, place.dir(), &Rename::Keep, Owners::Fixed(0, 0))?;
            let mut context = Self {
                place,
                ignore: Ignore::default(),
            };
            if let Some(text) = context.text(".dockerignore")? {
                context.ignore = Ignore::parse(&text).map_err(|e| Error::Request(e.to_string()))?;
            }
            Ok(context)
        })
        .await
    }

    pub(crate) fn root(&self) -> &Dir {
        self.place.dir()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// Returns the text of the Dockerfile.
    pub(crate) fn dockerfile(&self, name: &str) -> Result<String> {
        let name = if name.is_empty() { "Dockerfile" } else { name };
        match self.text(&clean(name))? {
            Some(text) => Ok(text),
            None => Err(Error::Request(format!(
                "Cannot locate specified Dockerfile: {name}"
            ))),
        }
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        let name = std::ffi::CString::new(format!("/{path}"))
            .map_err(|_| Error::Request(format!("{path:?} is no path")))?;
        let found = match sys::root::find(self.root().as_fd(), &name) {
            Ok(found) => found,
            Err(error) if error.errno == sys::Errno::NOENT => return Ok(None),
            Err(error) => return Err(object(path)(error)),
        };
        // Opened anew through its parent once links are followed: what was found only names.
        drop(found);
        let file = self
            .root()
            .open_file(Path::new(path))
            .map_err(object(path))?;
        let mut text = Vec::new();
        file.take(FILE_MAX)
            .read_to_end(&mut text)
            .map_err(|e| object(path)(sys::Error::from_io("read", &e)))?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}
