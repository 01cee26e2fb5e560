//! Pure: logical lines become stages of typed instructions, each by its own grammar.

use super::instruction::{Command, CopyFlags, Form, From, Healthcheck, Instruction, RunFlags};
use super::lex::{self, Directives, Line, heredoc};
use super::{Error, Result, at, words};

/// Every instruction.
const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dockerfile {
    /// What its head says.
    pub directives: Directives,
    /// `ARG` before the first `FROM`.
    pub global: Vec<Node>,
    /// In order; at least one.
    pub stages: Vec<Stage>,
}

/// From one `FROM` to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// Its first line.
    pub from: From,
    /// As it stands in the file.
    pub original: String,
    /// Its line, from 1.
    pub line: usize,
    /// What follows.
    pub nodes: Vec<Node>,
}

/// An instruction and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub instruction: Instruction,
    /// As it stands in the file, joined.
    pub original: String,
    /// Its first line, from 1.
    pub line: usize,
}

/// Parses a file. All of it must be right, the stages that nobody needs too.
pub fn parse(text: &str) -> Result<Dockerfile> {
    if text.trim().is_empty() {
        return Err(Error::Whole("the Dockerfile cannot be empty".to_owned()));
    }
    let source = lex::read(text)?;
    let mut file = Dockerfile {
        directives: source.directives,
        ..Dockerfile::default()
    };
    let escape = file.directives.escape;
    for line in &source.lines {
        let (keyword, rest) = split(&line.text);
        let fail = |reason: String| at(line.start, reason);
        if keyword == "FROM" {
            file.stages.push(Stage {
                from: from(rest).map_err(fail)?,
                original: line.text.clone(),
                line: line.start,
                nodes: Vec::new(),
            });
            continue;
        }
        let node = Node {
            instruction: instruction(&keyword, rest, line, escape).map_err(fail)?,
            original: line.text.clone(),
            line: line.start,
        };
        match file.stages.last_mut() {
            Some(stage) => stage.nodes.push(node),
            None if matches!(node.instruction, Instruction::Arg(_)) => file.global.push(node),
            None => return Err(fail("no build stage in current context".to_owned())),
        }
    }
    if file.stages.is_empty() {
        return Err(Error::Whole(
            "dockerfile contains no stages to build".to_owned(),
        ));
    }
    Ok(file)
}

/// Parses one instruction that an image kept for builds from it.
pub fn parse_trigger(text: &str, line: usize) -> Result<Node> {
    let source = lex::read(text)?;
    let Some(only) = source.lines.first() else {
        return Err(at(line, "an ONBUILD trigger is empty"));
    };
    let (keyword, rest) = split(&only.text);
    Ok(Node {
        instruction: instruction(&keyword, rest, only, '\\').map_err(|reason| at(line, reason))?,
        original: only.text.clone(),
        line,
    })
}

fn split(text: &str) -> (String, &str) {
    let text = text.trim();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (text[..end].to_ascii_uppercase(), text[end..].trim())
}

/// What a line says, or why it says nothing.
type Parsed<T> = std::result::Result<T, String>;

fn instruction(keyword: &str, rest: &str, line: &Line, escape: char) -> Parsed<Instruction> {
    if !KEYWORDS.contains(&keyword) {
        let hint = words::nearest(keyword, &KEYWORDS)
            .map(|word| format!(" (did you mean {word}?)"))
            .unwrap_or_default();
        return Err(format!("unknown instruction: {keyword}{hint}"));
    }
    let (typed, rest) = match keyword {
        "ENV" | "LABEL" | "ARG" | "MAINTAINER" | "ONBUILD" => (Vec::new(), rest),
        _ => words::flags(rest),
    };
    if !["ADD", "COPY", "RUN", "HEALTHCHECK"].contains(&keyword) {
        Flags::read(typed.clone(), &[])?;
    }
    match keyword {
        "ADD" | "COPY" => copy(keyword, typed, rest, line),
        "ARG" => arg(rest, escape),
        "CMD" => Ok(Instruction::Cmd(form(rest)?)),
        "ENTRYPOINT" => Ok(Instruction::Entrypoint(form(rest)?)),
        "ENV" => words::pairs(rest, escape, keyword).map(Instruction::Env),
        "LABEL" => words::pairs(rest, escape, keyword).map(Instruction::Label),
        "EXPOSE" => some(keyword, words::blank(rest)).map(Instruction::Expose),
        "HEALTHCHECK" => healthcheck(typed, rest),
        "MAINTAINER" => exactly(keyword, rest).map(Instruction::Maintainer),
        "ONBUILD" => onbuild(rest, line, escape),
        "RUN" => run(typed, rest, line),
        "SHELL" => match words::json(rest)? {
            Some(list) if list.is_empty() => Err("SHELL requires at least one argument".to_owned()),
            Some(list) => Ok(Instruction::Shell(list)),
            None => Err("SHELL requires the arguments to be in JSON form".to_owned()),
        },
        "STOPSIGNAL" => exactly(keyword, rest).map(Instruction::Stopsignal),
        "USER" => exactly(keyword, rest).map(Instruction::User),
        "VOLUME" => {
            let list = some(keyword, list(rest)?)?;
            if list.iter().any(|one| one.trim().is_empty()) {
                return Err("VOLUME specified can not be an empty string".to_owned());
            }
            Ok(Instruction::Volume(list))
        }
        _ => exactly(keyword, rest).map(Instruction::Workdir),
    }
}

