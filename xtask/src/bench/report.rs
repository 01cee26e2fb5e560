//! A table for people and a file for the record.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Plan;
use super::memory::Line;
use super::scenario::Times;

/// Prints the numbers and writes `bench/results/COMMIT.json`. A ratio is the faster reference
/// engine's median by ours.
pub(super) fn report(root: &Path, times: &[Times], memory: &[Line], plan: &Plan) -> Result<()> {
    let mut rows = Vec::new();
    println!(
        "{:<40} {:<24} {:>8} {:>8} {:>8} {:>7}",
        "scenario", "side", "min", "median", "p90", "ratio"
    );
    for time in times {
        let peer = times
            .iter()
            .filter(|other| other.scenario == time.scenario && other.side.starts_with("dockerd"))
            .map(|other| other.at(0.5))
            .fold(f64::INFINITY, f64::min);
        let (min, median, p90) = (time.at(0.0), time.at(0.5), time.at(0.9));
        let ratio = peer / median;
        println!(
            "{:<40} {:<24} {min:>8.2} {median:>8.2} {p90:>8.2} {ratio:>6.1}x",
            time.scenario, time.side
        );
        rows.push(format!(
            r#"{{"scenario":"{}","side":"{}","min_ms":{min:.3},"median_ms":{median:.3},"p90_ms":{p90:.3},"ratio":{ratio:.2}}}"#,
            time.scenario, time.side
        ));
    }
    for line in memory {
        println!("{:<66} {:>8} kB", line.name, line.kilobytes);
        rows.push(format!(
            r#"{{"memory":"{}","kilobytes":{}}}"#,
            line.name, line.kilobytes
        ));
    }
    if !plan.only.is_empty() {
        return Ok(());
    }
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(root)
        .output()?;
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    let folder = root.join("bench/results");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{commit}.json"));
    let (rows, rounds, profile) = (rows.join(",\n"), plan.rounds, &plan.profile);
    let text = format!(
        "{{\"commit\":\"{commit}\",\"unix_time\":{seconds},\"rounds\":{rounds},\"profile\":\"{profile}\",\"rows\":[\n{rows}\n]}}\n"
    );
    fs::write(&file, text)?;
    println!("written to {}", file.display());
    Ok(())
}
