//! Output of a container, kept and read back.
//!
//! Vocabulary: an *entry* is one line of output, or a piece of a line that is longer than
//! [`lines::LINE_MAX`]; it is *partial* when its end of line has not come yet.
//!
//! Invariants: knows paths that it is handed, no container records and no HTTP; codecs are pure;
//! no thread ever sleeps for a follower: a [`Reader`] says that there is nothing more now, and
//! one [`Watcher`] for all followers becomes readable when there may be.

#![forbid(unsafe_code)]

pub mod entry;
mod error;
mod follow;
pub mod json_file;
pub mod lines;
mod read;
pub mod select;
pub mod time;
mod write;

pub use entry::{Entry, Stream};
pub use error::{Error, Result};
pub use follow::{Changed, Watch, Watcher};
pub use read::Reader;
pub use select::Select;
pub use write::{Limits, Writer};
