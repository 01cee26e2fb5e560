//! Pure: arguments → flags and words, by the rules of Docker's flag library (pflag).

use types::units;

use crate::tables::{Flag, Kind};
use crate::text::append;

/// What was typed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// Flags in the order they were given, their values checked.
    pub(crate) values: Vec<(&'static Flag, String)>,
    /// The rest.
    pub(crate) args: Vec<String>,
    /// `--help` was among them.
    pub(crate) help: bool,
}

impl Parsed {
    /// Keeps the flags that `wanted` says, by their long names.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        self.values.retain(|(flag, _)| wanted(flag.long));
    }

    /// Returns the last value of a flag.
    pub(crate) fn last(&self, long: &str) -> Option<&str> {
        self.values
            .iter()
            .rev()
            .find(|(flag, _)| flag.long == long)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the last value of a flag, or an empty text.
    pub(crate) fn text(&self, long: &str) -> &str {
        self.last(long).unwrap_or_default()
    }

    /// Returns all values of a flag.
    pub(crate) fn all(&self, long: &str) -> Vec<String> {
        self.all_of(&[long])
    }

    /// Returns all values of a flag that has several names, in the order in which they were given.
    pub(crate) fn all_of(&self, names: &[&str]) -> Vec<String> {
        let given = self
            .values
            .iter()
            .filter(|(flag, _)| names.contains(&flag.long));
        given.map(|(_, value)| value.clone()).collect()
    }

    /// Returns whether a switch is on.
    pub(crate) fn is_set(&self, long: &str) -> bool {
        self.last(long)
            .is_some_and(|value| parse_bool(value) == Some(true))
    }

    /// Returns a switch that is on unless it was switched off.
    pub(crate) fn is_set_or_default(&self, long: &str) -> bool {
        self.last(long)
            .is_none_or(|value| parse_bool(value) == Some(true))
    }

    /// Returns whether a flag was given at all.
    pub(crate) fn given(&self, long: &str) -> bool {
        self.last(long).is_some()
    }

    /// Returns a number; 0 when it was not given.
    pub(crate) fn int(&self, long: &str) -> i64 {
        self.last(long).and_then(parse_int).unwrap_or(0)
    }

    /// Returns a size in bytes; 0 when it was not given.
    pub(crate) fn bytes(&self, long: &str) -> i64 {
        match self.last(long) {
            Some("-1") => -1,
            Some(text) => units::parse_bytes(text).unwrap_or(0),
            None => 0,
        }
    }

    /// Returns a duration in nanoseconds; 0 when it was not given.
    pub(crate) fn duration(&self, long: &str) -> i64 {
        self.last(long)
            .and_then(|text| units::parse_duration(text).ok())
            .unwrap_or(0)
    }

    /// Returns the filters of `--filter`.
    pub(crate) fn filters(&self) -> api::Filters {
        let mut filters = api::Filters::default();
        for text in self.all("filter") {
            if let Some((key, value)) = text.split_once('=') {
                filters.add(key.trim().to_lowercase().as_str(), value.trim());
            }
        }
        filters
    }
}

/// Parses arguments. The error is the line that Docker prints first.
pub(crate) fn parse(
    flags: &[&'static Flag],
    interspersed: bool,
    args: &[String],
) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            parsed.args.extend(rest.cloned());
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            parse_long(&mut parsed, flags, long, &mut rest)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            parse_short(&mut parsed, flags, &arg[1..], &mut rest)?;
        } else {
            parsed.args.push(arg.clone());
            if !interspersed {
                parsed.args.extend(rest.cloned());
                break;
            }
        }
        if parsed.help {
            break;
        }
    }
    Ok(parsed)
}

