//! What the lines of a file may say: pure files stay pure, tests run, files stay small.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::rust_files;

const MAX_LINES: usize = 600;

/// Files over [`MAX_LINES`]: path, the most lines it may have, why. A line leaves when its file shrinks.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// Where Rust lies.
const FOLDERS: &[&str] = &["crates", "tests", "xtask", "bench"];

/// What a file that calls itself pure may not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "std::process",
    "std::env",
    "sys::",
    "tokio",
    "rustix::",
    "libc::",
    "SystemTime::now",
    "Instant::now",
];

/// Checks every Rust file.
pub(super) fn check(root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for folder in FOLDERS {
        for file in rust_files(root, folder)? {
            let name = file.to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(root.join(&file))?;
            check_size(&name, &text, faults);
            check_text(&name, &text, faults);
        }
    }
    for (file, _, reason) in LONG_FILES {
        let lines = fs::read_to_string(root.join(file)).map_or(0, |text| text.lines().count());
        if lines <= MAX_LINES || reason.is_empty() {
            faults.push(format!(
                "{file}: needs no place on the list of long files, or a reason"
            ));
        }
    }
    Ok(())
}

fn check_size(name: &str, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    let allowed = LONG_FILES
        .iter()
        .find(|(file, _, _)| *file == name)
        .map_or(MAX_LINES, |(_, lines, _)| *lines);
    if lines > allowed {
        faults.push(format!("{name}: {lines} lines, {allowed} are allowed"));
    }
}

fn check_text(name: &str, text: &str, faults: &mut Vec<String>) {
    if !text.starts_with("//!") && (name.contains("/src/") || name.contains("/tests/")) {
        faults.push(format!("{name}: a module opens with a //! sentence"));
    }
    let pure = text.starts_with("//! Pure:");
    let mut tests = false;
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line).trim();
        let place = || format!("{name}:{}", number + 1);
        tests |= code.starts_with("#[cfg(test)]");
        if ["ignore", "should_panic"]
            .iter()
            .any(|word| is_attribute(code, word))
        {
            faults.push(format!(
                "{}: a test runs or is skipped with a counted reason",
                place()
            ));
        }
        if line.contains(concat!("TO", "DO")) && !line.contains(concat!("TO", "DO(#")) {
            faults.push(format!(
                "{}: a thing to do carries an issue's number",
                place()
            ));
        }
        if pure && !tests {
            for word in IMPURE.iter().filter(|word| names(code, word)) {
                faults.push(format!("{}: a pure file may not name {word}", place()));
            }
        }
    }
}

fn is_attribute(code: &str, word: &str) -> bool {
    code.strip_prefix("#[")
        .and_then(|rest| rest.strip_prefix(word))
        .is_some_and(|rest| rest.starts_with(|next: char| !next.is_alphanumeric() && next != '_'))
}

/// Returns whether `code` names `path`, not only a longer word that ends with it.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let word = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(word) && (path.ends_with(':') || !after.is_some_and(word))
    })
}

#[cfg(test)]
mod tests {
    use super::{check_size, check_text};

    fn faults(text: &str) -> usize {
        let mut faults = Vec::new();
        check_text("crates/x/src/y.rs", text, &mut faults);
        check_size("crates/x/src/y.rs", text, &mut faults);
        faults.len()
    }

    #[test]
    fn faults_are_found() {
        assert_eq!(
            faults("//! Pure: adds.\nuse std::fmt;\n// std::fs is not here\n"),
            0
        );
        assert_eq!(faults("//! Pure: adds.\nuse std::fs;\n"), 1);
        assert_eq!(
            faults("//! Pure: adds.\nuse sys::dir;\nlet a = SystemTime::now();\n"),
            2
        );
        assert_eq!(faults("//! Pure: adds.\nlet a = fuse_sys::x;\n"), 0);
        assert_eq!(
            faults("//! Pure: adds.\n#[cfg(test)]\nmod tests { use std::fs; }\n"),
            0
        );
        assert_eq!(faults("//! Reads.\nuse std::fs;\n"), 0);
        assert_eq!(faults("use std::fs;\n"), 1);
        assert_eq!(faults(concat!("//! X.\n#[ign", "ore]\nfn a() {}\n")), 1);
        assert_eq!(
            faults(concat!("//! X.\n#[ign", "ore = \"slow\"]\nfn a() {}\n")),
            1
        );
        assert_eq!(faults(concat!("//! X.\n// TO", "DO later\n")), 1);
        assert_eq!(faults(&format!("//! X.\n{}", "\n".repeat(700))), 1);
    }
}
