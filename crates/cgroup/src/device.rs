//! Pure: which devices a group may use: v1's lines, v2's BPF program.
//!
//! The last rule that matches decides, separately for reading, writing and mknod; what no rule
//! matches is denied.

use types::oci::runtime::DeviceRule;

use crate::hierarchy::Version;
use crate::plan::{Draft, invalid};
use crate::{Error, Result};

/// The [`crate::Write::file`] that stands for v2's program: its value has one rule per line,
/// `allow c 1:3 rwm`, below the default.
pub const DEVICE_PROGRAM: &str = "devices.program";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    allow: bool,
    /// `a`, `b` or `c`.
    kind: char,
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
}

/// Bits of `enum bpf_devcg` in linux/bpf.h: mknod 1, read 2, write 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access(u8);

const ALL: Access = Access(7);
const LETTERS: [(char, u8); 3] = [('r', 2), ('w', 4), ('m', 1)];

/// Nothing is written for a group that may use everything: that is how groups are made.
pub(crate) fn plan(rules: &[DeviceRule], draft: &mut Draft<'_>) -> Result<()> {
    let rules = rules.iter().map(Rule::new).collect::<Result<Vec<_>>>()?;
    // A rule for everything makes those before it void.
    let last = rules.iter().rposition(Rule::is_total);
    let (default, rules) = match last {
        Some(last) => (rules[last].allow, &rules[last + 1..]),
        None if rules.is_empty() => return Ok(()),
        None => (false, &rules[..]),
    };
    if default && rules.is_empty() {
        return Ok(());
    }
    match draft.topology.version("devices") {
        Some(Version::V1) => {
            plan_v1(default, rules, draft);
            Ok(())
        }
        None | Some(Version::V2) if draft.topology.has_unified() => {
            let mut value = format!("{} a *:* rwm", word(default));
            for rule in rules {
                value.extend(["\n", word(rule.allow), " ", &rule.line()]);
            }
            draft.write("devices", DEVICE_PROGRAM, value);
            Ok(())
        }
        None | Some(Version::V2) => Err(Error::NoController {
            controller: "devices".to_owned(),
        }),
    }
}

/// v1 keeps a default and a set of exceptions from it: taking back a part of an exception cannot
/// be said there.
fn plan_v1(default: bool, rules: &[Rule], draft: &mut Draft<'_>) {
    draft.write(
        "devices",
        if default {
            "devices.allow"
        } else {
            "devices.deny"
        },
        "a",
    );
    for (index, rule) in rules.iter().enumerate() {
        if rule.allow != default {
            draft.write(
                "devices",
                if rule.allow {
                    "devices.allow"
                } else {
                    "devices.deny"
                },
                rule.line(),
            );
            continue;
        }
        let touched = rules[..index]
            .iter()
            .filter(|other| other.allow != default && other.meets(rule));
        for other in touched {
            if (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor) {
                let file = if rule.allow {
                    "devices.allow"
                } else {
                    "devices.deny"
                };
                draft.write("devices", file, rule.line());
            } else {
                draft.warn(format!(
                    "cgroup v1 cannot {} device {} after {} device {}: the rule is ignored",
                    word(rule.allow),
                    rule.line(),
                    word(other.allow),
                    other.line()
                ));
            }
        }
    }
}

fn word(allow: bool) -> &'static str {
    if allow { "allow" } else { "deny" }
}

