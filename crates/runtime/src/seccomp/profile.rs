//! Pure: names become numbers, one table for each architecture of the filter.
//!
//! Which rule wins: a rule without conditions before those with some, then the first in the list
//! that matches, then the default. A rule that names an argument twice means either condition, all
//! others all of theirs. That is what runc and libseccomp make of a profile.

use std::collections::{BTreeMap, HashMap};

use types::oci::runtime::{Seccomp, SeccompArg, SeccompRule};

/// Why a profile cannot be compiled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A word that is not one of the specification's.
    #[error("unknown {what} {word:?}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// The word.
        word: String,
    },
    /// There are six arguments.
    #[error("system calls have no argument number {0}")]
    Argument(u32),
    /// A listener where none can be.
    #[error("{0}")]
    Notify(&'static str),
    /// The program is longer than the kernel takes.
    #[error("a filter of {0} instructions is longer than the kernel takes")]
    TooLong(usize),
}

/// How system calls are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Abi {
    /// 64 bits.
    X86_64,
    /// The 32-bit ones of i386.
    X86,
    /// 32-bit pointers in 64-bit mode: numbers with bit 30 set.
    X32,
}

/// The bit of x32's numbers.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// A profile in numbers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// `SECCOMP_RET_…` for what no rule names.
    pub(crate) default: u32,
    pub(crate) tables: BTreeMap<Abi, Table>,
    /// Flags of seccomp(2).
    pub(crate) flags: u32,
}

/// What happens to the calls of one architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) calls: BTreeMap<u32, Verdict>,
    /// Calls above it are newer than the profile and do not exist for the container (ENOSYS), so
    /// that libraries fall back to what they did before; none: the default holds for them too.
    pub(crate) newest: Option<u32>,
}

/// What happens to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This.
    Always(u32),
    /// The action of the first of these whose conditions hold, or the default.
    When(Vec<(Vec<Condition>, u32)>),
}

/// A condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// 0-5.
    pub(crate) argument: u8,
    pub(crate) compare: Compare,
    pub(crate) value: u64,
}

/// How an argument is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    /// The bits of this mask only.
    Masked(u64),
}

/// `SECCOMP_RET_ERRNO`, whose low 16 bits are the errno.
pub(crate) const RET_ERRNO: u32 = 0x0005_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_ALLOW: u32 = 0x7fff_0000;
const RET_NOTIFY: u32 = 0x7fc0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const EPERM: u32 = 1;

impl Rules {
    /// Looks every name up.
    pub(crate) fn new(profile: &Seccomp) -> Result<Self, Invalid> {
        let default = action(&profile.default_action, profile.default_errno_ret)?;
        if default == RET_NOTIFY {
            return Err(Invalid::Notify(
                "SCMP_ACT_NOTIFY cannot be used as default action",
            ));
        }
        let asks = profile.syscalls.iter().filter(|rule| rule.action == NOTIFY);
        // Init itself writes, and there is nobody to answer yet.
        if asks
            .clone()
            .any(|rule| rule.names.iter().any(|name| name == "write"))
        {
            return Err(Invalid::Notify(
                "SCMP_ACT_NOTIFY cannot be used for the write syscall",
            ));
        }
        if asks.clone().next().is_some() && profile.listener_path.is_empty() {
            return Err(Invalid::Notify(
                "listenerPath must be set for SCMP_ACT_NOTIFY",
            ));
        }
        // The machine's own numbering is always in it.
        let mut tables = BTreeMap::from([(Abi::X86_64, Table::default())]);
        for word in &profile.architectures {
            if let Some(abi) = abi(word)? {
                tables.insert(abi, Table::default());
            }
        }
        let numbers = numbers();
        for rule in &profile.syscalls {
            let action = action(&rule.action, rule.errno_ret)?;
            let alternatives = alternatives(rule)?;
            if action == default {
                continue;
            }
            for (abi, table) in &mut tables {
                for name in &rule.names {
                    // A name that this architecture lacks, or that is newer than this table.
                    let Some(number) = numbers.get(name.as_str()).and_then(|row| row.get(*abi))
                    else {
                        continue;
                    };
                    table.add(number, action, &alternatives);
                }
            }
        }
        if !matches!(default & 0x7fff_0000, RET_ALLOW | RET_LOG | RET_TRACE) {
            for table in tables.values_mut() {
                table.newest = table.calls.keys().next_back().copied();
            }
        }
        Ok(Self {
            default,
            tables,
            flags: flags(&profile.flags)?,
        })
    }
}

