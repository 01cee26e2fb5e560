//! Every call to the kernel that a verb makes: the daemon dies there, or the call fails once.

use serde_json::json;
use testkit::http::Reply;
use testkit::{Fault, Side};

use crate::stage::{Plan, STOPPED, Stage, conclude};

/// What a verb passes at least, over daemon and shim.
const CALLS_MIN: u64 = 30;
pub(crate) const NAME: &str = "counter";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Start,
    Exec,
    Stop,
    Rm,
}

pub(crate) const VERBS: [Verb; 5] = [Verb::Create, Verb::Start, Verb::Exec, Verb::Stop, Verb::Rm];

impl Verb {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Start => "start",
            Verb::Exec => "exec",
            Verb::Stop => "stop",
            Verb::Rm => "rm",
        }
    }

    /// Does what comes before the verb.
    pub(crate) fn prepare(self, stage: &Stage) {
        let is = |reply: Option<Reply>, status| {
            reply.expect("a healthy engine answers").is(status);
        };
        if self != Verb::Create {
            is(stage.create(NAME), 201);
        }
        if !matches!(self, Verb::Create | Verb::Start) {
            is(stage.post(&format!("/containers/{NAME}/start")), 204);
            stage.counts(NAME);
        }
        if self == Verb::Rm {
            is(stage.post(&format!("/containers/{NAME}/stop")), 204);
        }
        // What the pools lack is made first, so that the walk is the verb's.
        stage.board.arm(Side::Daemon, 0, Fault::Count);
        stage.quiet(Side::Daemon);
    }

    pub(crate) fn perform(self, stage: &Stage) -> Option<Reply> {
        match self {
            Verb::Create => stage.create(NAME),
            Verb::Start => stage.post(&format!("/containers/{NAME}/start")),
            Verb::Exec => stage.exec(NAME, &["echo", "hi"]),
            Verb::Stop => stage.post(&format!("/containers/{NAME}/stop")),
            Verb::Rm => stage.remove(NAME, false),
        }
    }

    pub(crate) fn succeeded(reply: Option<&Reply>) -> bool {
        reply.is_some_and(|reply| reply.status < 300)
    }

    /// Checks what the verb has left, whole or not at all, and that the next one works.
    pub(crate) fn check(self, stage: &Stage, done: bool) {
        let status = stage.status(NAME);
        let status = status.as_deref();
        match self {
            Verb::Create => {
                assert!(
                    status == Some("created") || (status.is_none() && !done),
                    "{status:?}"
                );
                if status.is_none() {
                    stage.create(NAME).expect("an answer").is(201);
                }
                self.works(stage);
            }
            Verb::Start => {
                match status {
                    Some("running") => {}
                    Some("created" | "exited") if !done => {
                        let again = stage.post(&format!("/containers/{NAME}/start"));
                        again.expect("an answer").is(204);
                    }
                    _ => panic!("{status:?}"),
                }
                self.works(stage);
            }
            Verb::Exec => {
                assert_eq!(status, Some("running"));
                self.works(stage);
            }
            Verb::Stop => {
                assert!(
                    status == Some("exited") || (status == Some("running") && !done),
                    "{status:?}"
                );
                if status == Some("running") {
                    stage
                        .post(&format!("/containers/{NAME}/stop"))
                        .expect("an answer");
                }
                Verb::ended(stage);
            }
            Verb::Rm => {
                assert!(
                    status.is_none() || (status == Some("exited") && !done),
                    "{status:?}"
                );
                if status.is_some() {
                    stage.check_log(NAME);
                    stage.remove(NAME, false).expect("an answer").is(204);
                }
                stage.create(NAME).expect("the name is free again").is(201);
            }
        }
    }

    /// Checks that the container runs, or can, and does all that one does.
    fn works(self, stage: &Stage) {
        if self == Verb::Create {
            stage
                .post(&format!("/containers/{NAME}/start"))
                .expect("an answer")
                .is(204);
        }
        stage.counts(NAME);
        let said = stage.exec(NAME, &["ip", "-4", "-o", "addr", "show", "eth0"]);
        assert!(
            said.expect("an answer").is(200).text().contains("10.213."),
            "no address"
        );
        stage
            .post(&format!("/containers/{NAME}/stop"))
            .expect("an answer")
            .is(204);
        Verb::ended(stage);
    }

    fn ended(stage: &Stage) {
        let found = stage.inspect(NAME).expect("a container is never lost");
        assert_eq!(found["State"]["ExitCode"], STOPPED, "{}", found["State"]);
        stage.check_log(NAME);
    }
}