fn some(keyword: &str, list: Vec<String>) -> Parsed<Vec<String>> {
    if list.is_empty() {
        return Err(format!("{keyword} requires at least one argument"));
    }
    Ok(list)
}

fn exactly(keyword: &str, rest: &str) -> Parsed<String> {
    if rest.is_empty() {
        return Err(format!("{keyword} requires exactly one argument"));
    }
    Ok(rest.to_owned())
}

fn list(rest: &str) -> Parsed<Vec<String>> {
    Ok(match words::json(rest)? {
        Some(list) => list,
        None => words::blank(rest),
    })
}

fn form(rest: &str) -> Parsed<Form> {
    Ok(match words::json(rest)? {
        Some(list) => Form::Exec(list),
        None => Form::Shell(rest.to_owned()),
    })
}

fn from(rest: &str) -> Parsed<From> {
    let (typed, rest) = words::flags(rest);
    let mut flags = Flags::read(typed, &[("platform", Takes::Text)])?;
    let words = words::blank(rest);
    let name = match words.as_slice() {
        [_] => None,
        [_, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
            let name = name.to_ascii_lowercase();
            let first = name.starts_with(|c: char| c.is_ascii_lowercase());
            let rest = name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c));
            if !first || !rest {
                return Err(format!(
                    "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
                ));
            }
            Some(name)
        }
        _ => return Err("FROM requires either one or three arguments".to_owned()),
    };
    Ok(From {
        image: words[0].clone(),
        platform: flags.text("platform"),
        name,
    })
}

fn arg(rest: &str, escape: char) -> Parsed<Instruction> {
    let words = some("ARG", words::quoted(rest, escape))?;
    let names = words.into_iter().map(|word| match word.split_once('=') {
        Some(("", _)) => Err("ARG names can not be blank".to_owned()),
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => Ok((word, None)),
    });
    names.collect::<Parsed<_>>().map(Instruction::Arg)
}

fn onbuild(rest: &str, line: &Line, escape: char) -> Parsed<Instruction> {
    let (keyword, _) = split(rest);
    match keyword.as_str() {
        "" => return Err("ONBUILD requires at least one argument".to_owned()),
        "ONBUILD" => {
            return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned());
        }
        "FROM" | "MAINTAINER" => {
            return Err(format!("{keyword} isn't allowed as an ONBUILD trigger"));
        }
        _ => {}
    }
    let (keyword, inner) = split(rest);
    instruction(&keyword, inner, line, escape)?;
    let mut text = rest.to_owned();
    for heredoc in &line.heredocs {
        text.push('\n');
        text.push_str(&heredoc.body);
        text.push_str(&heredoc.name);
    }
    Ok(Instruction::Onbuild(text))
}

fn run(typed: Vec<String>, rest: &str, line: &Line) -> Parsed<Instruction> {
    let known = [
        ("mount", Takes::Texts),
        ("network", Takes::Text),
        ("security", Takes::Text),
    ];
    let mut flags = Flags::read(typed, &known)?;
    if rest.is_empty() {
        return Err("RUN requires at least one argument".to_owned());
    }
    let network = flags.text("network");
    if let Some(other) = &network
        && !["default", "none", "host"].contains(&other.as_str())
    {
        return Err(format!("invalid network mode: {other}"));
    }
    Ok(Instruction::Run {
        flags: RunFlags {
            mounts: flags.texts("mount"),
            network,
            security: flags.text("security"),
        },
        command: Command {
            form: form(rest)?,
            heredocs: line.heredocs.clone(),
        },
    })
}

