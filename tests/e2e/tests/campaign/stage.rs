//! One engine with a bridge, a board of faults, and what the ground was before it came.

use std::fs::OpenOptions;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::http::Reply;
use testkit::{BOX, Board, Engine, Ground, Manner, Setting, Side, eventually};

/// How long nothing may be passed for the work behind a verb to be taken for done.
const QUIET: Duration = Duration::from_millis(40);
/// How long that work may take at most.
const QUIET_WITHIN: Duration = Duration::from_secs(10);
/// Counts on its stdout, and notes in a file what it has said; SIGTERM ends it with 9.
const COUNTER: &str = "trap 'exit 9' TERM; rm -f /out/last; i=0; while :; do echo $i; echo $i > /out/last; \
                       i=$((i+1)); sleep 0.01; done";
/// The exit code of a counter that was stopped.
pub(crate) const STOPPED: i64 = 9;

/// What the campaign's caller has chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Rounds of what is random; 0 asks for everything.
    pub(crate) rounds: u64,
}

impl Plan {
    /// Reads `WHARF_CHAOS_SEED` and `WHARF_CHAOS_ROUNDS`.
    pub(crate) fn read() -> Plan {
        let number = |name: &str| -> u64 {
            let text = std::env::var(name).expect("campaigns are run by `cargo xtask chaos`");
            text.parse().expect("a number")
        };
        Plan {
            seed: number("WHARF_CHAOS_SEED"),
            rounds: number("WHARF_CHAOS_ROUNDS"),
        }
    }

    pub(crate) fn dice(self, of: &str) -> Dice {
        let of = of.bytes().fold(0, |sum: u64, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        Dice(self.seed ^ of)
    }
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns dice for somebody who throws at the same time.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Returns `count` of the numbers from 1 to `end` in order, or all of them.
    pub(crate) fn some_of(&mut self, end: u64, count: u64) -> Vec<u64> {
        let mut all: Vec<u64> = (1..=end).collect();
        while count > 0 && all.len() as u64 > count {
            let index = usize::try_from(self.below(all.len() as u64)).expect("small");
            all.remove(index);
        }
        all
    }
}

/// Prints the line that the campaign's caller keeps, and fails when something was found.
pub(crate) fn conclude(campaign: &str, counts: &Value, faults: &[String]) {
    let line = json!({"campaign": campaign, "counts": counts, "faults": faults.len()}).to_string();
    println!("{line}");
    let kept = std::env::var("WHARF_CHAOS_KEPT").expect("campaigns are run by `cargo xtask chaos`");
    let mut kept = OpenOptions::new()
        .append(true)
        .open(kept)
        .expect("a place for the counts");
    writeln!(kept, "{line}").expect("the counts are kept");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Returns the words of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default()
}

/// An engine to be broken.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) board: Board,
    ground: Ground,
}

impl Stage {
    /// Starts an engine with a bridge of its own; `number` tells it from its neighbours.
    pub(crate) fn new(name: &str, number: u8) -> Stage {
        let ground = Ground::now();
        let board = Board::new();
        let flags = [
            "-b",
            &format!("chaos{number}"),
            "--bip",
            &format!("10.213.{number}.1/24"),
        ];
        let manner = Manner {
            flags: flags.map(str::to_owned).to_vec(),
            environment: vec![("WHARF_FAILPOINTS".to_owned(), board.order())],
            before: Vec::new(),
        };
        let engine = Engine::started(&Setting::from_environment(), name, manner);
        Stage {
            engine,
            board,
            ground,
        }
    }

    /// Runs one round; what fails in it is a fault, and the engine is made anew.
    pub(crate) fn round(
        self,
        faults: &mut Vec<String>,
        title: &str,
        body: impl FnOnce(&Stage),
    ) -> Stage {
        let name = "campaign";
        let outcome = catch_unwind(AssertUnwindSafe(|| body(&self)));
        let Err(panic) = outcome else { return self };
        let fault = format!("{title}: {}", said(panic.as_ref()));
        println!("FAULT {fault}");
        faults.push(fault);
        let ground = self.ground.clone();
        drop(self);
        let mut stage = Stage::new(name, 1);
        // What a fault has left is told once.
        if Ground::now() == ground {
            stage.ground = ground;
        }
        stage
    }

