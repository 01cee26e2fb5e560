//! Runs other programs: says what is run, and fails when it fails.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Prints the headline of a step.
pub(crate) fn step(title: &str) {
    println!("== {title}");
}

/// Runs `command` with this process's output; an exit status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let started = Instant::now();
    let shown = shown(command);
    println!("   $ {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("run {shown}"))?;
    println!("   ({:.1} s)", started.elapsed().as_secs_f64());
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    let line = words.join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
