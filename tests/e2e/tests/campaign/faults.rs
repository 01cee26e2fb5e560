//! Calls that fail once, and shims that die: the client is told, nothing leaks, the engine goes on.

use serde_json::{Value, json};
use testkit::http::Reply;
use testkit::{Fault, Side, eventually};

use crate::stage::{Plan, Stage, conclude};
use crate::walk::{NAME, Verb, count};

/// Numbers and what users read of them.
const ERRNOS: [(i32, &str); 2] = [(5, "input/output error"), (12, "cannot allocate memory")];
/// The exit code of what SIGKILL ended.
const KILLED: i64 = 137;

/// Checks that a refusal tells what failed and why.
fn check_message(reply: &Reply, call: &str, why: &str) {
    assert!(reply.status < 600, "{}", reply.head);
    let message = reply.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    assert!(
        message.contains(why) && message.len() > why.len() + 12,
        "{call} failed with {why:?}, and the client read {message:?}"
    );
}

/// Lets calls of `verb` on `side` fail, each once.
fn fail_everywhere(verb: Verb, side: Side) {
    let plan = Plan::read();
    let campaign = format!("fail each call of {} once, {side:?}", verb.word());
    let mut stage = Stage::new("campaign", 1);
    let mut faults = Vec::new();
    let (daemon, shim) = count(&stage, verb);
    let calls = if side == Side::Daemon { daemon } else { shim };
    let (mut failed, mut borne, mut unreached) = (0, 0, 0);
    for nth in plan.dice(&campaign).some_of(calls, plan.rounds / 8) {
        let (errno, why) = ERRNOS[usize::try_from(nth % 2).expect("small")];
        let title = format!("{} with errno {errno} at call {nth}", verb.word());
        stage = stage.round(&mut faults, &title, |stage| {
            verb.prepare(stage);
            stage.board.arm(side, nth, Fault::Errno(errno));
            let reply = verb.perform(stage);
            stage.quiet(Side::Daemon);
            let fired = stage.board.fired(side);
            let call = stage.board.name(side, nth);
            stage.board.disarm(side);
            if !fired {
                unreached += 1;
                return stage.engine.clear();
            }
            println!("   failed at {nth}, {call}");
            let reply = reply.unwrap_or_else(|| panic!("{call}: the daemon went away"));
            let done = Verb::succeeded(Some(&reply));
            if done {
                borne += 1;
            } else {
                failed += 1;
                check_message(&reply, &call, why);
            }
            if call.starts_with("meta_") {
                // A disk that fails makes the records read-only, and that is told until a restart.
                stage.engine.get_path("/containers/json?all=1").is(200);
                stage.engine.kill_daemon();
                stage.engine.start_daemon(&[]);
            }
            if call == "execve" && verb == Verb::Start && done {
                // Too late for the answer: as under Docker, the container's own stderr has the reason.
                eventually("it has ended", || {
                    let state = stage.inspect(NAME).expect("it is there")["State"].clone();
                    (state["ExitCode"] == 255).then_some(())
                });
                return stage.engine.clear();
            }
            let done = done || (verb == Verb::Rm && stage.status(NAME).is_none());
            verb.check(stage, done);
            stage.recheck_sometimes(nth);
        });
    }
    stage.end(&mut faults);
    let counts = json!({
        "seed": plan.seed, "calls": calls, "refused": failed, "borne": borne, "unreached": unreached,
    });
    conclude(&campaign, &counts, &faults);
}

/// Kills shims at calls of `verb`.
fn kill_shim_everywhere(verb: Verb) {
    let plan = Plan::read();
    let campaign = format!("kill the shim at each call of {}", verb.word());
    let mut stage = Stage::new("campaign", 1);
    let mut faults = Vec::new();
    let (_, calls) = count(&stage, verb);
    let (mut killed, mut unreached) = (0, 0);
    for nth in plan.dice(&campaign).some_of(calls, plan.rounds / 8) {
        let title = format!("the shim killed at call {nth} of {}", verb.word());
        stage = stage.round(&mut faults, &title, |stage| {
            verb.prepare(stage);
            stage.board.arm(Side::Shim, nth, Fault::Kill);
            let reply = verb.perform(stage);
            stage.quiet(Side::Daemon);
            let fired = stage.board.fired(Side::Shim);
            stage.board.disarm(Side::Shim);
            if !fired {
                unreached += 1;
                return stage.engine.clear();
            }
            killed += 1;
            println!("   killed at {nth}, {}", stage.board.name(Side::Shim, nth));
            assert!(reply.is_some(), "the daemon went away");
            settles(stage, NAME);
            stage.recheck_sometimes(nth);
        });
    }
    stage.end(&mut faults);
    let counts =
        json!({"seed": plan.seed, "calls": calls, "killed": killed, "unreached": unreached});
    conclude(&campaign, &counts, &faults);
}

