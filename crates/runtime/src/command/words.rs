//! Pure: a command line becomes flags and arguments, by the rules of Go's flag package, which runc's
//! callers count on: `-x` is `--x`, `--x=value` is `--x value`, `--` ends the flags.

/// A flag of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    /// The other name, or nothing.
    pub(super) short: &'static str,
    pub(super) takes_value: bool,
}

/// A flag that takes a value.
pub(super) const fn value(name: &'static str, short: &'static str) -> Flag {
    Flag {
        name,
        short,
        takes_value: true,
    }
}

/// A flag that is there or not.
pub(super) const fn switch(name: &'static str, short: &'static str) -> Flag {
    Flag {
        name,
        short,
        takes_value: false,
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    flags: Vec<(&'static str, String)>,
    /// What is no flag.
    pub(super) args: Vec<String>,
}

/// Which words may be flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Those before the first argument: what follows is another program's.
    FirstArgument,
    /// All.
    End,
}

impl Words {
    /// Reads `words` by the table `flags`; the error is Go's sentence.
    pub(super) fn parse(words: &[String], flags: &[Flag], until: Until) -> Result<Self, String> {
        let mut result = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let bare = match word.strip_prefix("--").or_else(|| word.strip_prefix('-')) {
                Some("") if word == "--" => {
                    result.args.extend(words.cloned());
                    break;
                }
                Some(bare) if !bare.is_empty() => bare,
                _ => {
                    result.args.push(word.clone());
                    if until == Until::FirstArgument {
                        result.args.extend(words.cloned());
                        break;
                    }
                    continue;
                }
            };
            let (name, given) = match bare.split_once('=') {
                Some((name, given)) => (name, Some(given.to_owned())),
                None => (bare, None),
            };
            let known = |flag: &&Flag| flag.name == name || flag.short == name;
            let Some(flag) = flags.iter().find(known) else {
                return Err(format!("flag provided but not defined: -{name}"));
            };
            let value = match (given, flag.takes_value) {
                (Some(given), _) => given,
                (None, false) => "true".to_owned(),
                (None, true) => match words.next() {
                    Some(next) => next.clone(),
                    None => return Err(format!("flag needs an argument: -{name}")),
                },
            };
            result.flags.push((flag.name, value));
        }
        Ok(result)
    }

    /// The last value of a flag.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let own = |(flag, _): &&(&str, String)| *flag == name;
        self.flags
            .iter()
            .rfind(own)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a flag.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let own = move |(flag, _): &&(&str, String)| *flag == name;
        self.flags
            .iter()
            .filter(own)
            .map(|(_, value)| value.as_str())
    }

    /// Tells whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| !matches!(value, "false" | "0" | "f" | "F" | "False"))
    }

    /// A number, or the sentence that says that it is none.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, String> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| format!("invalid value {text:?} for flag -{name}: parse error"))?;
        Ok(Some(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 3] = [
        value("bundle", "b"),
        switch("detach", "d"),
        value("env", "e"),
    ];

    fn parse(line: &str, until: Until) -> Result<Words, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Words::parse(&words, &FLAGS, until)
    }

    #[test]
    fn flags_are_go_s() {
        let words = parse("-b /x --detach=true id -e A=1 -env=B=2", Until::End).unwrap();
        assert_eq!(words.get("bundle"), Some("/x"));
        assert!(words.is_on("detach"));
        assert_eq!(words.args, ["id"]);
        assert_eq!(words.all("env").collect::<Vec<_>>(), ["A=1", "B=2"]);
        assert!(!parse("-d=false", Until::End).unwrap().is_on("detach"));
    }

    #[test]
    fn another_program_s_words_are_left_alone() {
        let words = parse("-d id ls -d --nosuch", Until::FirstArgument).unwrap();
        assert_eq!(words.args, ["id", "ls", "-d", "--nosuch"]);
        let words = parse("id -- -d", Until::End).unwrap();
        assert_eq!(words.args, ["id", "-d"]);
    }

    #[test]
    fn what_is_wrong_is_said_in_go_s_words() {
        let error = |line| parse(line, Until::End).unwrap_err();
        assert_eq!(error("--nosuch"), "flag provided but not defined: -nosuch");
        assert_eq!(error("-b"), "flag needs an argument: -b");
        let words = parse("-b x", Until::End).unwrap();
        assert!(words.number::<u32>("bundle").is_err());
    }
}
