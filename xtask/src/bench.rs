//! How long a user waits, beside the reference engine, in one interleaved run.
//!
//! Each scenario is one command of the client's, timed from spawn to end. Rounds alternate between
//! the engines, so that both see the same machine. Results go to `bench/results` as JSON and to
//! stdout as a table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::peer::Peer;
use testkit::{BOX, Kind, Program, TempDir, box_tar, eventually};

use crate::oracles;
use crate::run::{run, step};

/// What a scenario runs, after the client's name and address.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "run --rm true, no network",
        &["run", "--rm", "--network", "none", BOX, "true"],
    ),
    ("exec true", &["exec", "bench-0", "true"]),
];
const SHIMS: usize = 20;

/// An engine with one client.
struct Side {
    name: &'static str,
    program: PathBuf,
    host: String,
}

/// Numbers of one scenario on one side, in milliseconds.
struct Times {
    scenario: &'static str,
    side: &'static str,
    sorted: Vec<f64>,
}

impl Times {
    /// Returns the value below which `share` of the runs lie.
    fn at(&self, share: f64) -> f64 {
        let last = self.sorted.len() - 1;
        let index = (0..=last).find(|index| to_f64(*index) >= share * to_f64(last));
        self.sorted[index.unwrap_or(last)]
    }
}

fn to_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// Runs every scenario `rounds` times on each side.
pub(crate) fn bench(root: &Path, words: &[String]) -> Result<()> {
    let mut rounds = 15;
    let mut profile = "dist".to_owned();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .with_context(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--profile" => profile.clone_from(value),
            _ => bail!("unknown flag: {word}"),
        }
    }
    ensure!(rounds > 0, "no rounds, no numbers");
    step("build what is measured");
    let wharf = build(root, &profile)?;
    let oracles = oracles::unpacked(root)?.context("the reference engine is not to be had here")?;
    let docker = oracles::client(Some(&oracles));
    let flags = ["-b", "none", "--iptables=false", "--ip6tables=false"];
    let peer = Peer::start(Kind::Dockerd28, Some(&oracles), &docker, &flags);
    let temp = TempDir::new("wharf-bench");
    let daemon = start(&wharf, &temp);
    let ours = format!("unix://{}", temp.at("s"));
    let sides = [
        Side {
            name: "wharf",
            program: wharf.clone(),
            host: ours.clone(),
        },
        Side {
            name: "wharf, docker's client",
            program: docker.clone(),
            host: ours,
        },
        Side {
            name: "dockerd28",
            program: docker.clone(),
            host: peer.host(),
        },
    ];
    let times = measure(&sides, rounds)?;
    let memory = memory(&sides, daemon.id(), &peer)?;
    report(root, &times, &memory, rounds, &profile)?;
    stop(&sides, daemon)
}

