//! Rules become instructions (no I/O): the architecture first, then a binary tree over ranges of
//! numbers, conditions on arguments last.

use sys::seccomp::Instruction;

use super::profile::{Abi, Compare, Condition, RET_ERRNO, Rules, Table, Verdict, X32_BIT};

/// `AUDIT_ARCH_X86_64`.
pub(super) const ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub(super) const ARCH_X86: u32 = 0x4000_0003;
/// What a call of an architecture that the filter does not know gets, as with libseccomp.
pub(super) const BAD_ARCHITECTURE: u32 = 0;
/// `SECCOMP_RET_ERRNO | ENOSYS`.
pub(super) const NO_SUCH_CALL: u32 = RET_ERRNO | 0x26;

// <linux/bpf_common.h>
const LD_W_ABS: u16 = 0x20;
const ALU_AND_K: u16 = 0x54;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGT_K: u16 = 0x25;
const JMP_JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;

// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Returns the program.
pub(super) fn compile(rules: &Rules) -> Vec<Instruction> {
    let empty = Table::default();
    let native = rules.tables.get(&Abi::X86_64).unwrap_or(&empty);
    let wide = section(rules.default, native, 0..X32_BIT, true);
    let x32 = rules.tables.get(&Abi::X32).map_or_else(
        || {
            vec![Range {
                first: X32_BIT,
                leaf: vec![ret(BAD_ARCHITECTURE)],
            }]
        },
        |table| section(rules.default, table, X32_BIT..u32::MAX, true),
    );
    let wide = tree(&[wide, x32].concat());
    let narrow = rules
        .tables
        .get(&Abi::X86)
        .map(|table| tree(&section(rules.default, table, 0..u32::MAX, false)));
    let mut program = vec![load(ARCHITECTURE)];
    program.extend(branch(JMP_JEQ_K, ARCH_X86_64, numbered(wide)));
    if let Some(narrow) = narrow {
        program.extend(branch(JMP_JEQ_K, ARCH_X86, numbered(narrow)));
    }
    program.push(ret(BAD_ARCHITECTURE));
    program
}

/// Numbers from `first` on, up to the next range, that share a leaf: code that ends with a return.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    leaf: Vec<Instruction>,
}

/// The ranges of one table, neighbours of the same leaf merged.
fn section(default: u32, table: &Table, numbers: std::ops::Range<u32>, wide: bool) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut push = |first: u32, leaf: Vec<Instruction>| {
        if ranges.last().is_none_or(|last| last.leaf != leaf) {
            ranges.push(Range { first, leaf });
        }
    };
    let mut next = numbers.start;
    for (&number, verdict) in table.calls.range(numbers.clone()) {
        if number > next {
            push(next, vec![ret(default)]);
        }
        push(number, leaf(default, verdict, wide));
        next = number + 1;
    }
    let rest = if table.newest.is_some() {
        NO_SUCH_CALL
    } else {
        default
    };
    if next < numbers.end {
        push(next, vec![ret(rest)]);
    }
    ranges
}

/// A binary search over the ranges.
fn tree(ranges: &[Range]) -> Vec<Instruction> {
    match ranges {
        [] => vec![ret(BAD_ARCHITECTURE)],
        [one] => one.leaf.clone(),
        ranges => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let first = high.first().map_or(0, |range| range.first);
            let (low, high) = (tree(low), tree(high));
            let mut code = Vec::with_capacity(low.len() + high.len() + 2);
            match u8::try_from(low.len()) {
                Ok(over) => code.push(jump(JMP_JGE_K, first, over, 0)),
                // Too far for a conditional jump.
                Err(_) => code.extend([jump(JMP_JGE_K, first, 0, 1), always(low.len())]),
            }
            code.extend(low);
            code.extend(high);
            code
        }
    }
}

/// Runs `code`, which ends with a return, if the comparison holds, and goes on behind it if not.
fn branch(comparison: u16, value: u32, code: Vec<Instruction>) -> Vec<Instruction> {
    let mut all = match u8::try_from(code.len()) {
        Ok(over) => vec![jump(comparison, value, 0, over)],
        Err(_) => vec![jump(comparison, value, 1, 0), always(code.len())],
    };
    all.extend(code);
    all
}

fn numbered(code: Vec<Instruction>) -> Vec<Instruction> {
    let mut all = vec![load(NUMBER)];
    all.extend(code);
    all
}