fn parse_long<'a>(
    parsed: &mut Parsed,
    flags: &[&'static Flag],
    text: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(format!("bad flag syntax: --{text}"));
    }
    let Some(flag) = flags.iter().find(|flag| flag.long == name) else {
        if name == "help" {
            parsed.help = true;
            return Ok(());
        }
        return Err(format!("unknown flag: --{name}"));
    };
    let value = match value {
        Some(value) => value,
        None if flag.kind == Kind::Switch => "true".to_owned(),
        None => rest
            .next()
            .cloned()
            .ok_or_else(|| format!("flag needs an argument: --{name}"))?,
    };
    store(parsed, flag, value)
}

fn parse_short<'a>(
    parsed: &mut Parsed,
    flags: &[&'static Flag],
    text: &str,
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    let mut letters = text;
    while let Some(letter) = letters.chars().next() {
        let behind = &letters[letter.len_utf8()..];
        let Some(flag) = flags
            .iter()
            .find(|flag| flag.short == letter && letter != ' ')
        else {
            if letter == 'h' {
                parsed.help = true;
                return Ok(());
            }
            return Err(format!("unknown shorthand flag: '{letter}' in -{letters}"));
        };
        if let Some(value) = behind.strip_prefix('=') {
            return store(parsed, flag, value.to_owned());
        }
        if flag.kind == Kind::Switch {
            store(parsed, flag, "true".to_owned())?;
            letters = behind;
            continue;
        }
        let value = if behind.is_empty() {
            let next = rest.next().cloned();
            next.ok_or_else(|| format!("flag needs an argument: '{letter}' in -{letters}"))?
        } else {
            behind.to_owned()
        };
        return store(parsed, flag, value);
    }
    Ok(())
}

fn store(parsed: &mut Parsed, flag: &'static Flag, value: String) -> Result<(), String> {
    check(flag.kind, &value).map_err(|reason| {
        let shown = match flag.short {
            ' ' => format!("--{}", flag.long),
            short => format!("-{short}, --{}", flag.long),
        };
        format!(
            "invalid argument {} for \"{shown}\" flag: {reason}",
            quote(&value)
        )
    })?;
    if flag.kind == Kind::Strings {
        let parts = value.split(',').map(|part| (flag, part.to_owned()));
        parsed.values.extend(parts);
    } else {
        parsed.values.push((flag, value));
    }
    Ok(())
}

/// Quotes as Go's `%q` does for what people type.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                append(&mut quoted, format_args!("\\x{:02x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Checks a value as Docker's client does while it parses.
fn check(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Switch => parse_bool(value).map(drop).ok_or_else(|| {
            format!(
                "strconv.ParseBool: parsing {}: invalid syntax",
                quote(value)
            )
        }),
        Kind::Int => number("ParseInt", value, parse_int(value).is_some()),
        Kind::Uint => number(
            "ParseUint",
            value,
            value.parse::<u64>().is_ok() && !value.starts_with('+'),
        ),
        Kind::Uint16 => number(
            "ParseUint",
            value,
            value.parse::<u16>().is_ok() && !value.starts_with('+'),
        ),
        Kind::MemorySwap if value == "-1" => Ok(()),
        Kind::Filter if value.is_empty() || value.contains('=') => Ok(()),
        Kind::Bytes | Kind::MemorySwap => text_of(units::parse_bytes(value)),
        Kind::Decimal => text_of(units::parse_cpus(value)),
        Kind::Duration => text_of(units::parse_duration(value)),
        Kind::Filter => Err("bad format of filter (expected name=value)".to_owned()),
        Kind::Env => text_of(types::env::parse(value, |_| None)),
        Kind::Label => text_of(types::label::parse(value)),
        Kind::Mount => text_of(types::MountSpec::parse_mount(value)),
        Kind::Attach => match value.to_ascii_lowercase().as_str() {
            "stdin" | "stdout" | "stderr" => Ok(()),
            _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
        },
        Kind::IpList => {
            let address = value.trim().parse::<std::net::IpAddr>();
            address
                .map(drop)
                .map_err(|_| format!("IP address is not correctly formatted: {value}"))
        }
        Kind::ExtraHost => crate::device_flags::extra_host(value).map(drop),
        Kind::Sysctl => crate::device_flags::sysctl(value),
        Kind::Network => crate::network_flags::network(value).map(drop),
        Kind::Ulimit => crate::device_flags::ulimit(value).map(drop),
        Kind::WeightDevice => crate::device_flags::weight_device(value).map(drop),
        Kind::RateBytes => crate::device_flags::rate_device(value, true).map(drop),
        Kind::RateCount => crate::device_flags::rate_device(value, false).map(drop),
        Kind::Gpu => crate::device_flags::gpus(value).map(drop),
        Kind::DeviceRule => crate::device_flags::device_rule(value),
        Kind::Text | Kind::List | Kind::Strings | Kind::Map | Kind::Device | Kind::Link => Ok(()),
    }
}