impl Table {
    fn add(&mut self, number: u32, action: u32, alternatives: &[Vec<Condition>]) {
        let verdict = self
            .calls
            .entry(number)
            .or_insert_with(|| Verdict::When(Vec::new()));
        if let Verdict::When(rules) = verdict {
            if alternatives.is_empty() {
                *verdict = Verdict::Always(action);
            } else {
                rules.extend(
                    alternatives
                        .iter()
                        .map(|conditions| (conditions.clone(), action)),
                );
            }
        }
    }
}

/// The sets of conditions under which a rule holds; none: always.
fn alternatives(rule: &SeccompRule) -> Result<Vec<Vec<Condition>>, Invalid> {
    let conditions = rule
        .args
        .iter()
        .map(condition)
        .collect::<Result<Vec<_>, _>>()?;
    let twice = conditions.iter().enumerate().any(|(at, one)| {
        conditions
            .iter()
            .skip(at + 1)
            .any(|other| other.argument == one.argument)
    });
    Ok(if conditions.is_empty() {
        Vec::new()
    } else if twice {
        conditions
            .into_iter()
            .map(|condition| vec![condition])
            .collect()
    } else {
        vec![conditions]
    })
}

fn condition(arg: &SeccompArg) -> Result<Condition, Invalid> {
    let argument = u8::try_from(arg.index).ok().filter(|index| *index < 6);
    let argument = argument.ok_or(Invalid::Argument(arg.index))?;
    let (compare, value) = match arg.op.as_str() {
        "SCMP_CMP_NE" => (Compare::Ne, arg.value),
        "SCMP_CMP_LT" => (Compare::Lt, arg.value),
        "SCMP_CMP_LE" => (Compare::Le, arg.value),
        "SCMP_CMP_EQ" => (Compare::Eq, arg.value),
        "SCMP_CMP_GE" => (Compare::Ge, arg.value),
        "SCMP_CMP_GT" => (Compare::Gt, arg.value),
        "SCMP_CMP_MASKED_EQ" => (Compare::Masked(arg.value), arg.value_two & arg.value),
        word => return Err(unknown("comparison", word)),
    };
    Ok(Condition {
        argument,
        compare,
        value,
    })
}

/// The action that asks a listener.
pub(crate) const NOTIFY: &str = "SCMP_ACT_NOTIFY";

/// Words of actions that are known.
pub(crate) const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    NOTIFY,
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

fn action(word: &str, errno: Option<u32>) -> Result<u32, Invalid> {
    let errno = errno.unwrap_or(EPERM) & 0xffff;
    Ok(match word {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => 0,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => RET_ERRNO | errno,
        "SCMP_ACT_TRACE" => RET_TRACE | errno,
        "SCMP_ACT_LOG" => RET_LOG,
        "SCMP_ACT_ALLOW" => RET_ALLOW,
        NOTIFY => RET_NOTIFY,
        word => return Err(unknown("action", word)),
    })
}

/// An architecture that this machine never runs needs no table.
fn abi(word: &str) -> Result<Option<Abi>, Invalid> {
    Ok(match word {
        "SCMP_ARCH_X86_64" => Some(Abi::X86_64),
        "SCMP_ARCH_X86" => Some(Abi::X86),
        "SCMP_ARCH_X32" => Some(Abi::X32),
        word if word.starts_with("SCMP_ARCH_") => None,
        word => return Err(unknown("architecture", word)),
    })
}

