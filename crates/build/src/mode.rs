//! Pure: `--chmod`: an octal mode, or what chmod(1) takes.

/// A change of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All bits.
    Octal(u32),
    /// Clauses of chmod(1), in order.
    Symbolic(Vec<Clause>),
}

/// `ug+rX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    who: u32,
    operator: char,
    what: String,
}

impl Mode {
    /// Reads the flag's value.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            )
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return match u32::from_str_radix(text, 8) {
                Ok(mode @ 0..=0o7777) => Ok(Self::Octal(mode)),
                _ => Err(bad()),
            };
        }
        let clauses = text.split(',').map(|clause| {
            let at = clause.find(['+', '-', '=']).ok_or_else(bad)?;
            let (who, rest) = clause.split_at(at);
            let (operator, what) = rest.split_at(1);
            if !who.chars().all(|c| "ugoa".contains(c))
                || !what.chars().all(|c| "rwxXst".contains(c))
            {
                return Err(bad());
            }
            let mut mask = 0;
            for c in who.chars() {
                mask |= match c {
                    'u' => 0o4700,
                    'g' => 0o2070,
                    'o' => 0o1007,
                    _ => 0o7777,
                };
            }
            Ok(Clause {
                who: if who.is_empty() { 0o7777 } else { mask },
                operator: operator.chars().next().ok_or_else(bad)?,
                what: what.to_owned(),
            })
        });
        Ok(Self::Symbolic(clauses.collect::<Result<_, String>>()?))
    }

    /// Returns the new mode of an object.
    pub(crate) fn apply(&self, mode: u32, directory: bool) -> u32 {
        let clauses = match self {
            Self::Octal(mode) => return *mode,
            Self::Symbolic(clauses) => clauses,
        };
        clauses.iter().fold(mode & 0o7777, |mode, clause| {
            let mut bits = 0;
            for c in clause.what.chars() {
                bits |= match c {
                    'r' => 0o444,
                    'w' => 0o222,
                    'x' => 0o111,
                    'X' if directory || mode & 0o111 != 0 => 0o111,
                    's' => 0o6000,
                    't' => 0o1000,
                    _ => 0,
                };
            }
            let bits = bits & clause.who;
            match clause.operator {
                '+' => mode | bits,
                '-' => mode & !bits,
                _ => (mode & !clause.who) | bits,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (text, mode, directory, wanted) in [
            ("755", 0o600, false, 0o755),
            ("0644", 0o777, true, 0o644),
            ("u+x", 0o644, false, 0o744),
            ("go-rwx", 0o755, false, 0o700),
            ("a=rX", 0o600, false, 0o444),
            ("a=rX", 0o600, true, 0o555),
            ("+X", 0o700, false, 0o711),
            ("u=rwx,g=rx,o=", 0o777, false, 0o750),
            ("g+s,+t", 0o755, true, 0o3755),
        ] {
            assert_eq!(
                Mode::parse(text).unwrap().apply(mode, directory),
                wanted,
                "{text}"
            );
        }
        for bad in ["", "8", "77777", "u", "z+x", "u+q"] {
            assert!(Mode::parse(bad).is_err(), "{bad}");
        }
    }
}
