//! The daemon is killed at random moments while clients create, start, exec, read logs, stop and
//! remove; what they were told is true afterwards, and what was cut off is whole or absent.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Dice, Plan, STOPPED, Stage, conclude};

/// How long the loops run at most before the blow, in milliseconds.
const LONGEST_MS: u64 = 400;
/// Loops beside each other.
const LOOPS: u64 = 2;

/// What a client knows of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Creating,
    Created,
    Starting,
    Running,
    Stopping,
    Stopped,
    Removing,
    Removed,
}

impl Known {
    /// Tells whether this is how a container of which that is known may be.
    fn allows(self, status: Option<&str>) -> bool {
        match self {
            Known::Creating => matches!(status, None | Some("created")),
            Known::Created => status == Some("created"),
            Known::Starting => status.is_some(),
            Known::Running => status == Some("running"),
            Known::Stopping => matches!(status, Some("running" | "exited")),
            Known::Stopped => status == Some("exited"),
            Known::Removing => matches!(status, None | Some("exited")),
            Known::Removed => status.is_none(),
        }
    }
}

/// Works until the engine dies; returns what it knows of each container.
fn work(stage: &Stage, which: u64, mut dice: Dice) -> Vec<(String, Known)> {
    let mut all = Vec::new();
    for round in 0.. {
        let name = format!("loop-{which}-{round}");
        let (known, died) = live(stage, &name, &mut dice);
        all.push((name, known));
        if died {
            break;
        }
    }
    all
}

/// One container's life; tells also whether the engine died before its end.
fn live(stage: &Stage, name: &str, dice: &mut Dice) -> (Known, bool) {
    let answered = |reply: Option<testkit::http::Reply>, status: u16| {
        reply.map(|reply| reply.is(status).clone()).is_some()
    };
    if !answered(stage.create(name), 201) {
        return (Known::Creating, true);
    }
    if dice.below(8) == 0 {
        return (Known::Created, false);
    }
    if !answered(stage.post(&format!("/containers/{name}/start")), 204) {
        return (Known::Starting, true);
    }
    for _ in 0..dice.below(3) {
        if !answered(stage.exec(name, &["true"]), 200) {
            return (Known::Running, true);
        }
    }
    let logs = format!("/containers/{name}/logs?stdout=1");
    if !answered(stage.engine.attempt("GET", &logs, &Value::Null), 200) {
        return (Known::Running, true);
    }
    if dice.below(4) == 0 {
        return (Known::Running, false);
    }
    if !answered(stage.post(&format!("/containers/{name}/stop")), 204) {
        return (Known::Stopping, true);
    }
    if dice.below(4) == 0 {
        return (Known::Stopped, false);
    }
    if !answered(stage.remove(name, false), 204) {
        return (Known::Removing, true);
    }
    (Known::Removed, false)
}

/// Compares what the next engine says with what clients know.
fn check(stage: &Stage, known: &[(String, Known)]) {
    for (name, known) in known {
        let status = stage.status(name);
        assert!(
            known.allows(status.as_deref()),
            "{name}: {known:?}, and now {status:?}"
        );
        let Some(status) = status else { continue };
        if status == "created" {
            stage
                .post(&format!("/containers/{name}/start"))
                .expect("an answer")
                .is(204);
        }
        if status != "exited" {
            stage.counts(name);
            stage.exec(name, &["true"]).expect("an answer").is(200);
            stage
                .post(&format!("/containers/{name}/stop"))
                .expect("an answer")
                .is(204);
            let found = stage.inspect(name).expect("it is there");
            assert_eq!(
                found["State"]["ExitCode"], STOPPED,
                "{name}: {}",
                found["State"]
            );
        }
        if *known == Known::Stopped {
            let found = stage.inspect(name).expect("it is there");
            assert_eq!(
                found["State"]["ExitCode"], STOPPED,
                "{name}: {}",
                found["State"]
            );
        }
        stage.check_log(name);
        stage.remove(name, false).expect("an answer").is(204);
    }
    let rest = stage
        .engine
        .get_path("/containers/json?all=1")
        .is(200)
        .json();
    assert_eq!(rest, json!([]), "nobody knows these");
}

#[test]
fn campaign_moments() {
    let plan = Plan::read();
    let mut dice = plan.dice("random moments");
    let mut stage = Stage::new("campaign", 1);
    let mut faults = Vec::new();
    let rounds = if plan.rounds == 0 {
        100
    } else {
        plan.rounds / 4
    };
    let mut containers = 0;
    for round in 0..rounds {
        let wait = Duration::from_millis(dice.below(LONGEST_MS));
        let seeds: Vec<Dice> = (0..LOOPS).map(|_| dice.fork()).collect();
        let title = format!("round {round}, killed after {wait:?}");
        stage = stage.round(&mut faults, &title, |stage| {
            let known = std::thread::scope(|scope| {
                let loops: Vec<_> = (0..LOOPS)
                    .zip(seeds)
                    .map(|(which, dice)| scope.spawn(move || work(stage, which, dice)))
                    .collect();
                std::thread::sleep(wait);
                stage.engine.kill_daemon();
                loops
                    .into_iter()
                    .flat_map(|one| one.join().expect("a loop is answered well or not at all"))
                    .collect::<Vec<_>>()
            });
            containers += known.len();
            stage.engine.start_daemon(&[]);
            check(stage, &known);
            stage.recheck_ground();
        });
    }
    stage.end(&mut faults);
    let counts = json!({"seed": plan.seed, "rounds": rounds, "containers": containers});
    conclude("kill the daemon at random moments", &counts, &faults);
}