/// Starts our daemon with the image of the cases in it.
fn start(wharf: &Path, temp: &TempDir) -> Program {
    let mut command = Command::new(wharf);
    command
        .args([
            "daemon",
            "-H",
            &format!("unix://{}", temp.at("s")),
            "-b",
            "none",
        ])
        .args(["--data-root", &temp.at("d"), "--exec-root", &temp.at("x")])
        .args(["--pidfile", &temp.at("pid")]);
    let mut daemon = Program::start(&mut command);
    let socket = temp.path().join("s");
    eventually("the daemon answers", || {
        assert!(daemon.runs(), "the daemon ended: {}", daemon.stderr());
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    let archive = temp.path().join("box.tar");
    box_tar(temp.path(), &archive);
    let host = format!("unix://{}", temp.at("s"));
    let mut import = Command::new(wharf);
    import.args(["-H", &host, "import"]).arg(archive).arg(BOX);
    Program::start(&mut import).finish().exits(0);
    daemon
}

fn stop(sides: &[Side], daemon: Program) -> Result<()> {
    for side in [&sides[0], &sides[2]] {
        for number in 0..=SHIMS {
            once(side, &["rm", "-f", &format!("bench-{number}")])?;
        }
    }
    daemon.signal(rustix::process::Signal::TERM);
    daemon.finish().exits(0);
    Ok(())
}

/// Times every scenario, side after side, round after round.
fn measure(sides: &[Side], rounds: usize) -> Result<Vec<Times>> {
    for side in [&sides[0], &sides[2]] {
        background(side, 0)?;
    }
    let mut all = Vec::new();
    for (scenario, words) in SCENARIOS {
        step(scenario);
        let mut values = vec![Vec::new(); sides.len()];
        for round in 0..rounds + 2 {
            for (side, values) in sides.iter().zip(&mut values) {
                let time = once(side, words)?;
                // The first two rounds warm the caches of both engines.
                if round >= 2 {
                    values.push(time.as_secs_f64() * 1e3);
                }
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        for (side, mut sorted) in sides.iter().zip(values) {
            sorted.sort_by(f64::total_cmp);
            all.push(Times {
                scenario,
                side: side.name,
                sorted,
            });
        }
    }
    Ok(all)
}

fn background(side: &Side, number: usize) -> Result<()> {
    let name = format!("bench-{number}");
    once(
        side,
        &[
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &name,
            BOX,
            "sleep",
            "10000",
        ],
    )?;
    Ok(())
}

/// Runs one command of the client's to its end and returns how long that took.
fn once(side: &Side, words: &[&str]) -> Result<Duration> {
    let started = Instant::now();
    let status = Command::new(&side.program)
        .args(["-H", &side.host])
        .args(words)
        .env_remove("DOCKER_HOST")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let time = started.elapsed();
    ensure!(
        status.success(),
        "{}: {}: {status}",
        side.name,
        words.join(" ")
    );
    Ok(time)
}

/// Measures the daemons idle and our shims at work: lines of name and kilobytes.
fn memory(sides: &[Side], ours: u32, peer: &Peer) -> Result<Vec<(String, u64)>> {
    step("memory");
    for side in [&sides[0], &sides[2]] {
        for number in 1..SHIMS {
            background(side, number)?;
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let mut lines = vec![(
        "wharf: daemon, RSS".to_owned(),
        kilobytes(ours, "status", "VmRSS:")?,
    )];
    let mut shims = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.starts_with(b"wharf-shim") {
            shims.extend(kilobytes(id, "smaps_rollup", "Pss:"));
        }
    }
    shims.sort_unstable();
    let median = shims.get(shims.len() / 2).copied().unwrap_or_default();
    lines.push((
        format!("wharf: shim, PSS, median of {}", shims.len()),
        median,
    ));
    for id in peer.ids() {
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        if ["dockerd", "containerd"].contains(&name.trim()) {
            let size = kilobytes(id, "status", "VmRSS:")?;
            lines.push((format!("dockerd28: {}, RSS", name.trim()), size));
        }
    }
    Ok(lines)
}

fn kilobytes(id: u32, file: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/{file}"))?;
    let line = text
        .lines()
        .find(|line| line.starts_with(key))
        .context("no such line")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("no value")?
        .parse()?)
}

fn report(
    root: &Path,
    times: &[Times],
    memory: &[(String, u64)],
    rounds: usize,
    profile: &str,
) -> Result<()> {
    let mut rows = Vec::new();
    println!(
        "{:<28} {:<26} {:>8} {:>8} {:>8} {:>7}",
        "scenario", "side", "min", "median", "p90", "ratio"
    );
    for time in times {
        let peer = times.iter().rfind(|other| other.scenario == time.scenario);
        let ratio = peer.map_or(1.0, |peer| peer.at(0.5) / time.at(0.5));
        let (min, median, p90) = (time.at(0.0), time.at(0.5), time.at(0.9));
        println!(
            "{:<28} {:<26} {min:>8.2} {median:>8.2} {p90:>8.2} {ratio:>6.1}x",
            time.scenario, time.side
        );
        rows.push(format!(
            r#"{{"scenario":"{}","side":"{}","min_ms":{min:.3},"median_ms":{median:.3},"p90_ms":{p90:.3},"ratio":{ratio:.2}}}"#,
            time.scenario, time.side
        ));
    }
    for (name, size) in memory {
        println!("{name:<55} {size:>8} kB");
        rows.push(format!(r#"{{"memory":"{name}","kilobytes":{size}}}"#));
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
    let rows = rows.join(",\n");
    let text = format!(
        "{{\"commit\":\"{commit}\",\"unix_time\":{seconds},\"rounds\":{rounds},\"profile\":\"{profile}\",\"rows\":[\n{rows}\n]}}\n"
    );
    fs::write(&file, text)?;
    println!("written to {}", file.display());
    Ok(())
}

fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    run(Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "wharf",
            "--profile",
            profile,
        ])
        .current_dir(root))?;
    Ok(crate::e2e::program(root, profile))
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn percentiles() {
        let sorted = (1..=11).map(f64::from).collect();
        let times = Times {
            scenario: "s",
            side: "x",
            sorted,
        };
        let seen = [times.at(0.0), times.at(0.5), times.at(0.9), times.at(1.0)];
        assert_eq!(seen.map(|value| value.to_string()), ["1", "6", "10", "11"]);
    }
}
