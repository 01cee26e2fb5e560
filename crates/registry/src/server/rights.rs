//! Pure: who may do what in which repository.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::names::Repository;

/// What may be done in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Right {
    Pull,
    Push,
    Delete,
}

impl Right {
    /// Returns the word for it in a scope.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    fn parse(word: &str) -> &'static [Self] {
        match word {
            "pull" => &[Self::Pull],
            "push" => &[Self::Push],
            "delete" => &[Self::Delete],
            "*" => &[Self::Pull, Self::Push, Self::Delete],
            _ => &[],
        }
    }
}

/// One line of the rules: these people may do this in these repositories.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// An account; `*` is everyone who signed in, `anonymous` is everyone.
    who: String,
    /// A repository; `*` stands for any letters: `team/*`.
    repositories: String,
    rights: BTreeSet<Right>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Nobody is asked who they are here.
    Unasked,
    /// Somebody without a name.
    Anonymous,
    /// An account whose password was right.
    Account(String),
    /// The bearer of a token.
    Bearer { name: String, access: Vec<Scope> },
}

/// Rights in one repository, as a token carries them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) actions: BTreeSet<Right>,
}

impl Scope {
    /// Reads `repository:team/app:pull,push`; anything else carries no right.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
        Some(Self {
            name: name.parse::<Repository>().ok()?.to_string(),
            actions: actions.split(',').flat_map(Right::parse).copied().collect(),
        })
    }
}

/// Tells whether `who` has `right` in a repository.
pub(crate) fn may(rules: &[Rule], who: &Identity, repository: &Repository, right: Right) -> bool {
    match who {
        Identity::Unasked => true,
        Identity::Anonymous => ruled(rules, None, repository, right),
        Identity::Account(name) => ruled(rules, Some(name), repository, right),
        Identity::Bearer { access, .. } => access
            .iter()
            .any(|scope| scope.name == repository.as_str() && scope.actions.contains(&right)),
    }
}

/// Tells whether the rules give a right; without rules every account has every right.
fn ruled(rules: &[Rule], account: Option<&str>, repository: &Repository, right: Right) -> bool {
    if rules.is_empty() {
        return account.is_some();
    }
    rules.iter().any(|rule| {
        let who = match rule.who.as_str() {
            "anonymous" => true,
            "*" => account.is_some(),
            name => account == Some(name),
        };
        who && rule.rights.contains(&right) && matches(&rule.repositories, repository.as_str())
    })
}

/// Cuts what is asked for down to what may be given.
pub(crate) fn granted(rules: &[Rule], who: &Identity, asked: Vec<Scope>) -> Vec<Scope> {
    let cut = asked.into_iter().map(|mut scope| {
        let repository = scope.name.parse::<Repository>();
        scope.actions.retain(|right| {
            repository
                .as_ref()
                .is_ok_and(|repository| may(rules, who, repository, *right))
        });
        scope
    });
    cut.filter(|scope| !scope.actions.is_empty()).collect()
}

/// Compares a text with a pattern in which `*` stands for any letters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(who: &str, repositories: &str, rights: &[Right]) -> Rule {
        Rule {
            who: who.to_owned(),
            repositories: repositories.to_owned(),
            rights: rights.iter().copied().collect(),
        }
    }

    fn account(name: &str) -> Identity {
        Identity::Account(name.to_owned())
    }

    #[test]
    fn rules_give_rights() {
        use Right::{Delete, Pull, Push};
        let rules = [
            rule("alice", "team/*", &[Pull, Push, Delete]),
            rule("*", "team/*", &[Pull]),
            rule("anonymous", "public/*", &[Pull]),
        ];
        let (app, open): (Repository, Repository) =
            ("team/app".parse().unwrap(), "public/a/b".parse().unwrap());
        for (who, repository, right, expected) in [
            (account("alice"), &app, Push, true),
            (account("alice"), &app, Delete, true),
            (account("bob"), &app, Pull, true),
            (account("bob"), &app, Push, false),
            (Identity::Anonymous, &app, Pull, false),
            (Identity::Anonymous, &open, Pull, true),
            (Identity::Anonymous, &open, Push, false),
            (account("bob"), &open, Pull, true),
            (Identity::Unasked, &app, Delete, true),
        ] {
            assert_eq!(
                may(&rules, &who, repository, right),
                expected,
                "{who:?} {right:?}"
            );
        }
        assert!(may(&[], &account("bob"), &app, Push));
        assert!(!may(&[], &Identity::Anonymous, &app, Pull));
    }

    #[test]
    fn a_token_carries_no_more_than_was_given() {
        use Right::{Pull, Push};
        let rules = [rule("*", "a", &[Pull])];
        let asked = [
            "repository:a:pull,push",
            "repository:b:*",
            "registry:catalog:*",
            "x",
        ];
        let asked = asked.iter().filter_map(|text| Scope::parse(text)).collect();
        let access = granted(&rules, &account("bob"), asked);
        assert_eq!(access.len(), 1);
        assert_eq!(access[0].actions, BTreeSet::from([Pull]));
        let bearer = Identity::Bearer {
            name: "bob".to_owned(),
            access,
        };
        let a: Repository = "a".parse().unwrap();
        assert!(may(&rules, &bearer, &a, Pull));
        assert!(!may(&rules, &bearer, &a, Push));
        assert!(!may(&rules, &bearer, &"b".parse().unwrap(), Pull));
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "a/b", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a/*", "a/b/c", true),
            ("a/*", "a", false),
            ("*/x", "a/x", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "ace", true),
            ("a*c*e", "aec", false),
            ("*a", "ba", true),
            ("ab*b", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
