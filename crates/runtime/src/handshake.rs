//! What init tells its maker: ready, or which step failed on which item. One packet of fixed size,
//! so that it is written without an allocator and never comes in parts.

use std::time::Instant;

use sys::Errno;

/// Bytes of a packet.
pub(crate) const LEN: usize = 40;
const CALL_LEN: usize = LEN - 8;

/// Where init is; with an item this names one line of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Signals, session, death signal.
    Begin,
    /// Entering the cgroup, and its namespace.
    Cgroup,
    /// Entering a namespace.
    Join,
    /// Session keyring.
    Keyring,
    /// Loopback link.
    Loopback,
    /// oom_score_adj.
    OomScore,
    /// The root file system in its place.
    Root,
    /// A mount.
    Mount,
    /// A device node.
    Node,
    /// A link in /dev.
    Link,
    /// /dev/console.
    Console,
    /// 0, 1 and 2.
    Streams,
    /// The change of root.
    Pivot,
    /// Host name.
    Hostname,
    /// Domain name.
    Domainname,
    /// A kernel parameter.
    Sysctl,
    /// A read-only path.
    Readonly,
    /// A masked path.
    Masked,
    /// Read-only root.
    ReadonlyRoot,
    /// A limit.
    Limit,
    /// AppArmor.
    Label,
    /// Filter.
    Seccomp,
    /// Capabilities.
    Capabilities,
    /// User and groups.
    User,
    /// Working directory.
    Cwd,
    /// The program.
    Program,
    /// The message that all is ready.
    Ready,
    /// Waiting for the parent's part.
    Pause,
    /// Ids of a user namespace.
    Ids,
    /// A hook in the container's namespaces.
    Hook,
    /// Scheduler, priority, personality.
    Schedule,
    /// The filter's listener.
    Listener,
}

/// What init waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The ids of its user namespace.
    Ids,
    /// What the parent does when the namespaces exist: hooks.
    Namespaces,
    /// That the parent takes the other end of the terminal, which comes along.
    Console,
    /// That the parent takes the filter's listener, which comes along.
    Listener,
}

const PAUSES: [Pause; 4] = [
    Pause::Ids,
    Pause::Namespaces,
    Pause::Console,
    Pause::Listener,
];

const STEPS: [Step; 32] = [
    Step::Begin,
    Step::Cgroup,
    Step::Join,
    Step::Keyring,
    Step::Loopback,
    Step::OomScore,
    Step::Root,
    Step::Mount,
    Step::Node,
    Step::Link,
    Step::Console,
    Step::Streams,
    Step::Pivot,
    Step::Hostname,
    Step::Domainname,
    Step::Sysctl,
    Step::Readonly,
    Step::Masked,
    Step::ReadonlyRoot,
    Step::Limit,
    Step::Label,
    Step::Seccomp,
    Step::Capabilities,
    Step::User,
    Step::Cwd,
    Step::Program,
    Step::Ready,
    Step::Pause,
    Step::Ids,
    Step::Hook,
    Step::Schedule,
    Step::Listener,
];

/// A step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) step: Step,
    /// Which line of the plan's list for this step.
    pub(crate) item: usize,
    pub(crate) error: sys::Error,
}

/// The stretches of a child's way that are timed, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// From the clone to being in the cgroup.
    Cgroup,
    /// Joining and making namespaces.
    Namespaces,
    /// The root and what is mounted in it.
    Mounts,
    /// The change of root, and what is covered and set afterwards.
    Pivot,
    /// Limits, filter, capabilities, user, program.
    User,
}

/// Names of the stretches as people read them.
pub(crate) const STRETCHES: [&str; 5] = [
    "init: cgroup",
    "init: namespaces",
    "init: mounts",
    "init: pivot",
    "init: user",
];

/// When each stretch was over, in microseconds since the maker began. Zero: it was not gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    since: Instant,
    at_us: [u32; STRETCHES.len()],
}

