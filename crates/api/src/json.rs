//! Pure: documents as Go writes and reads them: fixed key order, `omitempty`, keys in any case.

use std::collections::BTreeSet;

use serde::de::{IgnoredAny, MapAccess};
use serde::ser::SerializeMap;

/// A JSON object with a fixed order of keys. Made by `document!`, which also implements serde's
/// two traits with it.
pub trait Document: Default {
    /// Writes every field in order.
    fn write_fields<M: SerializeMap>(&self, to: &mut M) -> Result<(), M::Error>;

    /// Reads the value of `key` if it is one of ours; as Go does, in any case, and `null` leaves
    /// the field as it is. Returns whether the value was taken.
    fn read_field<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        from: &mut A,
    ) -> Result<bool, A::Error>;
}

/// Reads a whole object; unknown keys are ignored.
pub(crate) fn read_object<'de, D: Document, A: MapAccess<'de>>(mut from: A) -> Result<D, A::Error> {
    let mut document = D::default();
    while let Some(key) = from.next_key::<String>()? {
        if !document.read_field(&key, &mut from)? {
            from.next_value::<IgnoredAny>()?;
        }
    }
    Ok(document)
}

/// Returns whether a value is its type's zero, which is when Go's `omitempty` leaves it out.
pub(crate) fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! field {
    (write $to:ident $value:expr, flatten) => {
        $crate::json::Document::write_fields($value, $to)?;
    };
    (write $to:ident $value:expr, $key:tt) => {
        $to.serialize_entry($key, $value)?;
    };
    (write $to:ident $value:expr, $key:tt omit) => {
        if !$crate::json::is_zero($value) {
            $to.serialize_entry($key, $value)?;
        }
    };
    (read $from:ident $asked:ident $value:expr, flatten) => {
        if $crate::json::Document::read_field($value, $asked, $from)? {
            return Ok(true);
        }
    };
    (read $from:ident $asked:ident $value:expr, $key:tt $($omit:ident)?) => {
        if $asked.eq_ignore_ascii_case($key) {
            if let Some(value) = $from.next_value::<Option<_>>()? {
                *$value = value;
            }
            return Ok(true);
        }
    };
}

/// Declares documents: `field: Type = "Key"`, with `omit` after the key for Go's `omitempty`, or
/// `= flatten` for an embedded document.
macro_rules! document {
    ($(
        $(#[$meta:meta])*
        $name:ident { $( $field:ident : $type:ty = $key:tt $($mode:ident)? ),* $(,)? }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                #[doc = concat!("On the wire: ", stringify!($key), ".")]
                pub $field: $type,
            )*
        }

        impl $crate::json::Document for $name {
            fn write_fields<M: serde::ser::SerializeMap>(&self, to: &mut M) -> Result<(), M::Error> {
                $( $crate::json::field!(write to &self.$field, $key $($mode)?); )*
                Ok(())
            }

            fn read_field<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                from: &mut A,
            ) -> Result<bool, A::Error> {
                $( $crate::json::field!(read from key &mut self.$field, $key $($mode)?); )*
                Ok(false)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut map = to.serialize_map(None)?;
                $crate::json::Document::write_fields(self, &mut map)?;
                serde::ser::SerializeMap::end(map)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> Result<$name, A::Error> {
                        $crate::json::read_object(map)
                    }
                }
                from.deserialize_map(Visitor)
            }
        }
    )* };
}

pub(crate) use {document, field};

/// A set of words: `{"80/tcp":{}}` on the wire, as Go writes a `map[string]struct{}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys(pub BTreeSet<String>);

impl serde::Serialize for Keys {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|key| (key, Empty {})))
    }
}

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Keys;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of empty objects")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = Keys::default();
                while let Some((key, _)) = map.next_entry::<String, Option<Empty>>()? {
                    keys.0.insert(key);
                }
                Ok(keys)
            }
        }
        from.deserialize_map(Visitor)
    }
}

/// `{}`.
#[derive(serde::Serialize, serde::Deserialize)]
struct Empty {}

/// A list that may also be given as one string (`Cmd`, `Entrypoint`).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl<'de> serde::Deserialize<'de> for Words {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match serde::Deserialize::deserialize(from)? {
            Either::One(word) => vec![word],
            Either::Many(words) => words,
        }))
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "document! makes what other crates use")]
mod tests {
    use super::*;

    document! {
        /// Inner.
        Inner { a: i64 = "Alpha", b: Option<Words> = "Beta" omit }
        /// Outer.
        Outer { first: String = "First", inner: Inner = flatten, last: Option<Vec<String>> = "Last" }
    }

    #[test]
    fn order_case_null_and_omission_are_go_s() {
        let outer: Outer = serde_json::from_str(
            r#"{"LAST":["x"],"beta":"one","alpha":3,"first":null,"Unknown":{"deep":[1]}}"#,
        )
        .unwrap();
        assert_eq!(
            outer.inner,
            Inner {
                a: 3,
                b: Some(Words(vec!["one".to_owned()]))
            }
        );
        assert_eq!(
            serde_json::to_string(&outer).unwrap(),
            r#"{"First":"","Alpha":3,"Beta":["one"],"Last":["x"]}"#
        );
        assert_eq!(
            serde_json::to_string(&Outer::default()).unwrap(),
            r#"{"First":"","Alpha":0,"Last":null}"#
        );
        assert!(serde_json::from_str::<Outer>(r#"{"Alpha":"x"}"#).is_err());
    }
}
