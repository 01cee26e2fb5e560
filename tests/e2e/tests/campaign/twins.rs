//! Two engines side by side: one is killed and restarted, the other does not notice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::stage::{Plan, STOPPED, Stage, conclude};

/// Serves containers until told to stop; every answer must be right.
fn serve(stage: &Stage, which: u64, over: &AtomicBool, served: &AtomicU64) {
    let mut round = 0;
    while !over.load(Ordering::Relaxed) {
        let name = format!("calm-{which}-{round}");
        stage.create(&name).expect("an answer").is(201);
        stage
            .post(&format!("/containers/{name}/start"))
            .expect("an answer")
            .is(204);
        let said = stage.exec(&name, &["ip", "-4", "-o", "addr", "show", "eth0"]);
        assert!(
            said.expect("an answer")
                .is(200)
                .text()
                .contains("10.213.2.")
        );
        stage
            .post(&format!("/containers/{name}/stop"))
            .expect("an answer")
            .is(204);
        let found = stage.inspect(&name).expect("it is there");
        assert_eq!(found["State"]["ExitCode"], STOPPED);
        stage.check_log(&name);
        stage.remove(&name, false).expect("an answer").is(204);
        served.fetch_add(1, Ordering::Relaxed);
        round += 1;
    }
}

#[test]
fn campaign_twins() {
    let plan = Plan::read();
    let kills = if plan.rounds == 0 {
        20
    } else {
        plan.rounds / 8
    };
    let mut dice = plan.dice("twins");
    let wild = Stage::new("wild", 1);
    let calm = Stage::new("calm", 2);
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for which in 0..2 {
            let (calm, over, served) = (&calm, &over, &served);
            scope.spawn(move || serve(calm, which, over, served));
        }
        let _over_however_it_ends = Finally(&over);
        for round in 0..kills {
            let name = format!("wild-{round}");
            wild.create(&name).expect("an answer").is(201);
            wild.post(&format!("/containers/{name}/start"))
                .expect("an answer")
                .is(204);
            std::thread::sleep(Duration::from_millis(dice.below(100)));
            wild.engine.kill_daemon();
            wild.engine.start_daemon(&[]);
            for round in 0..=round {
                let name = format!("wild-{round}");
                assert_eq!(wild.status(&name).as_deref(), Some("running"), "{name}");
            }
        }
    });
    // The network of both is one namespace: both end before it is looked at.
    Stage::check_ground_of(&[&wild, &calm]);
    let counts = json!({"seed": plan.seed, "kills": kills, "served": served.into_inner()});
    conclude("two engines side by side", &counts, &[]);
}

/// Says that it is over when it is dropped.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