impl Times {
    pub(crate) fn since(since: Instant) -> Self {
        Self {
            since,
            at_us: Default::default(),
        }
    }

    /// Notes that a stretch is over.
    pub(crate) fn note(&mut self, stretch: Stretch) {
        self.at_us[stretch as usize] = us(self.since);
    }
}

/// Microseconds since `since`; an hour and more is as long as an hour.
pub(crate) fn us(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// All is done but execve; when each stretch was over.
    Ready([u32; STRETCHES.len()]),
    /// It waits for a byte, before which the parent has something to do.
    Pause(Pause),
    /// It failed: step, item, call and errno.
    Failed {
        step: Step,
        item: usize,
        call: String,
        errno: Errno,
    },
}

/// Encodes [`Message::Ready`].
pub(crate) fn ready(times: &Times) -> [u8; LEN] {
    let mut packet = [0; LEN];
    for (place, at) in packet[4..].chunks_exact_mut(4).zip(times.at_us) {
        place.copy_from_slice(&at.to_le_bytes());
    }
    packet
}

/// Encodes [`Message::Pause`].
pub(crate) fn pause(why: Pause) -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[0] = 2;
    packet[1] = why as u8;
    packet
}

/// Encodes a failure, without allocation.
pub(crate) fn failed(failed: Failed) -> [u8; LEN] {
    let mut packet = [0; LEN];
    packet[0] = 1;
    packet[1] = failed.step as u8;
    packet[2..4].copy_from_slice(&u16::try_from(failed.item).unwrap_or(u16::MAX).to_le_bytes());
    packet[4..8].copy_from_slice(&failed.error.errno.raw_os_error().to_le_bytes());
    let call = failed.error.call.as_bytes();
    let len = call.len().min(CALL_LEN);
    packet[8..8 + len].copy_from_slice(&call[..len]);
    packet
}

/// Decodes a packet; none is not one of ours.
pub(crate) fn decode(packet: &[u8; LEN]) -> Option<Message> {
    let [kind, step, i0, i1, e0, e1, e2, e3, call @ ..] = packet;
    if *kind == 0 {
        let mut at_us = [0; STRETCHES.len()];
        for (at, place) in at_us.iter_mut().zip(packet[4..].chunks_exact(4)) {
            *at = u32::from_le_bytes(place.try_into().ok()?);
        }
        return Some(Message::Ready(at_us));
    }
    if *kind == 2 {
        return PAUSES.get(usize::from(*step)).copied().map(Message::Pause);
    }
    let call = call.split(|byte| *byte == 0).next().unwrap_or_default();
    let errno = i32::from_le_bytes([*e0, *e1, *e2, *e3]);
    Some(Message::Failed {
        step: *STEPS.get(usize::from(*step))?,
        item: usize::from(u16::from_le_bytes([*i0, *i1])),
        call: std::str::from_utf8(call).ok()?.to_owned(),
        errno: if (1..4096).contains(&errno) {
            Errno::from_raw_os_error(errno)
        } else {
            Errno::IO
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_in_order() {
        for (at, step) in STEPS.into_iter().enumerate() {
            assert_eq!(step as usize, at, "{step:?}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut times = Times::since(Instant::now());
        times.at_us = [1, 70_000, 3, 4, 5];
        assert_eq!(
            decode(&ready(&times)),
            Some(Message::Ready([1, 70_000, 3, 4, 5]))
        );
        let error = sys::Error::new("mount_setattr", Errno::ACCESS);
        let packet = failed(Failed {
            step: Step::Mount,
            item: 3,
            error,
        });
        assert_eq!(
            decode(&packet),
            Some(Message::Failed {
                step: Step::Mount,
                item: 3,
                call: "mount_setattr".to_owned(),
                errno: Errno::ACCESS,
            })
        );
        for why in PAUSES {
            assert_eq!(decode(&pause(why)), Some(Message::Pause(why)));
        }
        let mut foreign = packet;
        foreign[1] = 200;
        assert_eq!(decode(&foreign), None);
    }
}
