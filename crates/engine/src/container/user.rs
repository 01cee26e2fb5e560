//! Who process 1 is: `USER` looked up in the container's own /etc/passwd and /etc/group, which are
//! data of a stranger: read without following links out, regular files only, bounded.

use std::path::Path;

use types::Mount;
use types::oci::runtime::User;

use crate::error::{Error, Result};

/// Longest file that is read.
const FILE_MAX: usize = 1 << 20;

/// A user as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) user: User,
    pub(crate) home: String,
}

/// Looks a user up in the files of a root that is not mounted yet.
pub(crate) fn resolve(root: &Mount, user: &str, extra_groups: &[String]) -> Result<Resolved> {
    let passwd = read(root, "etc/passwd")?;
    let group = read(root, "etc/group")?;
    lookup(user, extra_groups, &passwd, &group)
}

fn read(root: &Mount, path: &str) -> Result<String> {
    let layers: Vec<&Path> = match root {
        Mount::Overlay { lower, upper, .. } => std::iter::once(upper)
            .chain(lower)
            .map(AsRef::as_ref)
            .collect(),
        Mount::Bind { source } => vec![source.as_ref()],
    };
    for layer in layers {
        let found = sys::regular::read_in(layer, path, FILE_MAX)
            .map_err(|e| Error::internal(format_args!("reading /{path} of the container"), e))?;
        match found {
            sys::regular::Found::Bytes(bytes) => {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            // A whiteout, a device, a link: what lies below is hidden or not to be trusted.
            sys::regular::Found::Other => return Ok(String::new()),
            sys::regular::Found::Nothing => {}
        }
    }
    Ok(String::new())
}

/// Docker's rules (security reference §2): digits are an id and are not looked up by name first;
/// else an exact name; the primary group is among the supplementary ones.
pub(crate) fn lookup(
    user: &str,
    extra_groups: &[String],
    passwd: &str,
    group: &str,
) -> Result<Resolved> {
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    let given = if name.is_empty() {
        Some(0)
    } else {
        number(name)?
    };
    let account = if let Some(uid) = given {
        entry(passwd, |fields| fields[2] == uid.to_string())
    } else {
        let found = entry(passwd, |fields| fields[0] == name);
        Some(found.ok_or_else(|| {
            Error::invalid(format!(
                "unable to find user {name}: no matching entries in passwd file"
            ))
        })?)
    };
    let field = |at: usize| account.as_ref().and_then(|fields| fields.get(at)).cloned();
    let uid = given.or_else(|| field(2)?.parse().ok()).unwrap_or(0);
    let mut gid = field(3).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut additional = Vec::new();
    if group_name.is_empty() {
        additional = groups_of(&field(0).unwrap_or_default(), group);
    } else {
        gid = find_group(group_name, group)?;
    }
    for wanted in extra_groups {
        additional.push(find_group(wanted, group)?);
    }
    additional.insert(0, gid);
    let mut seen = std::collections::HashSet::new();
    additional.retain(|gid| seen.insert(*gid));
    let home = field(5)
        .filter(|home| !home.is_empty())
        .unwrap_or_else(|| "/".to_owned());
    let user = User {
        uid,
        gid,
        umask: None,
        additional_gids: additional,
    };
    Ok(Resolved { user, home })
}

/// Returns the fields of the first line that `wanted` accepts; lines with less than three fields
/// are nobody's.
fn entry(text: &str, wanted: impl Fn(&[&str]) -> bool) -> Option<Vec<String>> {
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 3 && wanted(fields))
        .map(|fields| fields.into_iter().map(str::to_owned).collect())
}

fn find_group(wanted: &str, group: &str) -> Result<u32> {
    if let Some(gid) = number(wanted)? {
        return Ok(gid);
    }
    entry(group, |fields| fields[0] == wanted)
        .and_then(|fields| fields[2].parse().ok())
        .ok_or_else(|| {
            Error::invalid(format!(
                "unable to find group {wanted}: no matching entries in group file"
            ))
        })
}

/// Returns the groups that name a user as their member.
fn groups_of(login: &str, group: &str) -> Vec<u32> {
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let members = fields.get(3)?;
        let is_member = !login.is_empty() && members.split(',').any(|member| member == login);
        is_member.then(|| fields[2].parse::<u32>().ok()).flatten()
    };
    group.lines().filter_map(member).collect()
}

/// A number is an id, in 0..=2147483647 as Docker has it; a sign makes no name of it.
fn number(text: &str) -> Result<Option<u32>> {
    let Ok(id) = text.parse::<i64>() else {
        return Ok(None);
    };
    match u32::try_from(id) {
        Ok(id) if i32::try_from(id).is_ok() => Ok(Some(id)),
        _ => Err(Error::invalid(
            "uids and gids must be in range 0-2147483647",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\naudio:x:29:ann\n";

    fn check(user: &str, expect: (u32, u32, &[u32], &str)) {
        let got = lookup(user, &[], PASSWD, GROUP).unwrap();
        let gids: &[u32] = &got.user.additional_gids;
        assert_eq!(
            (got.user.uid, got.user.gid, gids, got.home.as_str()),
            expect,
            "{user:?}"
        );
    }

    #[test]
    fn users_as_docker_finds_them() {
        check("", (0, 0, &[0, 10], "/root"));
        check("root", (0, 0, &[0, 10], "/root"));
        check("ann", (1000, 100, &[100, 10, 29], "/home/ann"));
        check("1000", (1000, 100, &[100, 10, 29], "/home/ann"));
        check("1000:5", (1000, 5, &[5], "/home/ann"));
        check("ann:audio", (1000, 29, &[29], "/home/ann"));
        check("4242", (4242, 0, &[0], "/"));
        check("4242:7", (4242, 7, &[7], "/"));
    }

    #[test]
    fn strangers_are_refused() {
        for (user, sentence) in [
            (
                "nobody",
                "unable to find user nobody: no matching entries in passwd file",
            ),
            (
                "0:nope",
                "unable to find group nope: no matching entries in group file",
            ),
            ("4294967295", "uids and gids must be in range 0-2147483647"),
        ] {
            assert_eq!(
                lookup(user, &[], PASSWD, GROUP).unwrap_err().to_string(),
                sentence
            );
        }
    }
}
