//! Pure: the grammar of `-u`: `user[:group]`, each a name or a number.

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// A name or a number; empty = root.
    pub user: String,
    /// A name or a number; `None` = the user's own groups.
    pub group: Option<String>,
}

impl UserSpec {
    /// Splits at the first colon; whether the names exist is decided in the container's root.
    pub fn parse(text: &str) -> Self {
        let (user, group) = text
            .split_once(':')
            .map_or((text, None), |(u, g)| (u, Some(g)));
        Self {
            user: user.to_owned(),
            group: group.filter(|group| !group.is_empty()).map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        for (text, user, group) in [
            ("", "", None),
            ("1000", "1000", None),
            ("a:b", "a", Some("b")),
            ("a:", "a", None),
        ] {
            let spec = UserSpec::parse(text);
            assert_eq!((spec.user.as_str(), spec.group.as_deref()), (user, group));
        }
    }
}
