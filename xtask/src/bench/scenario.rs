//! What is timed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use testkit::BOX;

use super::Plan;
use super::side::Side;
use crate::run::step;

/// One command of the client's, again and again.
const SINGLE: &[(&str, &[&str])] = &[
    (
        "run --rm true, no network",
        &["run", "--rm", "--network", "none", BOX, "true"],
    ),
    ("run --rm true, bridge", &["run", "--rm", BOX, "true"]),
    ("exec true", &["exec", KEPT, "true"]),
];
/// The container that `exec` goes into.
const KEPT: &str = "bench-kept";
/// Between two commands; without it the pools of an engine run empty.
const PAUSE: Duration = Duration::from_millis(30);
/// Containers that are started together, and how many of them at a time.
const CROWD: usize = 20;
const AT_A_TIME: usize = 8;
/// Rounds that warm the caches of everybody and do not count.
const WARM: usize = 2;

/// Numbers of one scenario on one side, in milliseconds.
pub(super) struct Times {
    pub(super) scenario: String,
    pub(super) side: &'static str,
    sorted: Vec<f64>,
}

impl Times {
    fn new(scenario: &str, side: &'static str, mut values: Vec<f64>) -> Times {
        values.sort_by(f64::total_cmp);
        Times {
            scenario: scenario.to_owned(),
            side,
            sorted: values,
        }
    }

    /// Returns the value below which `share` of the runs lie.
    pub(super) fn at(&self, share: f64) -> f64 {
        let last = self.sorted.len() - 1;
        let index = (0..=last).find(|index| to_f64(*index) >= share * to_f64(last));
        self.sorted[index.unwrap_or(last)]
    }
}

fn to_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// Times every scenario, side after side, round after round.
pub(super) fn measure(sides: &[Side], plan: &Plan) -> Result<Vec<Times>> {
    let mains: Vec<_> = sides.iter().filter(|side| side.is_main).collect();
    for side in &mains {
        background(side, KEPT)?;
    }
    let mut all = Vec::new();
    for (name, words) in SINGLE {
        for (kind, pause) in [("", PAUSE), (", back to back", Duration::ZERO)] {
            let title = format!("{name}{kind}");
            if title.contains(&plan.only) {
                step(&title);
                all.extend(single(&title, words, pause, sides, plan.rounds)?);
            }
        }
    }
    if "crowd".contains(&plan.only) {
        all.extend(crowd(&mains, plan.rounds.min(5))?);
    }
    for side in &mains {
        side.once(&["rm", "-f", KEPT])?;
    }
    Ok(all)
}

/// With a pause the sides alternate command by command; back to back each does three in a row.
fn single(
    title: &str,
    words: &[&str],
    pause: Duration,
    sides: &[Side],
    rounds: usize,
) -> Result<Vec<Times>> {
    let mut values = vec![Vec::new(); sides.len()];
    for round in 0..rounds + WARM {
        for (side, values) in sides.iter().zip(&mut values) {
            let in_a_row = if pause.is_zero() { 3 } else { 1 };
            for _ in 0..in_a_row {
                let time = side.once(words)?;
                if round >= WARM {
                    values.push(time.as_secs_f64() * 1e3);
                }
            }
            std::thread::sleep(pause);
        }
    }
    Ok(sides
        .iter()
        .zip(values)
        .map(|(side, values)| Times::new(title, side.name, values))
        .collect())
}

/// Starts containers together, then removes them with one command.
fn crowd(sides: &[&Side], rounds: usize) -> Result<Vec<Times>> {
    let titles = [
        format!("{CROWD} x run -d, {AT_A_TIME} at a time"),
        format!("rm -f of {CROWD}"),
    ];
    step(&titles.join(", "));
    let names: Vec<_> = (0..CROWD).map(|number| format!("bench-{number}")).collect();
    let mut values = vec![[Vec::new(), Vec::new()]; sides.len()];
    for round in 0..=rounds {
        for (side, values) in sides.iter().zip(&mut values) {
            let started = Instant::now();
            together(side, &names)?;
            let start = started.elapsed();
            let mut words = vec!["rm", "-f"];
            words.extend(names.iter().map(String::as_str));
            let removal = side.once(&words)?;
            if round > 0 {
                values[0].push(start.as_secs_f64() * 1e3);
                values[1].push(removal.as_secs_f64() * 1e3);
            }
            std::thread::sleep(PAUSE);
        }
    }
    let mut all = Vec::new();
    for (index, title) in titles.iter().enumerate() {
        for (side, values) in sides.iter().zip(&values) {
            all.push(Times::new(title, side.name, values[index].clone()));
        }
    }
    Ok(all)
}

/// Starts a container per name, some at a time.
pub(super) fn together(side: &Side, names: &[String]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            background(side, name)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no panic in a thread"))
    })
}

fn background(side: &Side, name: &str) -> Result<()> {
    side.once(&["run", "-d", "--name", name, BOX, "sleep", "10000"])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn percentiles() {
        let times = Times::new("s", "x", (1..=11).map(f64::from).collect());
        let seen = [times.at(0.0), times.at(0.5), times.at(0.9), times.at(1.0)];
        assert_eq!(seen.map(|value| value.to_string()), ["1", "6", "10", "11"]);
    }
}