/// Without a list, the speculation of the process stays as it was: the mitigation that a filter
/// switches on by default costs much and has been found to protect little (runc does the same).
fn flags(words: &[String]) -> Result<u32, Invalid> {
    const LOG: u32 = 2;
    const SPEC_ALLOW: u32 = 4;
    const WAIT_KILLABLE: u32 = 32;
    if words.is_empty() {
        return Ok(SPEC_ALLOW);
    }
    words.iter().try_fold(0, |flags, word| match word.as_str() {
        // There is one thread to synchronise.
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(flags),
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => Ok(flags | WAIT_KILLABLE),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(flags | LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(flags | SPEC_ALLOW),
        word => Err(unknown("filter flag", word)),
    })
}

fn unknown(what: &'static str, word: &str) -> Invalid {
    Invalid::Unknown {
        what,
        word: word.to_owned(),
    }
}

/// Numbers of one name.
#[derive(Clone, Copy, Debug)]
struct Row([Option<u32>; 3]);

impl Row {
    fn get(self, abi: Abi) -> Option<u32> {
        let [x86_64, x86, x32] = self.0;
        match abi {
            Abi::X86_64 => x86_64,
            Abi::X86 => x86,
            Abi::X32 => x32.map(|number| number | X32_BIT),
        }
    }
}

fn numbers() -> HashMap<&'static str, Row> {
    let text = include_str!("syscalls.txt");
    let mut numbers = HashMap::with_capacity(512);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        numbers.insert(name, Row([number(), number(), number()]));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(names: &[&str], action: &str, args: &[(u32, u64, &str)]) -> SeccompRule {
        let arg = |&(index, value, op): &(u32, u64, &str)| SeccompArg {
            index,
            value,
            value_two: 0,
            op: op.to_owned(),
        };
        SeccompRule {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            action: action.to_owned(),
            errno_ret: None,
            args: args.iter().map(arg).collect(),
        }
    }

    fn rules(architectures: &[&str], syscalls: Vec<SeccompRule>) -> Result<Rules, Invalid> {
        Rules::new(&Seccomp {
            default_action: "SCMP_ACT_ERRNO".to_owned(),
            architectures: architectures.iter().map(|&word| word.to_owned()).collect(),
            syscalls,
            ..Seccomp::default()
        })
    }

    #[test]
    fn numbers_are_of_the_architecture() {
        let all = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"];
        let names = ["read", "rt_sigaction", "nosuch", "socketcall"];
        let rules = rules(&all, vec![rule(&names, "SCMP_ACT_ALLOW", &[])]).unwrap();
        let calls = |abi| rules.tables[&abi].calls.keys().copied().collect::<Vec<_>>();
        assert_eq!(calls(Abi::X86_64), [0, 13]);
        assert_eq!(calls(Abi::X86), [3, 102, 174]);
        assert_eq!(calls(Abi::X32), [X32_BIT, X32_BIT | 512]);
        assert_eq!(rules.tables[&Abi::X86_64].newest, Some(13));
        assert_eq!(rules.default, RET_ERRNO | 1);
    }

    #[test]
    fn unconditional_rules_win() {
        let rules = rules(
            &[],
            vec![
                rule(&["personality"], "SCMP_ACT_ALLOW", &[(0, 8, "SCMP_CMP_EQ")]),
                rule(&["personality"], "SCMP_ACT_ALLOW", &[]),
                rule(&["personality"], "SCMP_ACT_KILL", &[]),
                rule(&["personality"], "SCMP_ACT_KILL", &[(0, 9, "SCMP_CMP_EQ")]),
            ],
        );
        let table = &rules.unwrap().tables[&Abi::X86_64];
        assert_eq!(table.calls[&135], Verdict::Always(RET_ALLOW));
    }

    #[test]
    fn an_argument_named_twice_means_either() {
        let twice = [(0, 8, "SCMP_CMP_EQ"), (0, 9, "SCMP_CMP_EQ")];
        let rules = rules(&[], vec![rule(&["read"], "SCMP_ACT_ALLOW", &twice)]).unwrap();
        let Verdict::When(alternatives) = &rules.tables[&Abi::X86_64].calls[&0] else {
            panic!("conditions")
        };
        assert_eq!(alternatives.len(), 2);
    }

    #[test]
    fn refuses_unknown_words() {
        let check = |rule| assert!(rules(&[], vec![rule]).is_err());
        check(rule(&["read"], "SCMP_ACT_NOSUCH", &[]));
        check(rule(&["read"], "SCMP_ACT_ALLOW", &[(6, 0, "SCMP_CMP_EQ")]));
        check(rule(&["read"], "SCMP_ACT_ALLOW", &[(0, 0, "EQ")]));
        assert!(rules(&["X86"], Vec::new()).is_err());
    }
}
