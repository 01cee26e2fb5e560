//! `stats`: what containers use, once or as it changes.
//!
//! Each turn asks for one sample of every container; the CPU time since the turn before is ours to
//! compute, so that nothing waits for a second sample per container.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use api::container::{ContainerInspect, ContainerSummary};
use api::stats::{CpuStats, Stats};
use types::units::{human_binary_size, human_size};

use crate::commands::container_path;
use crate::commands::ps::short_id;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row};
use crate::http::Query;
use crate::session::Session;

const HEADERS: &[(&str, &str)] = &[
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const COLUMNS: &[&str] = &[
    "ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs",
];
/// Between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// A container that is looked at.
struct Subject {
    /// As it was named.
    typed: String,
    id: String,
    name: String,
}

/// `stats`
pub(crate) fn stats(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let once = parsed.is_set("no-stream");
    let truncate = !parsed.is_set("no-trunc");
    let format = parsed.text("format").to_owned();
    let draws = !once && std::io::stdout().is_terminal();
    let mut before = HashMap::new();
    let mut turn = 0_u32;
    loop {
        let subjects = subjects(session, parsed)?;
        let samples: Vec<(Subject, Option<Stats>)> = subjects
            .into_iter()
            .map(|subject| {
                let sample = sample(session, &subject.id);
                (subject, sample)
            })
            .collect();
        turn = turn.saturating_add(1);
        // The first turn has nothing to compare with.
        if turn > 1 {
            let rows = samples
                .iter()
                .map(|(subject, sample)| context(subject, sample.as_ref(), &before, truncate))
                .collect();
            if draws {
                // From the top, over what stood there.
                session.print("\u{1b}[H\u{1b}[J")?;
            }
            listing(rows).show(session, &format)?;
            if once {
                return Ok(0);
            }
        } else if draws {
            session.print("\u{1b}[2J\u{1b}[H")?;
        }
        before = samples
            .into_iter()
            .filter_map(|(subject, sample)| Some((subject.id, sample?.cpu_stats)))
            .collect();
        std::thread::sleep(INTERVAL);
    }
}

fn listing(rows: Vec<Value>) -> Listing<'static> {
    Listing {
        headers: HEADERS,
        columns: COLUMNS,
        quiet: None,
        raw: "",
        kind: "*formatter.statsContext",
        complaint: "failed to execute template",
        rows,
    }
}

/// Those that were named, or all.
fn subjects(session: &mut Session, parsed: &Parsed) -> Result<Vec<Subject>> {
    if parsed.args.is_empty() {
        let query = Query::default().with_flag("all", parsed.is_set("all"));
        let path = format!("/containers/json{}", query.render());
        let all: Vec<ContainerSummary> = session.client.get_json(&path)?;
        let subject = |one: ContainerSummary| {
            let name = one.names.first().map(|name| name.trim_start_matches('/'));
            Subject {
                typed: short_id(&one.id).to_owned(),
                name: name.unwrap_or_default().to_owned(),
                id: one.id,
            }
        };
        return Ok(all.into_iter().map(subject).collect());
    }
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for typed in &parsed.args {
        let path = container_path(typed, "/json");
        match session.client.get_json::<ContainerInspect>(&path) {
            Ok(one) => found.push(Subject {
                typed: typed.clone(),
                name: one.name.trim_start_matches('/').to_owned(),
                id: one.id,
            }),
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(found)
    } else {
        Err(Error::text(errors.join("\n")))
    }
}

/// One sample; none of a container that goes this moment.
fn sample(session: &mut Session, id: &str) -> Option<Stats> {
    let path = container_path(id, "/stats?stream=false&one-shot=true");
    session.client.get_json(&path).ok()
}

fn context(
    subject: &Subject,
    sample: Option<&Stats>,
    before: &HashMap<String, CpuStats>,
    truncate: bool,
) -> Value {
    let id = if truncate {
        short_id(&subject.id)
    } else {
        &subject.id
    };
    let known = |text: String| Value::text(if sample.is_some() { &text } else { "--" });
    let stats = sample.cloned().unwrap_or_default();
    let cpu = cpu_percent(before.get(&subject.id), &stats.cpu_stats);
    let (used, limit) = (memory_used(&stats), stats.memory_stats.limit);
    let memory = if limit == 0 {
        0.0
    } else {
        float(used) / float(limit) * 100.0
    };
    let (received, sent) = stats.networks.values().fold((0, 0), |(rx, tx), one| {
        (rx + one.rx_bytes, tx + one.tx_bytes)
    });
    let (read, written) = block_bytes(&stats);
    let pair = |a: u64, b: u64| format!("{} / {}", human_size(int(a), 3), human_size(int(b), 3));
    let usage = format!(
        "{} / {}",
        human_binary_size(int(used)),
        human_binary_size(int(limit))
    );
    row(vec![
        ("Container", Value::text(&subject.typed)),
        ("ID", Value::text(id)),
        ("Name", Value::text(&subject.name)),
        ("CPUPerc", known(format!("{cpu:.2}%"))),
        (
            "MemUsage",
            Value::text(if sample.is_some() { &usage } else { "-- / --" }),
        ),
        ("MemPerc", known(format!("{memory:.2}%"))),
        ("NetIO", known(pair(received, sent))),
        ("BlockIO", known(pair(read, written))),
        ("PIDs", known(stats.pids_stats.current.to_string())),
    ])
}

/// What of one processor's time was used since the sample before; 100 is one processor whole.
fn cpu_percent(before: Option<&CpuStats>, now: &CpuStats) -> f64 {
    let Some(before) = before else { return 0.0 };
    let used = now
        .cpu_usage
        .total_usage
        .checked_sub(before.cpu_usage.total_usage);
    let all = now.system_cpu_usage.checked_sub(before.system_cpu_usage);
    match (used, all) {
        (Some(used), Some(all)) if all > 0 => {
            float(used) / float(all) * f64::from(now.online_cpus) * 100.0
        }
        _ => 0.0,
    }
}

/// Without the file cache that is not needed soon.
fn memory_used(stats: &Stats) -> u64 {
    let memory = &stats.memory_stats;
    let cache = memory
        .stats
        .get("total_inactive_file")
        .or_else(|| memory.stats.get("inactive_file"));
    let cache = cache.copied().unwrap_or(0);
    memory.usage.checked_sub(cache).unwrap_or(memory.usage)
}

fn block_bytes(stats: &Stats) -> (u64, u64) {
    let entries = stats
        .blkio_stats
        .io_service_bytes_recursive
        .iter()
        .flatten();
    entries.fold((0, 0), |(read, written), entry| {
        match entry.op.bytes().next() {
            Some(b'r' | b'R') => (read + entry.value, written),
            Some(b'w' | b'W') => (read, written + entry.value),
            _ => (read, written),
        }
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage of two digits needs no more"
)]
const fn float(number: u64) -> f64 {
    number as f64
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        let at = |total: u64, system: u64| {
            let mut stats = CpuStats {
                system_cpu_usage: system,
                online_cpus: 2,
                ..CpuStats::default()
            };
            stats.cpu_usage.total_usage = total;
            stats
        };
        for (before, now, percent) in [
            (Some(at(0, 0)), at(50, 200), 50.0),
            (Some(at(0, 0)), at(200, 200), 200.0),
            (Some(at(9, 0)), at(5, 200), 0.0),
            (Some(at(0, 0)), at(5, 0), 0.0),
            (None, at(5, 5), 0.0),
        ] {
            let found = cpu_percent(before.as_ref(), &now);
            assert!((found - percent).abs() < 0.001, "{found} {percent}");
        }
    }
}
