//! Pure: help and usage texts, laid out as Docker's are.

use crate::tables::{self, Command, Flag, commands};
use crate::text::append;

/// Returns the help of one command. `path` is how it was called, without the program.
pub(crate) fn command(program: &str, path: &str, command: &Command, width: usize) -> String {
    let mut text = format!("{}\n\n{}\n", usage(program, path, command), command.about);
    let aliases: Vec<String> = command
        .paths
        .iter()
        .map(|path| format!("{program} {path}"))
        .collect();
    if aliases.len() > 1 {
        append(
            &mut text,
            format_args!("\nAliases:\n  {}\n", aliases.join(", ")),
        );
    }
    let mut all: Vec<&Flag> = command.flags().collect();
    if all.iter().any(|flag| flag.short == 'h') {
        all.push(&tables::HELP);
    }
    let flags = flags(all.into_iter(), width);
    if !flags.is_empty() {
        append(&mut text, format_args!("\nOptions:\n{flags}"));
    }
    text
}

/// Returns the usage lines of one command.
pub(crate) fn usage(program: &str, path: &str, command: &Command) -> String {
    let lines: Vec<String> = command
        .usage
        .iter()
        .map(|line| format!("{program} {path} {line}").trim_end().to_owned())
        .collect();
    format!("Usage:  {}", lines.join("\n\t"))
}

/// Returns the help of a group.
pub(crate) fn group(program: &str, group: &str, about: &str) -> String {
    let mut text = format!("Usage:  {program} {group} COMMAND\n\n{about}\n\nCommands:\n");
    let prefix = format!("{group} ");
    let mut rows: Vec<(&str, &str)> = commands()
        .filter_map(|command| Some((command.paths[0].strip_prefix(&prefix)?, command.summary())))
        // For programs, not for people.
        .filter(|(name, _)| *name != "dial-stdio")
        .collect();
    rows.sort_unstable();
    list(&mut text, &rows);
    write_hint(&mut text, &format!("{program} {group}"));
    text
}

/// Returns the help of the whole program.
pub(crate) fn root(program: &str, width: usize) -> String {
    let mut text = format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nA self-sufficient runtime for containers\n"
    );
    let top = |name: &&str| {
        let command = commands().find(|command| command.paths.contains(name));
        command.map_or("Build an image from a Dockerfile", Command::summary)
    };
    let common: Vec<(&str, &str)> = tables::COMMON
        .iter()
        .map(|name| (*name, top(name)))
        .collect();
    let mut rest: Vec<(&str, &str)> = commands()
        .filter_map(|command| {
            let name = command.paths.iter().find(|path| !path.contains(' '))?;
            (!tables::COMMON.contains(name)).then_some((*name, command.summary()))
        })
        .collect();
    rest.sort_unstable();
    for (title, rows) in [
        ("Common Commands", &common[..]),
        ("Management Commands", tables::GROUPS),
        ("Commands", &rest),
    ] {
        append(&mut text, format_args!("\n{title}:\n"));
        list(&mut text, rows);
    }
    append(
        &mut text,
        format_args!("\nGlobal Options:\n{}", flags(tables::GLOBAL.iter(), width)),
    );
    write_hint(&mut text, program);
    text.push_str(
        "\nFor more help on how to use Docker, head to https://docs.docker.com/go/guides/\n",
    );
    text
}

fn write_hint(text: &mut String, path: &str) {
    append(
        text,
        format_args!("\nRun '{path} COMMAND --help' for more information on a command.\n"),
    );
}

fn list(text: &mut String, rows: &[(&str, &str)]) {
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or(0)
        .max(11);
    for (name, about) in rows {
        append(text, format_args!("  {name:width$} {about}\n"));
    }
}

/// Lays out flags as pflag's `FlagUsagesWrapped` does.
fn flags(flags: impl Iterator<Item = &'static Flag>, width: usize) -> String {
    let mut rows: Vec<(String, &str, &str)> = flags
        .filter(|flag| !flag.hidden)
        .map(|flag| {
            let name = match flag.short {
                ' ' => format!("      --{} {}", flag.long, flag.kind.word()),
                short => format!("  -{short}, --{} {}", flag.long, flag.kind.word()),
            };
            (name.trim_end().to_owned(), flag.help, flag.long)
        })
        .collect();
    rows.sort_by(|a, b| a.2.cmp(b.2));
    let column = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0) + 3;
    let mut text = String::new();
    for (name, help, _) in rows {
        let gap = column - name.len();
        append(
            &mut text,
            format_args!("{name}{:gap$}{}\n", "", wrap(help, column, width)),
        );
    }
    text
}

/// Wraps text at `width` columns, behind a margin of `indent`, by pflag's rules.
fn wrap(text: &str, indent: usize, width: usize) -> String {
    const SLOP: usize = 5;
    let mut indent = indent;
    let mut result = String::new();
    if width.saturating_sub(indent) < 24 {
        indent = 16;
        result = format!("\n{:indent$}", "");
    }
    let margin = format!("\n{:indent$}", "");
    let Some(room) = width
        .checked_sub(indent + SLOP)
        .filter(|room| room + SLOP >= 24)
    else {
        return text.replace('\n', &margin);
    };
    let (mut line, mut rest) = wrap_once(text, room, SLOP);
    result.push_str(&line.replace('\n', &margin));
    while !rest.is_empty() {
        (line, rest) = wrap_once(rest, room, SLOP);
        result.push_str(&margin);
        result.push_str(&line.replace('\n', &margin));
    }
    result
}

fn wrap_once(text: &str, room: usize, slop: usize) -> (&str, &str) {
    if room + slop > text.len() || !text.is_char_boundary(room) {
        return (text, "");
    }
    let Some(blank) = text[..room].rfind([' ', '\t', '\n']).filter(|at| *at > 0) else {
        return (text, "");
    };
    match text[..room].rfind('\n') {
        Some(line) if line > 0 && line < blank => (&text[..line], &text[line + 1..]),
        _ => (&text[..blank], &text[blank + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_laid_out_as_docker_s() {
        let ps = commands()
            .find(|command| command.paths.contains(&"ps"))
            .unwrap();
        let text = command("docker", "ps", ps, 79);
        let expected = "Usage:  docker ps [OPTIONS]

List containers

Aliases:
  docker container ls, docker container list, docker container ps, docker ps

Options:
  -a, --all             Show all containers (default shows just running)
  -f, --filter filter   Filter output based on conditions provided
      --format string   Format output using a custom template:
                        'table':            Print output in table format
                        with column headers (default)
                        'table TEMPLATE':   Print output in table format
                        using the given Go template
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("  -s, --size            Display total file sizes\n"));
    }
}