/// Checks that a container whose shim may have been killed runs well or has ended, and that it can
/// be started again.
pub(crate) fn settles(stage: &Stage, name: &str) {
    let works = || {
        stage
            .exec(name, &["true"])
            .is_some_and(|reply| reply.status == 200)
    };
    eventually("it runs well or is known to have ended", || {
        let status = stage.status(name).expect("a container is never lost");
        (status != "running" || works()).then_some(())
    });
    let state = stage.inspect(name).expect("a container is never lost")["State"].clone();
    if state["Status"] == "running" {
        return;
    }
    stage.read_log(name);
    let again = stage.post(&format!("/containers/{name}/start"));
    again.expect("an answer").is(204);
    stage.counts(name);
    assert!(works(), "it does not run as before");
}

macro_rules! campaigns {
    ($($name:ident $run:expr;)*) => {$(
        #[test]
        fn $name() {
            $run;
        }
    )*};
}

campaigns! {
    campaign_fail_create fail_everywhere(Verb::Create, Side::Daemon);
    campaign_fail_start fail_everywhere(Verb::Start, Side::Daemon);
    campaign_fail_exec fail_everywhere(Verb::Exec, Side::Daemon);
    campaign_fail_stop fail_everywhere(Verb::Stop, Side::Daemon);
    campaign_fail_rm fail_everywhere(Verb::Rm, Side::Daemon);
    campaign_fail_start_shim fail_everywhere(Verb::Start, Side::Shim);
    campaign_fail_exec_shim fail_everywhere(Verb::Exec, Side::Shim);
    campaign_fail_stop_shim fail_everywhere(Verb::Stop, Side::Shim);
    campaign_shim_start kill_shim_everywhere(Verb::Start);
    campaign_shim_exec kill_shim_everywhere(Verb::Exec);
    campaign_shim_stop kill_shim_everywhere(Verb::Stop);
}

/// Returns the exit codes of `die` events of `name` since a moment: the round before had containers
/// of the same name, and may have ended in the same second.
pub(crate) fn deaths(stage: &Stage, name: &str, moment: std::time::Duration) -> Vec<i64> {
    let since = moment.as_secs();
    let until = since + 1_000_000;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let until = until.min(now.expect("after 1970").as_secs() + 1);
    let path = format!("/events?since={since}&until={until}");
    let body = stage.engine.get_path(&path).is(200).text();
    let events = body
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["Action"] == "die" && event["Actor"]["Attributes"]["name"] == *name)
        .filter(|event| event["timeNano"].as_u64().map(u128::from) >= Some(moment.as_nanos()))
        .filter_map(|event| {
            event["Actor"]["Attributes"]["exitCode"]
                .as_str()?
                .parse()
                .ok()
        })
        .collect()
}

/// Shims of running containers are killed at random moments.
#[test]
fn campaign_shim_moments() {
    let plan = Plan::read();
    let mut dice = plan.dice("shims at random moments");
    let mut stage = Stage::new("campaign", 1);
    let mut faults = Vec::new();
    let rounds = if plan.rounds == 0 {
        100
    } else {
        plan.rounds / 4
    };
    for round in 0..rounds {
        let (wait_ms, choice) = (dice.below(120), dice.next());
        stage = stage.round(&mut faults, &format!("round {round}"), |stage| {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let since = since.expect("after 1970");
            let names = ["one", "two", "three"];
            for name in names {
                stage.create(name).expect("an answer").is(201);
                stage
                    .post(&format!("/containers/{name}/start"))
                    .expect("an answer")
                    .is(204);
            }
            std::thread::sleep(std::time::Duration::from_millis(wait_ms));
            let shims = testkit::shims();
            testkit::kill(shims[usize::try_from(choice).unwrap_or(0) % shims.len()]);
            let mut ended = 0;
            std::thread::sleep(std::time::Duration::from_millis(60));
            for name in names {
                let state =
                    stage.inspect(name).expect("a container is never lost")["State"].clone();
                if state["Status"] != "running" {
                    ended += 1;
                    assert_eq!(state["ExitCode"], KILLED, "{state}");
                    assert_eq!(deaths(stage, name, since), [KILLED]);
                }
                settles(stage, name);
            }
            assert!(
                ended <= 1,
                "one shim was killed, and {ended} containers ended"
            );
            stage.recheck_ground();
        });
    }
    stage.end(&mut faults);
    conclude(
        "kill shims at random moments",
        &json!({"seed": plan.seed, "rounds": rounds}),
        &faults,
    );
}