    /// Ends the campaign: what the engine has left is the last fault.
    pub(crate) fn end(self, faults: &mut Vec<String>) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.check_ground())) {
            faults.push(format!("at the end: {}", said(panic.as_ref())));
        }
    }

    /// Creates the counter `name`.
    pub(crate) fn create(&self, name: &str) -> Option<Reply> {
        let place = self.engine.temp().at(&format!("out-{name}"));
        std::fs::create_dir_all(&place).expect("a directory for what it says");
        drop(std::fs::remove_file(format!("{place}/last")));
        let out = format!("{place}:/out");
        let body = json!({
            "Image": BOX,
            "Cmd": ["sh", "-c", COUNTER],
            "HostConfig": {"NetworkMode": "bridge", "Binds": [out]},
        });
        let path = format!("/containers/create?name={name}");
        self.engine.attempt("POST", &path, &body)
    }

    /// Sends a request without a body.
    pub(crate) fn post(&self, path: &str) -> Option<Reply> {
        self.engine.attempt("POST", path, &Value::Null)
    }

    /// Removes the container `name`, by force if asked to.
    pub(crate) fn remove(&self, name: &str, force: bool) -> Option<Reply> {
        let path = format!("/containers/{name}?force={force}&v=1");
        self.engine.attempt("DELETE", &path, &Value::Null)
    }

    /// Runs `words` in the container and returns the last answer: 200 with the exit code as its
    /// body and the output checked, or the refusal.
    pub(crate) fn exec(&self, name: &str, words: &[&str]) -> Option<Reply> {
        let body = json!({"Cmd": words, "AttachStdout": true, "AttachStderr": true});
        let made = self
            .engine
            .attempt("POST", &format!("/containers/{name}/exec"), &body)?;
        if made.status != 201 {
            return Some(made);
        }
        let id = made.json()["Id"].as_str().expect("an id").to_owned();
        let started = self
            .engine
            .attempt("POST", &format!("/exec/{id}/start"), &json!({}))?;
        if started.status != 200 {
            return Some(started);
        }
        let mut end = self
            .engine
            .attempt("GET", &format!("/exec/{id}/json"), &Value::Null)?;
        let code = end.json()["ExitCode"].as_i64();
        end.body = started.body;
        if code != Some(0) {
            end.status = 500;
            let text = format!("exit {code:?}: {}", end.text());
            end.body = json!({"message": text}).to_string().into_bytes();
        }
        Some(end)
    }

    /// Returns what inspect says; none when there is no such container.
    pub(crate) fn inspect(&self, name: &str) -> Option<Value> {
        let reply = self.engine.get_path(&format!("/containers/{name}/json"));
        match reply.status {
            404 => None,
            _ => Some(reply.is(200).json()),
        }
    }

    pub(crate) fn status(&self, name: &str) -> Option<String> {
        self.inspect(name).map(|found| {
            found["State"]["Status"]
                .as_str()
                .expect("a status")
                .to_owned()
        })
    }

    /// Waits until nobody passes a call on `side`; returns how many were passed.
    pub(crate) fn quiet(&self, side: Side) -> u64 {
        let deadline = Instant::now() + QUIET_WITHIN;
        let mut last = (self.board.seen(side), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let seen = self.board.seen(side);
            if seen != last.0 {
                last = (seen, Instant::now());
            }
            if last.1.elapsed() > QUIET || Instant::now() > deadline || self.board.fired(side) {
                return seen;
            }
        }
    }

    /// Checks the log of a counter that has ended: no line is missing, in no run of it.
    pub(crate) fn check_log(&self, name: &str) {
        let (next, noted) = self.read_log(name);
        assert!(
            noted.is_none_or(|noted| noted < next),
            "line {noted:?} was said and is not in the log, which ends before {next}"
        );
    }

    /// Checks that no line is missing before the last; returns what comes after it, and what the
    /// counter has noted.
    pub(crate) fn read_log(&self, name: &str) -> (u64, Option<u64>) {
        let path = format!("/containers/{name}/logs?stdout=1&stderr=1");
        let noted = self.engine.temp().at(&format!("out-{name}/last"));
        let noted = std::fs::read_to_string(noted).unwrap_or_default();
        let body = self.engine.get_path(&path).is(200).body.clone();
        let mut next = 0;
        for frame in testkit::http::frames(&body) {
            let number: u64 = frame
                .text
                .trim()
                .parse()
                .expect("a counter's line is a number");
            assert!(
                number == next || number == 0,
                "a line is lost or doubled: {number} after {next} was expected"
            );
            next = number + 1;
        }
        (next, noted.trim().parse().ok())
    }

    /// Waits until a running counter counts.
    pub(crate) fn counts(&self, name: &str) {
        let path = format!("/containers/{name}/logs?stdout=1&tail=1");
        eventually("the counter counts", || {
            (!self.engine.get_path(&path).body.is_empty()).then_some(())
        });
    }

    /// Removes everything, stops the engine and checks that nothing is left.
    pub(crate) fn check_ground(&self) {
        Stage::check_ground_of(&[self]);
    }

    /// The same for engines beside each other; the first was there first.
    pub(crate) fn check_ground_of(all: &[&Stage]) {
        let ids: Vec<String> = all.iter().map(|stage| stage.engine.id()).collect();
        for stage in all {
            stage.engine.clear();
            stage.engine.stop_daemon();
        }
        for (stage, id) in all.iter().zip(ids) {
            stage.engine.check_left(&id);
        }
        let (before, now) = (&all[0].ground, Ground::now());
        assert!(now == *before, "left: {now:#?}\nbefore: {before:#?}");
    }

    /// Removes everything, and in one of four rounds checks the ground: that takes longest.
    pub(crate) fn recheck_sometimes(&self, round: u64) {
        if round.is_multiple_of(4) {
            self.recheck_ground();
        } else {
            self.engine.clear();
        }
    }

    /// Removes everything, stops the engine, checks the ground, and the engine runs again.
    pub(crate) fn recheck_ground(&self) {
        self.check_ground();
        self.engine.start_daemon(&[]);
    }
}