/// Checks a number; `fits` says whether it is one of the wanted kind.
fn number(function: &str, text: &str, fits: bool) -> Result<(), String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let reason = match (plain, fits) {
        (_, true) => return Ok(()),
        (true, false) if !text.starts_with('-') || function == "ParseInt" => "value out of range",
        _ => "invalid syntax",
    };
    Err(format!(
        "strconv.{function}: parsing {}: {reason}",
        quote(text)
    ))
}

fn text_of<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

/// Parses a truth value as Go's `strconv.ParseBool` does.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Parses a number as Go's `strconv.ParseInt` with base 0 does.
fn parse_int(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::commands;

    fn parsed(path: &str, args: &[&str]) -> Result<Parsed, String> {
        let command = commands()
            .find(|command| command.paths.contains(&path))
            .unwrap();
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let flags: Vec<_> = command.flags().collect();
        parse(&flags, command.interspersed, &args)
    }

    #[test]
    fn flags_stand_where_pflag_takes_them() {
        let run = parsed(
            "run",
            &[
                "-itw", "/x", "--rm", "-e=A=1", "--name=n", "img", "-x", "--rm",
            ],
        )
        .unwrap();
        assert_eq!(run.args, ["img", "-x", "--rm"]);
        assert_eq!(run.text("workdir"), "/x");
        assert_eq!(run.all("env"), ["A=1"]);
        assert!(run.is_set("tty") && run.is_set("interactive") && run.is_set("rm"));
        let ps = parsed("ps", &["a", "-n5", "--all=false", "--", "-q"]).unwrap();
        assert_eq!((ps.int("last"), ps.is_set("all")), (5, false));
        assert_eq!(ps.args, ["a", "-q"]);
        assert!(parsed("ps", &["--help"]).unwrap().help);
        assert!(parsed("ps", &["-h"]).unwrap().help);
        assert_eq!(
            parsed("run", &["-h", "x", "i"]).unwrap().text("hostname"),
            "x"
        );
    }

    #[test]
    fn complaints_are_docker_s() {
        for (path, args, text) in [
            ("ps", &["--nosuch"][..], "unknown flag: --nosuch"),
            ("ps", &["-aX"], "unknown shorthand flag: 'X' in -X"),
            ("ps", &["-an"], "flag needs an argument: 'n' in -n"),
            ("stop", &["--time"], "flag needs an argument: --time"),
            (
                "ps",
                &["-n", "x"],
                "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "ps",
                &["--all=foo"],
                "invalid argument \"foo\" for \"-a, --all\" flag: strconv.ParseBool: parsing \"foo\": invalid syntax",
            ),
            (
                "run",
                &["-m", "5x"],
                "invalid argument \"5x\" for \"-m, --memory\" flag: invalid suffix: 'x'",
            ),
            (
                "run",
                &["--mount", "type=foo"],
                "invalid argument \"type=foo\" for \"--mount\" flag: target is required",
            ),
            (
                "ps",
                &["-f", "foo"],
                "invalid argument \"foo\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
            ),
            (
                "run",
                &["-e", "=x"],
                "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x",
            ),
        ] {
            assert_eq!(parsed(path, args).unwrap_err(), text);
        }
    }
}