/// Counts the calls of a verb, daemon's and shims'.
pub(crate) fn count(stage: &Stage, verb: Verb) -> (u64, u64) {
    verb.prepare(stage);
    stage.board.arm(Side::Shim, 0, Fault::Count);
    stage.board.arm(Side::Daemon, 0, Fault::Count);
    let reply = verb.perform(stage);
    // What follows is the counter's output.
    let shim = stage.board.seen(Side::Shim);
    assert!(Verb::succeeded(reply.as_ref()), "{reply:?}");
    let daemon = stage.quiet(Side::Daemon);
    stage.board.disarm(Side::Daemon);
    stage.board.disarm(Side::Shim);
    let names = |side, count: u64| -> Vec<String> {
        (1..=count).map(|nth| stage.board.name(side, nth)).collect()
    };
    println!(
        "{}: {daemon} calls of the daemon, {shim} of shim and runtime\n   {}\n   {}",
        verb.word(),
        names(Side::Daemon, daemon).join(" "),
        names(Side::Shim, shim).join(" "),
    );
    verb.check(stage, true);
    stage.engine.clear();
    (daemon, shim)
}

#[test]
fn campaign_count() {
    let stage = Stage::new("campaign_count", 1);
    let mut counts = serde_json::Map::new();
    let mut faults = Vec::new();
    for verb in VERBS {
        let (daemon, shim) = count(&stage, verb);
        if daemon + shim < CALLS_MIN {
            faults.push(format!(
                "{} passes only {daemon} + {shim} calls",
                verb.word()
            ));
        }
        counts.insert(
            verb.word().to_owned(),
            json!({"daemon": daemon, "shim": shim}),
        );
    }
    stage.check_ground();
    conclude("count", &counts.into(), &faults);
}

/// Kills the daemon once at each call of `verb`, or at some of them.
fn kill_daemon_everywhere(verb: Verb) {
    let plan = Plan::read();
    let campaign = format!("kill the daemon at each call of {}", verb.word());
    let mut stage = Stage::new("campaign", 1);
    let mut faults = Vec::new();
    let (calls, _) = count(&stage, verb);
    let (mut killed, mut unreached) = (0, 0);
    for nth in plan.dice(&campaign).some_of(calls, plan.rounds / 8) {
        let title = format!("{} killed at call {nth}", verb.word());
        stage = stage.round(&mut faults, &title, |stage| {
            verb.prepare(stage);
            stage.board.arm(Side::Daemon, nth, Fault::Kill);
            let reply = verb.perform(stage);
            stage.quiet(Side::Daemon);
            let fired = stage.board.fired(Side::Daemon);
            stage.board.disarm(Side::Daemon);
            if !fired {
                unreached += 1;
                return stage.engine.clear();
            }
            killed += 1;
            println!(
                "   killed at {nth}, {}",
                stage.board.name(Side::Daemon, nth)
            );
            stage.engine.daemon_died();
            stage.engine.start_daemon(&[]);
            verb.check(stage, Verb::succeeded(reply.as_ref()));
            stage.recheck_ground();
        });
    }
    stage.end(&mut faults);
    if killed == 0 {
        faults.push("nothing was killed".to_owned());
    }
    let counts =
        json!({"seed": plan.seed, "calls": calls, "killed": killed, "unreached": unreached});
    conclude(&campaign, &counts, &faults);
}

macro_rules! kill_daemon {
    ($($name:ident $verb:ident),*) => {$(
        #[test]
        fn $name() {
            kill_daemon_everywhere(Verb::$verb);
        }
    )*};
}

kill_daemon!(
    campaign_kill_create Create,
    campaign_kill_start Start,
    campaign_kill_exec Exec,
    campaign_kill_stop Stop,
    campaign_kill_rm Rm
);
