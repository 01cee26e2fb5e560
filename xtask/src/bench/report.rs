//! A table for people and a file for the record.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::Plan;
use super::memory::Line;
use super::scenario::Times;
use crate::result;

/// Prints the numbers and writes `bench/results/bench.json`. A ratio is the faster reference
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
        let round = |value: f64| (value * 100.0).round() / 100.0;
        rows.push(json!({
            "scenario": time.scenario, "side": time.side, "ratio": round(ratio),
            "min_ms": round(min), "median_ms": round(median), "p90_ms": round(p90),
        }));
    }
    for line in memory {
        println!("{:<66} {:>8} kB", line.name, line.kilobytes);
        rows.push(json!({"memory": line.name, "kilobytes": line.kilobytes}));
    }
    if !plan.only.is_empty() {
        return Ok(());
    }
    let said = json!({"rounds": plan.rounds, "profile": plan.profile, "rows": rows});
    result::keep(root, "bench", said)
}
