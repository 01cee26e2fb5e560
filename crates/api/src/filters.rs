//! Pure: the `filters` query: `{"label":{"a=b":true}}`, or the older `{"label":["a=b"]}`.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Filters by key; the values of a key in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the query's value; an empty text means no filter.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.is_empty() {
            Ok(Self::default())
        } else {
            serde_json::from_str(text)
        }
    }

    /// Returns the values of a key; none if it is absent.
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns whether the key was given.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Adds a value, once.
    pub fn add(&mut self, key: &str, value: &str) {
        let values = self.0.entry(key.to_owned()).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
    }

    /// Returns whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Filters {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let set = |values: &Vec<String>| {
            values
                .iter()
                .map(|value| (value.clone(), true))
                .collect::<BTreeMap<_, _>>()
        };
        to.collect_map(self.0.iter().map(|(key, values)| (key, set(values))))
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut filters = Self::default();
        for (key, values) in BTreeMap::<String, Value>::deserialize(from)? {
            let values = match values {
                Value::Object(set) => set
                    .into_iter()
                    .filter(|(_, on)| *on == Value::Bool(true))
                    .map(|(k, _)| k)
                    .collect(),
                Value::Array(list) => list
                    .into_iter()
                    .map(|value| match value {
                        Value::String(text) => Ok(text),
                        _ => Err(D::Error::custom("invalid filter")),
                    })
                    .collect::<Result<_, _>>()?,
                _ => return Err(D::Error::custom("invalid filter")),
            };
            filters.0.insert(key, values);
        }
        Ok(filters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let new =
            Filters::parse(r#"{"label":{"a=b":true,"c":true},"status":{"exited":true}}"#).unwrap();
        let old = Filters::parse(r#"{"label":["a=b","c"],"status":["exited"]}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(new.get("label"), ["a=b", "c"]);
        assert!(new.get("none").is_empty() && !new.contains("none"));
        assert_eq!(
            serde_json::to_string(&new).unwrap(),
            r#"{"label":{"a=b":true,"c":true},"status":{"exited":true}}"#
        );
        assert!(Filters::parse("").unwrap().is_empty());
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":[1]}"#] {
            assert!(Filters::parse(bad).is_err(), "{bad}");
        }
    }
}
