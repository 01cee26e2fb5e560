//! When a process runs, and where: words become the kernel's numbers. No I/O here.

use sys::sched::Scheduling;
use types::oci::runtime::{ExecCpuAffinity, IoPriority, Scheduler};

use super::Invalid;

/// Policies in the order of their numbers (linux/sched.h).
const POLICIES: [&str; 7] = [
    "SCHED_OTHER",
    "SCHED_FIFO",
    "SCHED_RR",
    "SCHED_BATCH",
    "SCHED_ISO",
    "SCHED_IDLE",
    "SCHED_DEADLINE",
];

/// Flags in the order of their bits.
const FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// Most processors that a list may name: what the kernel is built for at most.
const PROCESSORS: usize = 8192;

/// What sched_setattr(2) takes.
pub(super) fn scheduling(wanted: &Scheduler) -> Result<Scheduling, Invalid> {
    let number = |what: &'static str, names: &[&str], word: &str| {
        let at = names.iter().position(|known| *known == word);
        at.and_then(|at| u32::try_from(at).ok())
            .ok_or_else(|| Invalid::Unknown {
                what,
                word: word.to_owned(),
            })
    };
    let mut flags = 0;
    for word in &wanted.flags {
        flags |= 1_u64 << number("scheduler flag", &FLAGS, word)?;
    }
    let range = |what, value| Invalid::Range { what, value };
    Ok(Scheduling {
        policy: number("scheduler policy", &POLICIES, &wanted.policy)?,
        flags,
        nice: wanted.nice,
        priority: u32::try_from(wanted.priority)
            .map_err(|_| range("scheduler priority", wanted.priority.into()))?,
        runtime: wanted.runtime,
        deadline: wanted.deadline,
        period: wanted.period,
    })
}

/// Class and level for ioprio_set(2).
pub(super) fn io_priority(wanted: &IoPriority) -> Result<(u16, u16), Invalid> {
    let class = match wanted.class.as_str() {
        "IOPRIO_CLASS_RT" => 1,
        "IOPRIO_CLASS_BE" => 2,
        "IOPRIO_CLASS_IDLE" => 3,
        word => {
            return Err(Invalid::Unknown {
                what: "ioPriority class",
                word: word.to_owned(),
            });
        }
    };
    match u16::try_from(wanted.priority) {
        Ok(level @ 0..=7) => Ok((class, level)),
        _ => Err(Invalid::Range {
            what: "ioPriority priority",
            value: wanted.priority.into(),
        }),
    }
}

/// Two sets of processors; an empty one is not set.
pub(super) fn affinity(wanted: Option<&ExecCpuAffinity>) -> Result<[Vec<u64>; 2], Invalid> {
    let Some(wanted) = wanted else {
        return Ok([Vec::new(), Vec::new()]);
    };
    Ok([processors(&wanted.initial)?, processors(&wanted.last)?])
}

/// `0-3,7` as bits.
fn processors(list: &str) -> Result<Vec<u64>, Invalid> {
    let invalid = || Invalid::Unknown {
        what: "list of processors",
        word: list.to_owned(),
    };
    let number = |text: &str| {
        text.trim()
            .parse::<usize>()
            .ok()
            .filter(|at| *at < PROCESSORS)
    };
    let mut bits = Vec::new();
    for part in list.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(invalid());
        };
        if first > last {
            return Err(invalid());
        }
        for at in first..=last {
            if bits.len() <= at / 64 {
                bits.resize(at / 64 + 1, 0_u64);
            }
            bits[at / 64] |= 1 << (at % 64);
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_bits() {
        assert_eq!(processors("0-2,5").unwrap(), [0b10_0111]);
        assert_eq!(processors("64").unwrap(), [0, 1]);
        assert!(processors("").unwrap().is_empty());
        for bad in ["2-1", "x", "1-", "9999"] {
            assert!(processors(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_become_numbers() {
        let fifo = Scheduler {
            policy: "SCHED_FIFO".to_owned(),
            priority: 9,
            flags: vec!["SCHED_FLAG_RESET_ON_FORK".to_owned()],
            ..Scheduler::default()
        };
        let found = scheduling(&fifo).unwrap();
        assert_eq!((found.policy, found.priority, found.flags), (1, 9, 1));
        assert!(scheduling(&Scheduler::default()).is_err());
        let idle = IoPriority {
            class: "IOPRIO_CLASS_IDLE".to_owned(),
            priority: 8,
        };
        assert!(io_priority(&idle).is_err());
    }
}
