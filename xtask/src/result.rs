//! What long runs came to: `bench/results/NAME.json`, with the commit and the day. Git keeps the
//! earlier ones.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Where results lie.
const FOLDER: &str = "bench/results";

/// Writes the result `name`; `said` is an object.
pub(crate) fn keep(root: &Path, name: &str, mut said: Value) -> Result<()> {
    let object = said.as_object_mut().context("a result is an object")?;
    let word = |program: &str, words: &[&str]| -> Result<Value> {
        let output = Command::new(program)
            .args(words)
            .current_dir(root)
            .output()?;
        Ok(json!(String::from_utf8_lossy(&output.stdout).trim()))
    };
    object.insert(
        "commit".to_owned(),
        word("git", &["rev-parse", "--short", "HEAD"])?,
    );
    object.insert("date".to_owned(), word("date", &["-u", "+%F"])?);
    fs::create_dir_all(root.join(FOLDER))?;
    let file = format!("{FOLDER}/{name}.json");
    fs::write(root.join(&file), format!("{said:#}\n"))?;
    println!("   written to {file}");
    Ok(())
}

/// Reads the result `name`, if there is one.
pub(crate) fn last(root: &Path, name: &str) -> Result<Option<Value>> {
    let file = format!("{FOLDER}/{name}.json");
    let Ok(text) = fs::read_to_string(root.join(&file)) else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_str(&text).context(file)?))
}