fn leaf(default: u32, verdict: &Verdict, wide: bool) -> Vec<Instruction> {
    match verdict {
        Verdict::Always(action) => vec![ret(*action)],
        Verdict::When(rules) => {
            let mut code = Vec::new();
            for (conditions, action) in rules {
                code.extend(rule(conditions, *action, wide));
            }
            code.push(ret(default));
            code
        }
    }
}

/// Returns `action` if all conditions hold, and goes on behind itself if not.
fn rule(conditions: &[Condition], action: u32, wide: bool) -> Vec<Instruction> {
    let mut code = vec![ret(action)];
    for condition in conditions.iter().rev() {
        let check = if wide {
            wide_check(condition)
        } else {
            narrow_check(condition)
        };
        code = place(&check, code);
    }
    code
}

/// Where a step of a check goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Next,
    /// Behind the check: the condition holds.
    Pass,
    /// Behind the rule: it does not.
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Load(u32),
    And(u32),
    Jump {
        comparison: u16,
        value: u32,
        yes: To,
        no: To,
    },
}

/// Turns places into distances. A rule has at most six checks of six instructions, so that every
/// distance fits its byte.
fn place(check: &[Op], rest: Vec<Instruction>) -> Vec<Instruction> {
    let mut code = Vec::with_capacity(check.len() + rest.len());
    for (at, op) in check.iter().enumerate() {
        let distance = |to| {
            let behind = check.len() - at - 1;
            let distance = match to {
                To::Next => 0,
                To::Pass => behind,
                To::Fail => behind + rest.len(),
            };
            u8::try_from(distance).expect("a rule is at most 37 instructions long")
        };
        code.push(match *op {
            Op::Load(offset) => load(offset),
            Op::And(mask) => Instruction {
                code: ALU_AND_K,
                jt: 0,
                jf: 0,
                k: mask,
            },
            Op::Jump {
                comparison,
                value,
                yes,
                no,
            } => jump(comparison, value, distance(yes), distance(no)),
        });
    }
    code.extend(rest);
    code
}

/// Compares all 64 bits, the upper half first.
fn wide_check(condition: &Condition) -> Vec<Op> {
    let offset = ARGUMENTS + 8 * u32::from(condition.argument);
    let (low, high) = halves(condition.value);
    let jump = |comparison, value, yes, no| Op::Jump {
        comparison,
        value,
        yes,
        no,
    };
    let load_high = Op::Load(offset + 4);
    let load_low = Op::Load(offset);
    let ordered = |if_above, if_below, last| {
        vec![
            load_high,
            jump(JMP_JGT_K, high, if_above, To::Next),
            jump(JMP_JEQ_K, high, To::Next, if_below),
            load_low,
            last,
        ]
    };
    match condition.compare {
        Compare::Eq => vec![
            load_high,
            jump(JMP_JEQ_K, high, To::Next, To::Fail),
            load_low,
            jump(JMP_JEQ_K, low, To::Pass, To::Fail),
        ],
        Compare::Ne => vec![
            load_high,
            jump(JMP_JEQ_K, high, To::Next, To::Pass),
            load_low,
            jump(JMP_JEQ_K, low, To::Fail, To::Pass),
        ],
        Compare::Gt => ordered(To::Pass, To::Fail, jump(JMP_JGT_K, low, To::Pass, To::Fail)),
        Compare::Ge => ordered(To::Pass, To::Fail, jump(JMP_JGE_K, low, To::Pass, To::Fail)),
        Compare::Lt => ordered(To::Fail, To::Pass, jump(JMP_JGE_K, low, To::Fail, To::Pass)),
        Compare::Le => ordered(To::Fail, To::Pass, jump(JMP_JGT_K, low, To::Fail, To::Pass)),
        Compare::Masked(mask) => {
            let (mask_low, mask_high) = halves(mask);
            vec![
                load_high,
                Op::And(mask_high),
                jump(JMP_JEQ_K, high, To::Next, To::Fail),
                load_low,
                Op::And(mask_low),
                jump(JMP_JEQ_K, low, To::Pass, To::Fail),
            ]
        }
    }
}

