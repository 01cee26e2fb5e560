//! Pure: the paths that a layer archive states, cleaned, and what their names mean.

/// Bytes of a path, of a name, and names in a path (storage reference §8 rules 2 and 11).
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;
const MAX_DEPTH: usize = 1024;

/// Where an entry of a layer goes. A parent is names joined by slashes, empty for the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The root directory itself.
    Root,
    /// An object.
    Object { parent: Vec<u8>, name: &'a [u8] },
    /// `.wh.NAME`: hides NAME of lower layers.
    Whiteout { parent: Vec<u8>, name: &'a [u8] },
    /// `.wh..wh..opq`: the directory hides everything that lower layers have in it.
    Opaque { parent: Vec<u8> },
    /// Another file of aufs's own.
    Ignored,
}

/// Cleans a path; the error is the rule that it breaks.
pub(crate) fn clean(path: &[u8]) -> Result<Place<'_>, &'static str> {
    const ESCAPES: &str = "escapes the root";
    if path.is_empty() || path.contains(&0) {
        return Err("the name is empty or holds a NUL byte");
    }
    if path.len() > MAX_PATH {
        return Err("the path is too long");
    }
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop().ok_or(ESCAPES)?),
            _ if name.len() > MAX_NAME => return Err("a name in the path is too long"),
            _ => names.push(name),
        }
    }
    if names.len() > MAX_DEPTH {
        return Err("the path is too deep");
    }
    let Some(name) = names.pop() else {
        return Ok(Place::Root);
    };
    if names.iter().any(|name| name.starts_with(b".wh..wh.")) {
        return Ok(Place::Ignored);
    }
    if names.iter().any(|name| name.starts_with(b".wh.")) {
        return Err("a whiteout is not a directory");
    }
    let parent = names.join(&b'/');
    Ok(match name.strip_prefix(b".wh.") {
        None => Place::Object { parent, name },
        Some(b".wh..opq") => Place::Opaque { parent },
        Some(rest) if rest.starts_with(b".wh.") => Place::Ignored,
        Some(b"" | b"." | b"..") => return Err("a whiteout needs a name"),
        Some(name) => Place::Whiteout { parent, name },
    })
}

/// Joins a parent and a name.
pub(crate) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        name.to_vec()
    } else {
        [parent, b"/", name].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places() {
        let object = |parent: &str, name: &'static str| {
            Ok(Place::Object {
                parent: parent.into(),
                name: name.as_bytes(),
            })
        };
        let long = "x".repeat(256);
        for (path, expect) in [
            ("a", object("", "a")),
            ("/a/b/", object("a", "b")),
            ("./a//./b", object("a", "b")),
            ("a/../b", object("", "b")),
            ("./", Ok(Place::Root)),
            ("/", Ok(Place::Root)),
            ("a/..", Ok(Place::Root)),
            ("../a", Err("escapes the root")),
            ("a/../../b", Err("escapes the root")),
            ("", Err("the name is empty or holds a NUL byte")),
            ("a\0b", Err("the name is empty or holds a NUL byte")),
            (&long, Err("a name in the path is too long")),
            (
                "d/.wh.x",
                Ok(Place::Whiteout {
                    parent: b"d".to_vec(),
                    name: b"x",
                }),
            ),
            (
                "d/.wh..wh..opq",
                Ok(Place::Opaque {
                    parent: b"d".to_vec(),
                }),
            ),
            (".wh..wh.plnk/1.2", Ok(Place::Ignored)),
            (".wh..wh.aufs", Ok(Place::Ignored)),
            (".wh.", Err("a whiteout needs a name")),
            (".wh..", Err("a whiteout needs a name")),
            (".wh...", Err("a whiteout needs a name")),
            (".wh.x/y", Err("a whiteout is not a directory")),
        ] {
            assert_eq!(clean(path.as_bytes()), expect, "{path:?}");
        }
        assert!(clean(&"a/".repeat(1025).into_bytes()).is_err());
        assert!(clean(&[b'/'; 4097]).is_err());
    }

    proptest! {
        #[test]
        fn never_leaves(path in "[a./w\\x00]{0,40}|(\\.\\./|a/|\\.wh\\.|/){0,12}") {
            if let Ok(Place::Object { parent, name } | Place::Whiteout { parent, name }) =
                clean(path.as_bytes())
            {
                for part in join(&parent, name).split(|byte| *byte == b'/') {
                    prop_assert!(!matches!(part, b"" | b"." | b".."));
                    prop_assert!(!part.contains(&0));
                }
            }
        }
    }
}
