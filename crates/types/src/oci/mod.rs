//! Documents of the Open Container Initiative.

pub mod image;
mod limits;
pub mod runtime;
