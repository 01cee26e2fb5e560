//! The proof that the cases bite: a row that does nothing must fail a case.
//!
//! For each row our program is told to forget the flag, or to answer the route without doing
//! anything, and the case that is said to prove the row is run. It must fail, must have touched the
//! row while it failed, and must pass when nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use testkit::{Client, Kind};

use crate::e2e::{self, Choice, Counts};
use crate::oracles;
use crate::result;
use crate::rows::{self, Row};
use crate::run::step;

pub(crate) const RESULT: &str = "noop";
/// How many cases run at once: they mostly wait.
const WORKERS: usize = 4;
/// How long a case waits for what does not come, in seconds.
const PATIENCE: &str = "6";
/// Words in the names of cases that are about what is refused: such a case proves that a row is
/// asked, not what it does, so it comes last.
const REFUSALS: &[&str] = &[
    "absent",
    "bad",
    "broken",
    "nothing",
    "none",
    "not_running",
    "stopped",
    "taken",
    "unknown",
    "without",
];
/// How many cases are tried to find one that proves a row.
const TRIES: usize = 40;

/// What is to be walked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walk {
    /// Only these; all when it is empty.
    rows: Vec<String>,
    /// Look for a case for each row that has none, and write it down.
    search: bool,
    /// Only the tenth of the rows whose hash has this last digit.
    tenth: Option<u64>,
}

/// What was found for one row.
#[derive(Debug)]
enum Found {
    /// This case fails without the row.
    Proven(String),
    /// No case does; why, for each that was tried.
    Alive(Vec<String>),
}

impl Walk {
    /// Reads `[--search] [--tenth N] [ROW…]`.
    pub(crate) fn parse(words: &[String]) -> Result<Walk> {
        let mut walk = Walk::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--search" => walk.search = true,
                "--tenth" => {
                    walk.tenth = Some(words.next().context("--tenth needs a digit")?.parse()?);
                }
                _ => walk.rows.push(word.clone()),
            }
        }
        Ok(walk)
    }

    /// Returns the walk of the rows whose turn it is: a tenth of them.
    pub(crate) fn of_tenth(digit: u64) -> Walk {
        Walk {
            tenth: Some(digit % 10),
            ..Walk::default()
        }
    }

    fn wants(&self, row: &Row) -> bool {
        row.is_there()
            && (self.rows.is_empty() || self.rows.contains(&row.name))
            && self
                .tenth
                .is_none_or(|digit| e2e::hash(&row.name) % 10 == digit)
    }

    fn is_whole(&self) -> bool {
        self.rows.is_empty() && self.tenth.is_none()
    }
}

/// Walks, prints what was found and fails when a row is alive that should not be.
pub(crate) fn main(root: &Path, walk: &Walk) -> Result<()> {
    let counts = run(root, walk)?;
    println!("{} rows proven, {} not", counts.passed, counts.failed);
    if counts.failed > 0 {
        bail!(
            "rows that may do nothing without a case that fails: {}",
            counts.failed
        );
    }
    Ok(())
}

/// Walks and counts: a row that is proven has passed.
pub(crate) fn run(root: &Path, walk: &Walk) -> Result<Counts> {
    step("rows that do nothing must fail a case");
    let stage = Stage::set(root)?;
    let known = rows::of_program(&stage.wharf)?;
    let mut pairs = rows::pairs(root)?;
    for name in &walk.rows {
        if !known.iter().any(|row| row.name == *name && row.is_there()) {
            bail!("no such row, or it is not there: {name}");
        }
    }
    let mut jobs = Vec::new();
    for row in known.iter().filter(|row| walk.wants(row)) {
        let mut cases: Vec<String> = pairs.get(&row.name).cloned().into_iter().collect();
        if walk.search && cases.is_empty() {
            cases = stage.candidates(row)?;
        }
        if !cases.is_empty() {
            jobs.push((row.clone(), cases));
        }
    }
    if let Some(digit) = walk.tenth {
        let names: Vec<&str> = jobs.iter().map(|(row, _)| row.name.as_str()).collect();
        println!("   the tenth {digit}: {}", names.join(", "));
    }
    let found = stage.walk(jobs)?;
    let mut counts = Counts::default();
    let mut alive = Vec::new();
    for (row, found) in found {
        match found {
            Found::Proven(case) => {
                counts.passed += 1;
                pairs.insert(row, case);
            }
            Found::Alive(why) => {
                println!(
                    "   {row}: no case fails without it\n      {}",
                    why.join("\n      ")
                );
                if pairs.contains_key(&row) || !walk.search {
                    counts.failed += 1;
                }
                alive.push(row);
            }
        }
    }
    if walk.search {
        rows::write_pairs(root, &pairs)?;
    }
    if walk.is_whole() {
        let said = json!({"proven": counts.passed, "alive": alive});
        result::keep(root, RESULT, said)?;
    }
    Ok(counts)
}

/// What cases run with.
struct Stage {
    root: PathBuf,
    wharf: PathBuf,
    docker: PathBuf,
    /// The program that holds the cases.
    cases: PathBuf,
    /// Where a case says what it touched, while a row does nothing.
    scratch: PathBuf,
    /// How a case ends when nothing is forgotten, as far as it was asked.
    sound: Mutex<BTreeMap<(String, &'static str, bool), bool>>,
}

impl Stage {
    fn set(root: &Path) -> Result<Stage> {
        let wharf = e2e::build(root)?;
        let oracles = oracles::unpacked(root)?;
        let scratch = root.join("target/e2e-rows/noop");
        fs::create_dir_all(&scratch)?;
        Ok(Stage {
            root: root.to_owned(),
            wharf,
            docker: oracles::client(oracles.as_deref()),
            cases: e2e::binary(root)?,
            scratch,
            sound: Mutex::default(),
        })
    }

