//! `spec`.

use std::path::PathBuf;

use super::Context;
use super::error::{Error, Result};
use super::words::Words;

/// `spec`
pub(super) fn spec(_context: &Context, words: &Words) -> Result<i32> {
    let dir = PathBuf::from(words.get("bundle").unwrap_or("."));
    let path = dir.join("config.json");
    if path.exists() {
        return Err(Error::said("File config.json exists. Remove it first"));
    }
    let text = if words.is_on("rootless") {
        include_str!("spec_rootless.json")
    } else {
        include_str!("spec.json")
    };
    sys::durable::replace_volatile(&path, text.as_bytes(), 0o666)
        .map_err(Error::kernel("write config.json"))?;
    Ok(0)
}
