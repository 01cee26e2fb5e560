//! Pure: one page of a sorted list, and the link to the next.

use super::fault::{Code, Fault};
use super::query::{Query, encode};

/// Most entries on one page, whatever is asked for.
const PAGE_MAX: usize = 10_000;

/// What part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// At most so many.
    count: usize,
    /// Only what stands after this one.
    last: Option<String>,
}

/// A page, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<String>,
    /// The `Link` header.
    pub(crate) link: Option<String>,
}

impl Wish {
    /// Reads `n` and `last`.
    pub(crate) fn of(query: &Query) -> Result<Self, Fault> {
        let count = match query.find("n") {
            None => PAGE_MAX,
            Some(text) => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<u64>().ok().filter(|_| digits);
                let number = number.and_then(|number| usize::try_from(number).ok());
                number.map(|number| number.min(PAGE_MAX)).ok_or_else(|| {
                    Fault::new(
                        Code::PageNumberInvalid,
                        format!("invalid number of results requested: {text:?}"),
                    )
                })?
            }
        };
        let last = query.find("last").filter(|last| !last.is_empty());
        Ok(Self {
            count,
            last: last.map(str::to_owned),
        })
    }

    /// Returns the page of `names` that is wanted; `address` is the list's own.
    pub(crate) fn page(&self, mut names: Vec<String>, address: &str) -> Page {
        names.sort_by(|a, b| order(a, b));
        if let Some(last) = &self.last {
            let from = names.partition_point(|name| order(name, last).is_le());
            names.drain(..from);
        }
        let more = names.len() > self.count && self.count > 0;
        names.truncate(self.count);
        let link = names.last().filter(|_| more).map(|last| {
            let last = encode(last);
            format!("<{address}?n={}&last={last}>; rel=\"next\"", self.count)
        });
        Page {
            entries: names,
            link,
        }
    }
}

/// The specification's lexical order does not see case; two names that differ in it only still have
/// an order.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    let folded = |text: &str| text.to_ascii_lowercase();
    folded(a).cmp(&folded(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Page {
        let names = ["v3", "V2", "b", "a", "v1"].map(str::to_owned).to_vec();
        Wish::of(&Query::parse(query)).unwrap().page(names, "/list")
    }

    #[test]
    fn pages_follow_each_other() {
        assert_eq!(page("").entries, ["a", "b", "v1", "V2", "v3"]);
        assert_eq!(page("").link, None);
        let first = page("n=2");
        assert_eq!(first.entries, ["a", "b"]);
        assert_eq!(first.link.unwrap(), "</list?n=2&last=b>; rel=\"next\"");
        assert_eq!(page("n=2&last=b").entries, ["v1", "V2"]);
        let end = page("n=2&last=V2");
        assert_eq!((end.entries, end.link), (vec!["v3".to_owned()], None));
        // A name that is not there is a place between two that are.
        assert_eq!(page("last=aa").entries, ["b", "v1", "V2", "v3"]);
        assert_eq!(page("last=z").entries, Vec::<String>::new());
        let none = page("n=0");
        assert_eq!((none.entries.len(), none.link), (0, None));
        assert_eq!(page("n=5").link, None);
        assert_eq!(page("n=2147483648").entries.len(), 5);
    }

    #[test]
    fn a_number_is_a_number() {
        for bad in [
            "n=-1",
            "n=abc",
            "n=",
            "n=+1",
            "n=1.5",
            "n=99999999999999999999999",
        ] {
            let fault = Wish::of(&Query::parse(bad)).unwrap_err();
            assert_eq!(fault.code, Code::PageNumberInvalid, "{bad}");
        }
    }
}