fn copy(keyword: &str, typed: Vec<String>, rest: &str, line: &Line) -> Parsed<Instruction> {
    let add = keyword == "ADD";
    let mut known = vec![
        ("chown", Takes::Text),
        ("chmod", Takes::Text),
        ("link", Takes::Switch),
        ("exclude", Takes::Texts),
    ];
    known.extend(if add {
        [
            ("checksum", Takes::Text),
            ("keep-git-dir", Takes::Switch),
            ("unpack", Takes::Switch),
        ]
        .as_slice()
    } else {
        [("from", Takes::Text), ("parents", Takes::Switch)].as_slice()
    });
    let mut flags = Flags::read(typed, &known)?;
    let mut words = list(rest)?;
    let Some(dest) = words.pop() else {
        return Err(format!("{keyword} requires at least two arguments"));
    };
    if words.is_empty() {
        return Err(format!(
            "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined."
        ));
    }
    let json = rest.starts_with('[');
    if !json && heredoc(&dest).is_some() {
        return Err(format!(
            "{keyword} cannot accept a heredoc as a destination"
        ));
    }
    let from = flags.text("from");
    if from.as_ref().is_some_and(|from| from.contains('$')) {
        return Err("variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround".to_owned());
    }
    Ok(Instruction::Copy {
        add,
        flags: CopyFlags {
            from,
            chown: flags.text("chown"),
            chmod: flags.text("chmod"),
            link: flags.switch("link") == Some(true),
            parents: flags.switch("parents") == Some(true),
            exclude: flags.texts("exclude"),
            checksum: flags.text("checksum"),
            keep_git_dir: flags.switch("keep-git-dir") == Some(true),
            unpack: flags.switch("unpack"),
        },
        sources: words,
        dest,
        heredocs: line.heredocs.clone(),
    })
}

fn healthcheck(typed: Vec<String>, rest: &str) -> Parsed<Instruction> {
    let known = [
        ("interval", Takes::Text),
        ("timeout", Takes::Text),
        ("start-period", Takes::Text),
        ("start-interval", Takes::Text),
        ("retries", Takes::Text),
    ];
    let mut flags = Flags::read(typed, &known)?;
    let (kind, rest) = split(rest);
    let test = match kind.as_str() {
        "" => return Err("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if rest.is_empty() => None,
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" if rest.is_empty() => {
            return Err("missing command after HEALTHCHECK CMD".to_owned());
        }
        "CMD" => Some(form(rest)?),
        other => return Err(format!("unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    let mut moment = |name: &str| -> Parsed<i64> {
        let Some(text) = flags.text(name) else {
            return Ok(0);
        };
        let ns = types::units::parse_duration(&text).map_err(|e| e.to_string())?;
        match ns {
            0 => Ok(0),
            1_000_000.. => Ok(ns),
            _ => Err(format!("interval {name:?} cannot be less than 1ms")),
        }
    };
    let mut check = Healthcheck {
        test,
        interval_ns: moment("interval")?,
        timeout_ns: moment("timeout")?,
        start_period_ns: moment("start-period")?,
        start_interval_ns: moment("start-interval")?,
        retries: 0,
    };
    if let Some(text) = flags.text("retries") {
        check.retries = text
            .parse()
            .map_err(|_| format!("--retries cannot be negative, or no number ({text:?})"))?;
    }
    Ok(Instruction::Healthcheck(check))
}

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Texts,
    Switch,
}

/// The flags of an instruction.
struct Flags(Vec<(String, String)>);

impl Flags {
    fn read(typed: Vec<String>, known: &[(&str, Takes)]) -> Parsed<Self> {
        let mut found: Vec<(String, String)> = Vec::new();
        for flag in typed {
            let bare = flag.strip_prefix("--").unwrap_or(&flag);
            let (name, value) = match bare.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (bare, None),
            };
            let Some((_, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let hint = words::nearest(name, &names)
                    .map(|near| format!(" (did you mean {near}?)"))
                    .unwrap_or_default();
                return Err(format!("unknown flag: --{name}{hint}"));
            };
            if *takes != Takes::Texts && found.iter().any(|(other, _)| other == name) {
                return Err(format!("duplicate flag specified: {name}"));
            }
            let value = match (takes, value) {
                (Takes::Switch, None) => "true".to_owned(),
                (Takes::Switch, Some(value)) => match value.to_ascii_lowercase().as_str() {
                    "true" | "false" => value.to_ascii_lowercase(),
                    _ => {
                        return Err(format!(
                            "expecting boolean value for flag {name}, not: {value}"
                        ));
                    }
                },
                (_, None) => return Err(format!("missing a value on flag: --{name}")),
                (_, Some(value)) => value,
            };
            found.push((name.to_owned(), value));
        }
        Ok(Self(found))
    }

    fn texts(&mut self, name: &str) -> Vec<String> {
        let all = std::mem::take(&mut self.0);
        let (mine, rest) = all.into_iter().partition(|(other, _)| other == name);
        self.0 = rest;
        let mine: Vec<(String, String)> = mine;
        mine.into_iter().map(|(_, value)| value).collect()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.texts(name).pop()
    }

    fn switch(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
