//! Pure: the `Link` header that leads to the next page of a list (RFC 8288).

/// Returns the target of the link whose relation is `next`.
pub fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let (parameters, following) = after.split_once(',').unwrap_or((after, ""));
        let next = parameters.split(';').any(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            key.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        if next {
            return Some(target);
        }
        rest = following;
    }
}

/// Writes the header that leads to `target`.
pub fn to_next(target: &str) -> String {
    format!("<{target}>; rel=\"next\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page() {
        let target = "/v2/a/tags/list?last=x&n=2";
        assert_eq!(next(&to_next(target)), Some(target));
        assert_eq!(next("</a>; rel=prev, </b>; title=x; rel=next"), Some("/b"));
        for none in ["", "<", "</a>", "</a>; rel=\"last\""] {
            assert_eq!(next(none), None, "{none}");
        }
    }
}
