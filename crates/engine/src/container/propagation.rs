//! Mounts that a bind is to pass on, or to receive: only a shared mount of the host does.

use std::path::Path;

use super::record::Bind;
use crate::error::{Error, Result};

/// Checks a bind's source, in Docker's words.
pub(crate) fn check(bind: &Bind) -> Result<()> {
    let (needs, accepted): (&str, &[&str]) = match bind.propagation.as_str() {
        "shared" | "rshared" => ("shared", &["shared:"]),
        "slave" | "rslave" => ("shared or slave", &["shared:", "master:"]),
        _ => return Ok(()),
    };
    let source = std::fs::canonicalize(&bind.source)
        .map_err(|e| Error::internal(format_args!("looking for {}", bind.source), e))?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some((point, options)) = holder(&table, &source) else {
        return Ok(());
    };
    if options
        .iter()
        .any(|option| accepted.iter().any(|word| option.starts_with(word)))
    {
        return Ok(());
    }
    let sentence = format!(
        "path {} is mounted on {point} but it is not a {needs} mount",
        bind.source
    );
    Err(Error::new(types::ErrorKind::Internal, sentence))
}

/// Returns the mount that a path lies in, and its optional fields (proc(5), mountinfo). The last
/// of several at one place is the one that is seen.
fn holder<'a>(table: &'a str, path: &Path) -> Option<(&'a str, Vec<&'a str>)> {
    let mounts = table.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let point = fields.next()?;
        let options = fields.skip(1).take_while(|field| *field != "-").collect();
        path.starts_with(point).then_some((point, options))
    });
    mounts.fold(None, |best: Option<(&str, Vec<&str>)>, found| match best {
        Some(best) if best.0.len() > found.0.len() => Some(best),
        _ => Some(found),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
1 0 8:1 / / rw,relatime - ext4 /dev/a rw
2 1 8:2 / /a rw shared:1 - ext4 /dev/b rw
3 2 8:3 / /a/b rw master:2 propagate_from:1 - ext4 /dev/c rw
";

    #[test]
    fn the_longest_mount_holds_a_path() {
        for (path, point, option) in [
            ("/x", "/", None),
            ("/ab", "/", None),
            ("/a", "/a", Some("shared:1")),
            ("/a/c", "/a", Some("shared:1")),
            ("/a/b/c", "/a/b", Some("master:2")),
        ] {
            let (found, options) = holder(TABLE, Path::new(path)).unwrap();
            assert_eq!((found, options.first().copied()), (point, option), "{path}");
        }
    }
}
