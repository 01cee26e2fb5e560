//! Restarts by rule: the container is made again from what the first one was made from, with the
//! same network namespace. The daemon need not be there.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use types::restart_policy::{Outcome, Rule, delay};

use crate::container::{Container, record_again};
use crate::error::Result;
use crate::protocol::{Create, Event, Exit, Phase};
use crate::serve::Shim;

/// When and from what the container is started again.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    rule: Rule,
    /// What it was made from; kept only where a rule may need it.
    create: Option<Box<Create>>,
    netns: Option<OwnedFd>,
    count: u32,
    last_delay: Duration,
    due: Option<Instant>,
    /// Its user stops it.
    is_held: bool,
    /// Whatever its exit code, it is to be started again.
    is_demanded: bool,
}

impl Restarts {
    /// Begins with a new container; without a rule what it was made from need not be kept.
    pub(crate) fn new(create: Option<Box<Create>>, netns: Option<OwnedFd>) -> Self {
        Self {
            rule: create.as_ref().map_or(Rule::No, |create| create.restart),
            create,
            netns,
            ..Self::default()
        }
    }

    pub(crate) const fn rule(&self) -> Rule {
        self.rule
    }

    /// When the next life begins.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The next end is not one of its own accord.
    pub(crate) const fn demand(&mut self) {
        self.is_demanded = true;
    }

    /// Follows another rule.
    pub(crate) fn follow(&mut self, rule: Rule, create: Box<Create>) {
        self.rule = rule;
        self.create = (rule != Rule::No).then_some(create);
    }

    /// Decides about an end: the number of the restart that follows, if one does.
    fn after(&mut self, exit: Exit, ran: Duration, now: Instant) -> Option<u32> {
        let outcome = Outcome {
            code: exit.code,
            stopped: self.is_held,
            count: self.count,
        };
        let demanded = std::mem::take(&mut self.is_demanded);
        if self.is_held || !(demanded || self.rule.starts_again(outcome)) {
            return None;
        }
        self.last_delay = delay(self.last_delay, ran);
        self.due = Some(now + self.last_delay);
        self.count = self.count.saturating_add(1);
        Some(self.count)
    }
}

impl Shim {
    /// Tells of an end, and whether another life follows.
    pub(crate) fn conclude(&mut self, exit: Exit, now: Instant) {
        let Some(container) = &mut self.container else {
            return;
        };
        let ran = exit.finished_ns.saturating_sub(container.started_ns());
        let ran = Duration::from_nanos(u64::try_from(ran).unwrap_or(0));
        let next = self.restarts.after(exit, ran, now);
        container.set_restarting(next.is_some());
        self.tell(&match next {
            Some(restarts) => Event::Restarting { exit, restarts },
            None => Event::Exited(exit),
        });
    }

    /// No restart after the next end; one that is due is called off.
    pub(crate) fn hold(&mut self) {
        self.restarts.is_held = true;
        self.restarts.due = None;
        let Some(container) = &mut self.container else {
            return;
        };
        if container.phase() == Phase::Restarting {
            container.set_restarting(false);
            if let Some(exit) = container.exit() {
                self.tell(&Event::Exited(exit));
            }
        }
    }

    /// Begins the next life when it is due.
    pub(crate) fn settle_restart(&mut self, now: Instant) {
        if self.restarts.due.take_if(|at| *at <= now).is_none() {
            return;
        }
        let Some(exit) = self.container.as_ref().and_then(Container::exit) else {
            return;
        };
        let event = match self.begin_again() {
            Ok(event) => event,
            Err(error) => {
                let message = error.sentence();
                self.let_go();
                if let Some(create) = &self.restarts.create {
                    record_again(Path::new(&create.dir), exit);
                }
                Event::GaveUp { exit, message }
            }
        };
        self.tell(&event);
    }

    fn begin_again(&mut self) -> Result<Event> {
        let Some(create) = self.restarts.create.clone() else {
            return Err(crate::error::Error::State(
                "what the container was made from is not known",
            ));
        };
        let health = self.health_of_next_life(create.health.clone());
        self.let_go();
        let (number, poll) = (self.number(), Rc::clone(&self.poll));
        let netns = self.restarts.netns.as_ref().map(AsFd::as_fd);
        let mut container = Container::create(*create, netns, number, &poll)?;
        let started = container.start(self.restarts.count, health);
        let init = container.init();
        let event = Event::Restarted {
            pid: init.pid,
            start_time: init.start_time,
            started_ns: container.started_ns(),
        };
        self.container = Some(container);
        sys::memory::trim_heap();
        started.map(|()| event)
    }
}
