//! Pure: names of containers: their grammar and the random ones.

/// A text is not a container's name; the message is Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid container name ({0}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")]
pub struct InvalidName(pub String);

/// Checks a container's name, without its slash: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn check(name: &str) -> Result<(), InvalidName> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && name.len() > 1 {
        Ok(())
    } else {
        Err(InvalidName(name.to_owned()))
    }
}

/// Returns a name for a container that was given none: `calm_harbour`. The same number gives the
/// same name; there are [`COMBINATIONS`].
pub fn random(number: u64) -> String {
    let pick = |words: &[&'static str], number: u64| {
        words[usize::try_from(number % words.len() as u64).unwrap_or(0)]
    };
    let noun = pick(&NOUNS, number / ADJECTIVES.len() as u64);
    format!("{}_{noun}", pick(&ADJECTIVES, number))
}

/// How many different names [`random`] knows.
pub const COMBINATIONS: u64 = (ADJECTIVES.len() * NOUNS.len()) as u64;

const ADJECTIVES: [&str; 96] = [
    "able", "airy", "amber", "ample", "apt", "azure", "balmy", "bold", "bonny", "brave", "breezy",
    "bright", "brisk", "broad", "calm", "candid", "cheery", "chipper", "civil", "clear", "clever",
    "coastal", "cosy", "crisp", "curious", "dapper", "daring", "dawning", "deft", "distant",
    "eager", "early", "earnest", "easy", "even", "fair", "fleet", "floating", "fond", "free",
    "fresh", "frosty", "gentle", "glad", "golden", "grand", "handy", "happy", "hardy", "honest",
    "humble", "jolly", "keen", "kind", "lively", "lofty", "loyal", "lucid", "lucky", "mellow",
    "merry", "mighty", "misty", "modest", "neat", "nimble", "noble", "open", "patient", "plucky",
    "polite", "proud", "quick", "quiet", "ready", "robust", "rustic", "salty", "serene", "sharp",
    "shiny", "silver", "sincere", "smooth", "snug", "sober", "spry", "steady", "sunny", "swift",
    "tidal", "tidy", "trusty", "vivid", "warm", "windy",
];

const NOUNS: [&str; 96] = [
    "albatross",
    "anchor",
    "anchovy",
    "ballast",
    "barge",
    "barnacle",
    "bay",
    "beacon",
    "berth",
    "boatswain",
    "bollard",
    "boom",
    "breeze",
    "bridge",
    "brig",
    "bulwark",
    "buoy",
    "cable",
    "canal",
    "canoe",
    "capstan",
    "captain",
    "cargo",
    "chart",
    "cliff",
    "clipper",
    "cockle",
    "compass",
    "coral",
    "cormorant",
    "cove",
    "crane",
    "crest",
    "current",
    "cutter",
    "deck",
    "dinghy",
    "dock",
    "dolphin",
    "dory",
    "drifter",
    "estuary",
    "ferry",
    "fjord",
    "fleet",
    "foghorn",
    "frigate",
    "galley",
    "gannet",
    "gull",
    "harbour",
    "haven",
    "hawser",
    "heron",
    "horizon",
    "hull",
    "inlet",
    "island",
    "jetty",
    "kayak",
    "keel",
    "kelp",
    "ketch",
    "lagoon",
    "lantern",
    "lighthouse",
    "limpet",
    "lobster",
    "lugger",
    "mariner",
    "mast",
    "mooring",
    "oar",
    "osprey",
    "otter",
    "pelican",
    "petrel",
    "pier",
    "pilot",
    "puffin",
    "quay",
    "reef",
    "rigging",
    "rudder",
    "sailor",
    "schooner",
    "seal",
    "shoal",
    "skiff",
    "sloop",
    "spinnaker",
    "starfish",
    "tern",
    "tide",
    "trawler",
    "whaler",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["ab", "a1", "1-a_b.c", "Web"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "t", "-ab", "a b", "a/b", "ä1", ".."] {
            assert_eq!(check(bad), Err(InvalidName(bad.to_owned())));
        }
        assert_eq!(
            check("t").unwrap_err().to_string(),
            "Invalid container name (t), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }

    #[test]
    fn every_number_gives_a_name_of_its_own() {
        let names: std::collections::BTreeSet<String> = (0..COMBINATIONS).map(random).collect();
        assert_eq!(names.len() as u64, COMBINATIONS);
        assert!(names.iter().all(|name| check(name).is_ok()));
        assert_eq!(random(0), random(COMBINATIONS));
    }
}
