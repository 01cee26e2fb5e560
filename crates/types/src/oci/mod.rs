//! Documents of the Open Container Initiative.

pub mod image;
pub mod runtime;
