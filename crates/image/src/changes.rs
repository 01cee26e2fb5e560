//! Pure: the Dockerfile instructions that `import --change` and `commit --change` take.

use types::oci::image::{ContainerDefaults, Empty};

use crate::error::{Error, Result};

/// What may stand in a change.
const KNOWN: [&str; 11] = [
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Applies instructions in order.
pub(crate) fn apply(config: &mut ContainerDefaults, changes: &[String]) -> Result<()> {
    changes
        .iter()
        .try_for_each(|change| one(config, change.trim()))
}

fn one(config: &mut ContainerDefaults, change: &str) -> Result<()> {
    let (word, rest) = change
        .split_once(char::is_whitespace)
        .unwrap_or((change, ""));
    let rest = rest.trim();
    let upper = word.to_ascii_uppercase();
    let empty = || Error::Change(format!("{upper} requires at least one argument"));
    if rest.is_empty() && KNOWN.contains(&upper.as_str()) {
        return Err(empty());
    }
    match upper.as_str() {
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)),
        "ENV" => {
            for (name, value) in pairs(rest, &upper)? {
                config
                    .env
                    .retain(|old| old.split('=').next() != Some(&name));
                config.env.push(format!("{name}={value}"));
            }
        }
        "LABEL" => {
            config
                .labels
                .get_or_insert_default()
                .extend(pairs(rest, &upper)?);
        }
        "EXPOSE" => {
            for port in words(rest)? {
                let port = if port.contains('/') {
                    port
                } else {
                    format!("{port}/tcp")
                };
                let number = port.split('/').next().unwrap_or_default();
                if number.parse::<u16>().is_err() {
                    return Err(Error::Change(format!("invalid containerPort: {number}")));
                }
                config.exposed_ports.insert(port, Empty {});
            }
        }
        "VOLUME" => {
            let names = match serde_json::from_str::<Vec<String>>(rest) {
                Ok(names) => names,
                Err(_) => words(rest)?,
            };
            config
                .volumes
                .extend(names.into_iter().map(|name| (name, Empty {})));
        }
        "WORKDIR" => config.working_dir = workdir(&config.working_dir, rest),
        "USER" => rest.clone_into(&mut config.user),
        "STOPSIGNAL" => rest.clone_into(&mut config.stop_signal),
        "ONBUILD" => config
            .on_build
            .get_or_insert_default()
            .push(rest.to_owned()),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => {
            return Err(Error::Change(format!(
                "{word} is not a valid change command"
            )));
        }
    }
    Ok(())
}

/// `NONE`, or flags and `CMD` with a command (moby's builder/dockerfile/instructions).
fn healthcheck(text: &str) -> Result<serde_json::Value> {
    let mut check = serde_json::Map::new();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, behind) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        rest = behind.trim_start();
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let key = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => "Retries",
            _ => return Err(Error::Change(format!("unknown flag: {name}"))),
        };
        let bad = || Error::Change(format!("invalid value {value:?} of --{name}"));
        let number = if key == "Retries" {
            value.parse::<i64>().map_err(|_| bad())?
        } else {
            types::units::parse_duration(value).map_err(|_| bad())?
        };
        if number < 0 {
            return Err(bad());
        }
        check.insert(key.to_owned(), number.into());
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    let test = match word.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "NONE" => {
            return Err(Error::Change(
                "HEALTHCHECK NONE takes no arguments".to_owned(),
            ));
        }
        "CMD" if command.is_empty() => {
            return Err(Error::Change(
                "Missing command after HEALTHCHECK CMD".to_owned(),
            ));
        }
        "CMD" => match serde_json::from_str::<Vec<String>>(command) {
            Ok(words) => [vec!["CMD".to_owned()], words].concat(),
            Err(_) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        other => {
            return Err(Error::Change(format!(
                "Unknown type {other:?} in HEALTHCHECK (try CMD)"
            )));
        }
    };
    check.insert("Test".to_owned(), test.into());
    Ok(check.into())
}