impl Rule {
    fn new(rule: &DeviceRule) -> Result<Self> {
        let kind = match &*rule.kind {
            "" | "a" => 'a',
            "c" | "u" => 'c',
            "b" => 'b',
            other => return Err(invalid(format!("device type {other:?}"))),
        };
        let number = |number: Option<i64>| match number {
            None | Some(-1) => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| invalid(format!("device number {number}"))),
        };
        let access = if rule.access.is_empty() {
            "rwm"
        } else {
            &rule.access
        };
        let (major, minor) = (number(rule.major)?, number(rule.minor)?);
        Ok(Self {
            allow: rule.allow,
            kind,
            major,
            minor,
            access: Access::parse(access)?,
        })
    }

    fn is_total(&self) -> bool {
        self.kind == 'a' && self.major.is_none() && self.minor.is_none() && self.access == ALL
    }

    /// Some device and access is matched by both.
    fn meets(&self, other: &Self) -> bool {
        let same = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        (self.kind == 'a' || other.kind == 'a' || self.kind == other.kind)
            && same(self.major, other.major)
            && same(self.minor, other.minor)
            && self.access.0 & other.access.0 != 0
    }

    /// `c 1:* rw`
    fn line(&self) -> String {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |n| n.to_string());
        let (major, minor) = (number(self.major), number(self.minor));
        let letters = LETTERS.iter().filter(|(_, bit)| self.access.0 & bit != 0);
        let access: String = letters.map(|(letter, _)| *letter).collect();
        format!("{} {major}:{minor} {access}", self.kind)
    }

    /// The inverse of [`Rule::line`] with the word before it.
    fn parse(line: &str) -> Option<Self> {
        let mut parts = line.split(' ');
        let allow = parts.next()? == "allow";
        let kind = parts.next()?.chars().next()?;
        let (major, minor) = parts.next()?.split_once(':')?;
        let access = Access::parse(parts.next()?).ok()?;
        Some(Self {
            allow,
            kind,
            major: major.parse().ok(),
            minor: minor.parse().ok(),
            access,
        })
    }
}

impl Access {
    fn parse(text: &str) -> Result<Self> {
        let mut bits = 0;
        for letter in text.chars() {
            let known = LETTERS.iter().find(|(own, _)| *own == letter);
            bits |= known
                .ok_or_else(|| invalid(format!("device access {text:?}")))?
                .1;
        }
        Ok(Self(bits))
    }
}

/// Registers of the program: what is still asked for, type, major, minor.
const ASKED: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const MAJOR: u8 = 3;
const MINOR: u8 = 4;

/// The program for the value of a [`DEVICE_PROGRAM`]: rules are tried from the last to the first;
/// each that matches denies at once, or takes what it allows off what is still asked for.
pub(crate) fn program(value: &str) -> Option<Vec<u64>> {
    let rules = value.lines().map(Rule::parse).collect::<Option<Vec<_>>>()?;
    let mut code = vec![
        // struct bpf_cgroup_dev_ctx { u32 access_type (access << 16 | type), major, minor }
        load_word(ASKED, CONTEXT, 0),
        load_word(KIND, CONTEXT, 0),
        load_word(MAJOR, CONTEXT, 4),
        load_word(MINOR, CONTEXT, 8),
        shift_right(ASKED, 16),
        and(KIND, 0xffff),
    ];
    for rule in rules.iter().rev() {
        rule.emit(&mut code);
    }
    code.extend([set(0, 0), EXIT]);
    Some(code)
}

impl Rule {
    fn emit(&self, code: &mut Vec<u64>) {
        let decide = if self.allow {
            // Nothing is left to ask for: yes.
            vec![
                and(ASKED, u32::from(!self.access.0)),
                jump_unless_equal(ASKED, 0, 2),
                set(0, 1),
                EXIT,
            ]
        } else {
            vec![
                jump_if_set(ASKED, u32::from(self.access.0), 1),
                jump(2),
                set(0, 0),
                EXIT,
            ]
        };
        // enum bpf_devcg: block 1, char 2.
        let kind = match self.kind {
            'b' => Some(1),
            'c' => Some(2),
            _ => None,
        };
        let tests = [(KIND, kind), (MAJOR, self.major), (MINOR, self.minor)];
        let mut tests: Vec<_> = tests
            .into_iter()
            .filter_map(|(register, wanted)| Some((register, wanted?)))
            .collect();
        while !tests.is_empty() {
            let (register, wanted) = tests.remove(0);
            let skip = tests.len() + decide.len();
            code.push(jump_unless_equal(register, wanted, skip));
        }
        code.extend(decide);
    }
}

/// One instruction of struct bpf_insn, little endian.
fn instruction(code: u8, dst: u8, src: u8, offset: usize, immediate: u32) -> u64 {
    let offset = u64::try_from(offset).expect("invariant: a jump skips a few instructions");
    u64::from(code)
        | u64::from(dst) << 8
        | u64::from(src) << 12
        | offset << 16
        | u64::from(immediate) << 32
}