/// Compares the 32 bits that arguments of a 32-bit process have.
fn narrow_check(condition: &Condition) -> Vec<Op> {
    let (value, _) = halves(condition.value);
    let load = Op::Load(ARGUMENTS + 8 * u32::from(condition.argument));
    let (comparison, yes, no) = match condition.compare {
        Compare::Eq | Compare::Masked(_) => (JMP_JEQ_K, To::Pass, To::Fail),
        Compare::Ne => (JMP_JEQ_K, To::Fail, To::Pass),
        Compare::Gt => (JMP_JGT_K, To::Pass, To::Fail),
        Compare::Ge => (JMP_JGE_K, To::Pass, To::Fail),
        Compare::Lt => (JMP_JGE_K, To::Fail, To::Pass),
        Compare::Le => (JMP_JGT_K, To::Fail, To::Pass),
    };
    let last = Op::Jump {
        comparison,
        value,
        yes,
        no,
    };
    match condition.compare {
        Compare::Masked(mask) => vec![load, Op::And(halves(mask).0), last],
        _ => vec![load, last],
    }
}

fn halves(value: u64) -> (u32, u32) {
    ((value & 0xffff_ffff) as u32, (value >> 32) as u32)
}

const fn load(offset: u32) -> Instruction {
    Instruction {
        code: LD_W_ABS,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

const fn ret(action: u32) -> Instruction {
    Instruction {
        code: RET_K,
        jt: 0,
        jf: 0,
        k: action,
    }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

fn always(distance: usize) -> Instruction {
    let k = u32::try_from(distance).expect("a filter is far below 4 Gi instructions");
    Instruction {
        code: JMP_JA,
        jt: 0,
        jf: 0,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::super::default_profile;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// A call as the kernel shows it to a filter.
    #[derive(Clone, Copy, Debug)]
    struct Call {
        arch: u32,
        number: u32,
        args: [u64; 6],
    }

    /// What the kernel makes of a program.
    fn run(program: &[Instruction], call: Call) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => call.number,
            ARCHITECTURE => call.arch,
            offset => {
                let (low, high) = halves(call.args[((offset - ARGUMENTS) / 8) as usize]);
                if offset.is_multiple_of(8) { low } else { high }
            }
        };
        let (mut at, mut a) = (0, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let mut either = |yes: bool| at += usize::from(if yes { jt } else { jf });
            match code {
                LD_W_ABS => a = word(k),
                ALU_AND_K => a &= k,
                JMP_JA => at += k as usize,
                JMP_JEQ_K => either(a == k),
                JMP_JGT_K => either(a > k),
                JMP_JGE_K => either(a >= k),
                RET_K => return k,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    /// What the rules say, read one after the other.
    fn naive(rules: &Rules, call: Call) -> u32 {
        let abi = match (call.arch, call.number >= X32_BIT) {
            (ARCH_X86_64, false) => Abi::X86_64,
            (ARCH_X86_64, true) => Abi::X32,
            (ARCH_X86, _) => Abi::X86,
            _ => return BAD_ARCHITECTURE,
        };
        let Some(table) = rules.tables.get(&abi) else {
            return BAD_ARCHITECTURE;
        };
        match table.calls.get(&call.number) {
            Some(Verdict::Always(action)) => *action,
            Some(Verdict::When(rules_of_call)) => rules_of_call
                .iter()
                .find(|(conditions, _)| conditions.iter().all(|one| holds(one, abi, call)))
                .map_or(rules.default, |(_, action)| *action),
            None => match table.newest {
                Some(newest) if call.number > newest => NO_SUCH_CALL,
                _ => rules.default,
            },
        }
    }

    fn holds(condition: &Condition, abi: Abi, call: Call) -> bool {
        let own = if abi == Abi::X86 {
            0xffff_ffff
        } else {
            u64::MAX
        };
        let arg = call.args[usize::from(condition.argument)] & own;
        let value = condition.value & own;
        match condition.compare {
            Compare::Ne => arg != value,
            Compare::Lt => arg < value,
            Compare::Le => arg <= value,
            Compare::Eq => arg == value,
            Compare::Ge => arg >= value,
            Compare::Gt => arg > value,
            Compare::Masked(mask) => arg & mask & own == value,
        }
    }

    /// Values that lie close to each other, and to the edges.
    fn values() -> impl Strategy<Value = u64> {
        let edges = [
            0,
            1,
            2,
            40,
            0xffff_ffff,
            1 << 32,
            (1 << 32) + 1,
            u64::MAX,
            0x7e02_0000,
        ];
        prop_oneof![prop::sample::select(edges.to_vec()), any::<u64>()]
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        let compare = prop_oneof![
            Just(Compare::Ne),
            Just(Compare::Lt),
            Just(Compare::Le),
            Just(Compare::Eq),
            Just(Compare::Ge),
            Just(Compare::Gt),
            values().prop_map(Compare::Masked),
        ];
        let one = (0_u8..6, compare, values()).prop_map(|(argument, compare, value)| {
            let value = if let Compare::Masked(mask) = compare {
                value & mask
            } else {
                value
            };
            Condition {
                argument,
                compare,
                value,
            }
        });
        prop::collection::vec(one, 1..=6)
    }

    fn table(base: u32) -> impl Strategy<Value = Table> {
        let actions = prop::sample::select(vec![0x7fff_0000, RET_ERRNO | 0xd, 0x8000_0000]);
        let verdict = prop_oneof![
            3 => actions.clone().prop_map(Verdict::Always),
            1 => prop::collection::vec((conditions(), actions), 1..4).prop_map(Verdict::When),
        ];
        let calls =
            prop::collection::btree_map((0_u32..600).prop_map(move |n| base | n), verdict, 0..200);
        (calls, any::<bool>()).prop_map(|(calls, newer)| {
            let newest = calls.keys().next_back().copied().filter(|_| newer);
            Table { calls, newest }
        })
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let others = (prop::option::of(table(0)), prop::option::of(table(X32_BIT)));
        (table(0), others).prop_map(|(native, (x86, x32))| {
            let mut tables = BTreeMap::from([(Abi::X86_64, native)]);
            tables.extend(x86.map(|table| (Abi::X86, table)));
            tables.extend(x32.map(|table| (Abi::X32, table)));
            Rules {
                default: RET_ERRNO | 1,
                tables,
                flags: 0,
            }
        })
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let arch = prop::sample::select(vec![ARCH_X86_64, ARCH_X86, 0x4000_0028]);
        let number = prop_oneof![
            0_u32..610,
            (0_u32..610).prop_map(|number| number | X32_BIT),
            Just(u32::MAX),
            Just(X32_BIT - 1),
        ];
        let one = (arch, number, prop::array::uniform6(values()))
            .prop_map(|(arch, number, args)| Call { arch, number, args });
        prop::collection::vec(one, 200)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn compiled_is_naive(rules in rules(), calls in calls()) {
            let program = compile(&rules);
            for call in calls {
                prop_assert_eq!(run(&program, call), naive(&rules, call), "{:?}", call);
            }
        }
    }

    #[test]
    fn default_profile_is_naive() {
        for capabilities in [&[][..], &["CAP_SYS_ADMIN".to_owned()][..]] {
            let rules = Rules::new(&default_profile(capabilities)).unwrap();
            let program = compile(&rules);
            assert!(program.len() < 800, "{}", program.len());
            for arch in [ARCH_X86_64, ARCH_X86, 7] {
                for base in [0, X32_BIT, 0x8000_0000] {
                    for number in (0..700).map(|number| base | number) {
                        for arg in [0, 8, 38, 39, 40, 0x2000_0000, 0xffff_ffff, 1 << 40] {
                            let call = Call {
                                arch,
                                number,
                                args: [arg; 6],
                            };
                            assert_eq!(run(&program, call), naive(&rules, call), "{call:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn default_profile_does_what_docker_s_does() {
        let rules = Rules::new(&default_profile(&[])).unwrap();
        let program = compile(&rules);
        let check = |number: u32, arg: u64, expect: u32| {
            let call = Call {
                arch: ARCH_X86_64,
                number,
                args: [arg; 6],
            };
            assert_eq!(run(&program, call), expect, "{call:?}");
        };
        let (allow, eperm) = (0x7fff_0000, RET_ERRNO | 1);
        check(0, 0, allow); // read
        check(165, 0, eperm); // mount
        check(435, 0, NO_SUCH_CALL); // clone3
        check(56, 17, allow); // clone, SIGCHLD
        check(56, 0x1000_0000, eperm); // clone, CLONE_NEWUSER
        check(41, 2, allow); // socket, AF_INET
        check(41, 16, allow); // AF_NETLINK
        check(41, 38, eperm); // AF_ALG
        check(41, 40, eperm); // AF_VSOCK
        check(250, 0, eperm); // keyctl
        check(425, 0, eperm); // io_uring_setup
        check(9999, 0, NO_SUCH_CALL);
    }
}
