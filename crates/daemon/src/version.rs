//! Pure: `/v1.NN/…`: which version a request speaks, and the path behind it.

use api::ApiVersion;

/// A version that cannot be spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) message: String,
    /// Clients older than 1.24 print the body as it is.
    pub(crate) plain: bool,
}

/// Splits the version off a path. Without one the newest is spoken.
pub(crate) fn split(path: &str) -> Result<(ApiVersion, &str), Refused> {
    let Some((text, rest)) = path
        .strip_prefix("/v")
        .and_then(|tail| tail.split_once('/'))
        .filter(|(text, _)| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
    else {
        return Ok((ApiVersion::MAX, path));
    };
    let Ok(version) = text.parse::<ApiVersion>() else {
        return Ok((ApiVersion::MAX, path));
    };
    let refused = |message| Refused {
        message,
        plain: version < ApiVersion::new(1, 24),
    };
    if version < ApiVersion::MIN {
        return Err(refused(format!(
            "client version {version} is too old. Minimum supported API version is {}, please \
             upgrade your client to a newer version",
            ApiVersion::MIN
        )));
    }
    if version > ApiVersion::MAX {
        return Err(refused(format!(
            "client version {version} is too new. Maximum supported API version is {}",
            ApiVersion::MAX
        )));
    }
    Ok((version, &path[path.len() - rest.len() - 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_paths() {
        assert_eq!(split("/_ping"), Ok((ApiVersion::MAX, "/_ping")));
        assert_eq!(split("/v1.41/info"), Ok((ApiVersion::new(1, 41), "/info")));
        assert_eq!(split("/volumes/x"), Ok((ApiVersion::MAX, "/volumes/x")));
        assert_eq!(split("/wharf/v1/x"), Ok((ApiVersion::MAX, "/wharf/v1/x")));
        assert!(
            split("/v1.99/info")
                .unwrap_err()
                .message
                .contains("too new")
        );
        assert!(split("/v1.12/info").unwrap_err().plain);
    }
}