    /// Returns the cases that touch a row, those that are likely about it first.
    fn candidates(&self, row: &Row) -> Result<Vec<String>> {
        let client = row.client();
        let folder = rows::recordings(&self.root, Kind::Wharf.name(), client);
        if !folder.exists() {
            let choice = Choice {
                kind: Kind::Wharf,
                client,
                filter: Vec::new(),
                tenth: None,
            };
            e2e::cases(&self.root, &choice)?;
        }
        let touched = rows::touched(&folder)?;
        let mut weights: BTreeMap<&String, usize> = BTreeMap::new();
        for case in touched.values().flatten() {
            *weights.entry(case).or_default() += 1;
        }
        let words: BTreeSet<&str> = row
            .name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| word.len() > 2)
            .collect();
        let mut cases = touched.get(&row.name).cloned().unwrap_or_default();
        cases.sort_by_key(|case| {
            let named = words.iter().filter(|word| case.contains(**word)).count();
            let refusal = REFUSALS.iter().any(|word| case.contains(word));
            (
                refusal,
                usize::MAX - named,
                weights.get(case).copied(),
                case.clone(),
            )
        });
        cases.truncate(TRIES);
        Ok(cases)
    }

    fn walk(&self, jobs: Vec<(Row, Vec<String>)>) -> Result<BTreeMap<String, Found>> {
        let jobs = Mutex::new(jobs);
        let found = Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|_| {
                    scope.spawn(|| -> Result<()> {
                        loop {
                            let job = jobs.lock().expect("no worker panics").pop();
                            let Some((row, cases)) = job else {
                                return Ok(());
                            };
                            let one = self.prove(&row, cases)?;
                            let mut found = found.lock().expect("no worker panics");
                            found.insert(row.name, one);
                        }
                    })
                })
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("no worker panics"))
        })?;
        Ok(found.into_inner().expect("no worker panics"))
    }

    /// Tries cases until one fails without the row.
    fn prove(&self, row: &Row, cases: Vec<String>) -> Result<Found> {
        let mut why = Vec::new();
        for case in cases {
            let started = Instant::now();
            match self.bites(row, &case)? {
                Ok(()) => {
                    let seconds = started.elapsed().as_secs_f64();
                    println!("   {}: {case} ({seconds:.1} s)", row.name);
                    return Ok(Found::Proven(case));
                }
                Err(reason) => why.push(format!("{case}: {reason}")),
            }
        }
        Ok(Found::Alive(why))
    }

    /// Runs one case without the row; says why it proves nothing. A case that is too slow for the
    /// short patience, on a busy machine say, gets its own.
    fn bites(&self, row: &Row, case: &str) -> Result<Result<(), &'static str>> {
        match self.fails_without(row, case, Some(PATIENCE))? {
            Ok(()) if self.is_sound(row, case, Some(PATIENCE))? => Ok(Ok(())),
            Ok(()) if self.is_sound(row, case, None)? => self.fails_without(row, case, None),
            Ok(()) => Ok(Err("fails anyway")),
            why => Ok(why),
        }
    }

    fn fails_without(
        &self,
        row: &Row,
        case: &str,
        patience: Option<&str>,
    ) -> Result<Result<(), &'static str>> {
        let folder = self.scratch.join(e2e::hash(&row.name).to_string());
        fs::create_dir_all(&folder)?;
        let mut command = self.command(case, row.client(), &folder);
        command.env("WHARF_NOOP", &row.name);
        let passed = passes(&mut command, patience)?;
        let touched = fs::read_to_string(folder.join(case)).unwrap_or_default();
        fs::remove_dir_all(&folder)?;
        if !touched.lines().any(|line| line == row.name) {
            return Ok(Err("does not touch it"));
        }
        Ok(if passed { Err("passes") } else { Ok(()) })
    }

    /// Returns whether a case passes when nothing is forgotten; asked once.
    fn is_sound(&self, row: &Row, case: &str, patience: Option<&str>) -> Result<bool> {
        let client = row.client();
        let key = (case.to_owned(), client.name(), patience.is_some());
        if let Some(known) = self.sound.lock().expect("no worker panics").get(&key) {
            return Ok(*known);
        }
        let folder = self.scratch.join("sound");
        fs::create_dir_all(&folder)?;
        let sound = passes(&mut self.command(case, client, &folder), patience)?;
        let mut asked = self.sound.lock().expect("no worker panics");
        asked.insert(key, sound);
        Ok(sound)
    }

    fn command(&self, case: &str, client: Client, rows: &Path) -> Command {
        let mut command = Command::new(&self.cases);
        command
            .args([case, "--exact", "--test-threads", "1"])
            .current_dir(self.root.join("tests/e2e"))
            .env("ENGINE", Kind::Wharf.name())
            .env("CLIENT", client.name())
            .env("WHARF_BIN", &self.wharf)
            .env("WHARF_E2E_DOCKER", &self.docker)
            .env("WHARF_E2E_ROWS", rows)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// Runs a case; one that takes for ever has failed. What a failed case leaves is removed, for here
/// failing is what is asked of it.
fn passes(command: &mut Command, patience: Option<&str>) -> Result<bool> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Short, for sockets lie below it.
    let place = std::env::temp_dir().join(format!("noop-{}-{number}", std::process::id()));
    fs::create_dir(&place)?;
    command.env("TMPDIR", &place);
    let passed = ends_well(command, patience);
    if let Err(error) = fs::remove_dir_all(&place) {
        println!("   left behind: {}: {error}", place.display());
    }
    passed
}

fn ends_well(command: &mut Command, patience: Option<&str>) -> Result<bool> {
    if let Some(patience) = patience {
        command.env("WHARF_E2E_PATIENCE", patience);
    }
    let mut child = command.spawn()?;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