/// A JSON array as it is, anything else by the shell.
fn command(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|_| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// `NAME=value …`, or the old form `NAME the rest`.
fn pairs(text: &str, word: &str) -> Result<Vec<(String, String)>> {
    let first = text.split(char::is_whitespace).next().unwrap_or_default();
    if !first.contains('=') {
        return match text.split_once(char::is_whitespace) {
            Some((name, value)) => Ok(vec![(name.to_owned(), value.trim().to_owned())]),
            None => Err(Error::Change(format!("{word} must have two arguments"))),
        };
    }
    words(text)?
        .into_iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Error::Change(format!(
                "Syntax error - can't find = in \"{pair}\""
            ))),
        })
        .collect()
}

/// Splits at blanks outside of quotes; a backslash takes the next character as it is.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(chars.next()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::Change(format!("unterminated quote in {text:?}")));
    }
    words.extend(word);
    Ok(words)
}

fn workdir(old: &str, new: &str) -> String {
    let joined = if new.starts_with('/') {
        new.to_owned()
    } else {
        format!("{old}/{new}")
    };
    let mut names: Vec<&str> = Vec::new();
    for name in joined.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Result<ContainerDefaults> {
        let mut config = ContainerDefaults::default();
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        apply(&mut config, &changes)?;
        Ok(config)
    }

    #[test]
    fn every_instruction() {
        let config = applied(&[
            r#"CMD ["a", "b"]"#,
            "entrypoint run it",
            r#"ENV A=1 B="two words" C=three\ words"#,
            "ENV A the rest",
            "LABEL x=y",
            "EXPOSE 80 53/udp",
            "VOLUME /a /b",
            "WORKDIR /srv",
            "WORKDIR ../opt/./x",
            "USER 1:2",
            "STOPSIGNAL SIGINT",
            "ONBUILD RUN true",
        ])
        .unwrap();
        let strings = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        assert_eq!(config.cmd, Some(strings(&["a", "b"])));
        assert_eq!(
            config.entrypoint,
            Some(strings(&["/bin/sh", "-c", "run it"]))
        );
        assert_eq!(
            config.env,
            strings(&["B=two words", "C=three words", "A=the rest"])
        );
        assert_eq!(config.labels.unwrap()["x"], "y");
        assert!(config.exposed_ports.keys().eq(["53/udp", "80/tcp"]));
        assert!(config.volumes.keys().eq(["/a", "/b"]));
        assert_eq!(config.working_dir, "/opt/x");
        assert_eq!(
            (config.user.as_str(), config.stop_signal.as_str()),
            ("1:2", "SIGINT")
        );
        assert_eq!(config.on_build, Some(strings(&["RUN true"])));
    }

    #[test]
    fn refuses() {
        for (change, text) in [
            ("RUN true", "RUN is not a valid change command"),
            ("CMD", "CMD requires at least one argument"),
            ("EXPOSE x", "invalid containerPort: x"),
            ("ENV A", "ENV must have two arguments"),
            ("ENV A=1 B", "Syntax error - can't find = in \"B\""),
            ("LABEL a='b", "unterminated quote in \"a='b\""),
        ] {
            assert_eq!(applied(&[change]).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn health_checks() {
        let check = |text: &str| healthcheck(text).map(|check| check.to_string()).ok();
        assert_eq!(
            check("--interval=1m --retries=2 CMD curl -f x").as_deref(),
            Some(r#"{"Interval":60000000000,"Retries":2,"Test":["CMD-SHELL","curl -f x"]}"#)
        );
        assert_eq!(
            check(r#"CMD ["a", "b"]"#).as_deref(),
            Some(r#"{"Test":["CMD","a","b"]}"#)
        );
        assert_eq!(check("NONE").as_deref(), Some(r#"{"Test":["NONE"]}"#));
        for bad in [
            "",
            "CMD",
            "NONE x",
            "--nope=1 CMD x",
            "--interval=x CMD x",
            "curl",
        ] {
            assert_eq!(check(bad), None, "{bad}");
        }
    }
}