const EXIT: u64 = 0x95;

/// BPF_LDX | BPF_MEM | BPF_W
fn load_word(dst: u8, src: u8, offset: usize) -> u64 {
    instruction(0x61, dst, src, offset, 0)
}

/// BPF_ALU | BPF_RSH | BPF_K
fn shift_right(dst: u8, bits: u32) -> u64 {
    instruction(0x74, dst, 0, 0, bits)
}

/// BPF_ALU | BPF_AND | BPF_K
fn and(dst: u8, mask: u32) -> u64 {
    instruction(0x54, dst, 0, 0, mask)
}

/// BPF_ALU64 | BPF_MOV | BPF_K
fn set(dst: u8, value: u32) -> u64 {
    instruction(0xb7, dst, 0, 0, value)
}

/// BPF_JMP32 | BPF_JNE | BPF_K
fn jump_unless_equal(dst: u8, value: u32, skip: usize) -> u64 {
    instruction(0x56, dst, 0, skip, value)
}

/// BPF_JMP32 | BPF_JSET | BPF_K
fn jump_if_set(dst: u8, mask: u32, skip: usize) -> u64 {
    instruction(0x46, dst, 0, skip, mask)
}

/// BPF_JMP | BPF_JA
fn jump(skip: usize) -> u64 {
    instruction(0x05, 0, 0, skip, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hierarchy::Topology;

    fn rules(text: &str) -> Vec<DeviceRule> {
        let parse = |line: &str| {
            let rule = Rule::parse(line.trim()).unwrap();
            DeviceRule {
                allow: rule.allow,
                kind: rule.kind.to_string(),
                major: rule.major.map(i64::from),
                minor: rule.minor.map(i64::from),
                access: rule.line().rsplit(' ').next().unwrap().to_owned(),
            }
        };
        text.split(';').map(parse).collect()
    }

    fn planned(topology: &Topology, text: &str) -> Vec<String> {
        let mut draft = Draft {
            topology,
            writes: Vec::new(),
            warnings: Vec::new(),
        };
        plan(&rules(text), &mut draft).unwrap();
        let writes = draft
            .writes
            .into_iter()
            .map(|w| format!("{}={}", w.file, w.value));
        writes
            .chain(draft.warnings.into_iter().map(|w| format!("! {w}")))
            .collect()
    }

    fn on_v1(text: &str) -> Vec<String> {
        let mount = "1 2 0:3 / /c/devices rw - cgroup cgroup rw,devices\n";
        planned(&Topology::parse(mount, "1:devices:/\n", ""), text)
    }

    fn on_v2(text: &str) -> Vec<String> {
        planned(
            &Topology::parse("1 2 0:3 / /c rw - cgroup2 cgroup2 rw\n", "0::/\n", "cpu"),
            text,
        )
    }

    #[test]
    fn v1_denies_all_and_allows_line_by_line() {
        assert_eq!(
            on_v1("deny a *:* rwm; allow c 1:3 rwm; allow b *:* m"),
            [
                "devices.deny=a",
                "devices.allow=c 1:3 rwm",
                "devices.allow=b *:* m"
            ]
        );
        // Without a rule for everything the default is to deny.
        assert_eq!(
            on_v1("allow c 1:3 r"),
            ["devices.deny=a", "devices.allow=c 1:3 r"]
        );
    }

    #[test]
    fn all_devices_need_no_write() {
        assert_eq!(on_v1("allow a *:* rwm"), [""; 0]);
        assert_eq!(on_v2("deny c 1:3 r; allow a *:* rwm"), [""; 0]);
    }

    #[test]
    fn v1_takes_back_whole_exceptions_only() {
        assert_eq!(
            on_v1("deny a *:* rwm; allow c 1:3 rwm; deny c 1:3 w; deny c 9:9 r"),
            [
                "devices.deny=a",
                "devices.allow=c 1:3 rwm",
                "devices.deny=c 1:3 w"
            ]
        );
        assert_eq!(
            on_v1("deny a *:* rwm; allow c 1:* rwm; deny c 1:3 w"),
            [
                "devices.deny=a",
                "devices.allow=c 1:* rwm",
                "! cgroup v1 cannot deny device c 1:3 w after allow device c 1:* rwm: the rule is ignored"
            ]
        );
        assert_eq!(
            on_v1("allow a *:* rwm; deny c 1:3 w"),
            ["devices.allow=a", "devices.deny=c 1:3 w"]
        );
    }

    #[test]
    fn v2_keeps_the_rules_in_one_value() {
        assert_eq!(
            on_v2("deny a *:* rwm; allow c 1:3 rwm; deny c 1:3 w"),
            ["devices.program=deny a *:* rwm\nallow c 1:3 rwm\ndeny c 1:3 w"]
        );
    }

    #[test]
    fn refuses_what_is_no_device() {
        let refuse = |kind: &str, major: i64, access: &str| {
            let rule = DeviceRule {
                kind: kind.to_owned(),
                major: Some(major),
                access: access.to_owned(),
                ..DeviceRule::default()
            };
            Rule::new(&rule).unwrap_err().to_string()
        };
        assert_eq!(refuse("p", 1, "r"), "invalid resources: device type \"p\"");
        assert_eq!(refuse("c", -2, "r"), "invalid resources: device number -2");
        assert_eq!(
            refuse("c", 1, "rx"),
            "invalid resources: device access \"rx\""
        );
    }

    /// Runs a program as the kernel would.
    fn run(code: &[u64], kind: u32, access: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0_u64; 11];
        let mut next = 0;
        loop {
            let [op, regs, low, high, rest @ ..] = code[next].to_le_bytes();
            let dst = usize::from(regs & 15);
            let offset = usize::from(u16::from_le_bytes([low, high]));
            let immediate = u32::from_le_bytes(rest);
            let word = u32::try_from(registers[dst] & 0xffff_ffff).unwrap();
            next += 1;
            match op {
                0x61 => registers[dst] = u64::from(context[offset / 4]),
                0x74 => registers[dst] = u64::from(word >> immediate),
                0x54 => registers[dst] = u64::from(word & immediate),
                0xb7 => registers[dst] = u64::from(immediate),
                0x56 if word != immediate => next += offset,
                0x46 if word & immediate != 0 => next += offset,
                0x56 | 0x46 => {}
                0x05 => next += offset,
                0x95 => return registers[0],
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    /// Every bit that is asked for must be allowed by the last rule that matches it.
    fn allowed(rules: &[Rule], kind: char, access: u8, major: u32, minor: u32) -> bool {
        [1, 2, 4]
            .into_iter()
            .filter(|bit| access & bit != 0)
            .all(|bit| {
                let asked = Rule {
                    allow: true,
                    kind,
                    major: Some(major),
                    minor: Some(minor),
                    access: Access(bit),
                };
                rules
                    .iter()
                    .rev()
                    .find(|rule| rule.meets(&asked))
                    .is_some_and(|rule| rule.allow)
            })
    }

    #[test]
    fn the_program_decides_as_the_rules_say() {
        for text in [
            "deny a *:* rwm",
            "deny a *:* rwm;allow c 1:3 rwm;allow c *:* m;allow b *:* m",
            "deny a *:* rwm;allow c 1:3 r;allow c 1:3 w;deny c 1:* w;allow b 8:* rw",
            "allow a *:* rwm;deny c 1:3 w;deny b 8:0 rwm",
            "deny a *:* rwm;allow a 1:* rw;deny b *:3 r",
        ] {
            let value = text.replace(';', "\n");
            let code = program(&value).unwrap();
            let rules: Vec<_> = value
                .lines()
                .map(|line| Rule::parse(line).unwrap())
                .collect();
            for (kind, number) in [('b', 1), ('c', 2)] {
                for access in 1..8_u8 {
                    for (major, minor) in [(1, 3), (1, 5), (8, 0), (8, 3)] {
                        let got = run(&code, number, u32::from(access), major, minor);
                        let expect = allowed(&rules, kind, access, major, minor);
                        assert_eq!(got == 1, expect, "{text}: {kind} {major}:{minor} {access}");
                    }
                }
            }
        }
    }
}
