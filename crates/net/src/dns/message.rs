//! Pure: messages of RFC 1035, as far as a resolver that knows some names needs them: a question is
//! read, an answer is the question's own bytes with records behind. Nothing here trusts a length.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the fixed beginning.
const HEADER: usize = 12;
/// Bytes of an answer by UDP to who says nothing else.
pub(crate) const PLAIN_MAX: usize = 512;
/// Seconds that an answer may be kept; as Docker's.
const TTL_S: u32 = 600;
/// Bytes of the longest name.
const NAME_MAX: usize = 255;

/// Types of records.
pub(crate) const A: u16 = 1;
pub(crate) const PTR: u16 = 12;
#[cfg(test)]
pub(crate) const MX: u16 = 15;
pub(crate) const AAAA: u16 = 28;
const OPT: u16 = 41;

/// Codes of answers.
pub(crate) const NO_ERROR: u8 = 0;
pub(crate) const FORMAT_ERROR: u8 = 1;
pub(crate) const SERVER_FAILURE: u8 = 2;
pub(crate) const REFUSED: u8 = 5;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// Small letters, no point at the end.
    pub(crate) name: String,
    pub(crate) kind: u16,
    /// Bytes of an answer that the asker takes by UDP.
    pub(crate) room: usize,
    /// Where the question ends.
    end: usize,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Address(IpAddr),
    Name(String),
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

/// Returns the number by which asker and answerer know a message.
pub(crate) fn id(message: &[u8]) -> Option<u16> {
    number(message, 0)
}

/// Returns the code of an answer.
pub(crate) fn code(message: &[u8]) -> Option<u8> {
    message.get(3).map(|byte| byte & 0xf)
}

/// Reads a query of one question.
pub(crate) fn parse(query: &[u8]) -> Option<Question> {
    let flags = number(query, 2)?;
    let is_query = flags & 0x8000 == 0 && flags & 0x7800 == 0;
    if !is_query || number(query, 4)? != 1 {
        return None;
    }
    let (name, at) = read_name(query, HEADER)?;
    let kind = number(query, at)?;
    let end = at.checked_add(4)?;
    // The class.
    number(query, at.checked_add(2)?)?;
    Some(Question {
        name,
        kind,
        room: room(query, end).unwrap_or(PLAIN_MAX),
        end,
    })
}

/// Reads a name that is not compressed: in a question there is nothing to point back to.
fn read_name(query: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at = at.checked_add(1)?;
        if length == 0 {
            return Some((name, at));
        }
        let end = at.checked_add(length)?;
        if length > 63 || name.len().checked_add(length)? > NAME_MAX {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        for byte in query.get(at..end)? {
            name.push(char::from(byte.to_ascii_lowercase()));
        }
        at = end;
    }
}

/// Finds the EDNS record behind a question and returns the size it tells.
fn room(query: &[u8], mut at: usize) -> Option<usize> {
    let count = number(query, 6)?
        .checked_add(number(query, 8)?)?
        .checked_add(number(query, 10)?)?;
    for _ in 0..count.min(4) {
        let (_, next) = read_name(query, at)?;
        if number(query, next)? == OPT {
            return Some(usize::from(number(query, next.checked_add(2)?)?).max(PLAIN_MAX));
        }
        let data = usize::from(number(query, next.checked_add(8)?)?);
        at = next.checked_add(10)?.checked_add(data)?;
    }
    None
}

/// Makes the answer to `query`, whose question is `question`.
pub(crate) fn answer(query: &[u8], question: &Question, code: u8, data: &[Data]) -> Vec<u8> {
    let mut message = head(query, code, u16::try_from(data.len()).unwrap_or(u16::MAX));
    message.extend_from_slice(query.get(HEADER..question.end).unwrap_or_default());
    for one in data {
        // The name of the question.
        message.extend_from_slice(&[0xc0, 12]);
        let (kind, bytes) = match one {
            Data::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
            Data::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
            Data::Name(name) => (PTR, write_name(name)),
        };
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&1_u16.to_be_bytes());
        message.extend_from_slice(&TTL_S.to_be_bytes());
        let length = u16::try_from(bytes.len()).unwrap_or_default();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&bytes);
    }
    message
}

/// Makes the answer to what cannot be read; nothing for what is no query at all.
pub(crate) fn complaint(query: &[u8]) -> Option<Vec<u8>> {
    let is_query = query.len() >= HEADER && query.get(2)? & 0x80 == 0;
    is_query.then(|| {
        let mut message = head(query, FORMAT_ERROR, 0);
        if let Some(count) = message.get_mut(5) {
            *count = 0;
        }
        message
    })
}

/// An answer's beginning: the query's number and wish for recursion; we have authority, and recursion
/// is to be had.
fn head(query: &[u8], code: u8, answers: u16) -> Vec<u8> {
    let mut head = vec![0; HEADER];
    let wish = query.get(2).copied().unwrap_or_default() & 1;
    let id = id(query).unwrap_or_default().to_be_bytes();
    let [high, low] = answers.to_be_bytes();
    let fields = [id[0], id[1], 0x84 | wish, 0x80 | code, 0, 1, high, low];
    for (place, byte) in head.iter_mut().zip(fields) {
        *place = byte;
    }
    head
}

/// Cuts an answer that does not fit, and says so: the asker comes again by TCP.
pub(crate) fn fitted(mut message: Vec<u8>, question: &Question) -> Vec<u8> {
    if message.len() > question.room {
        message.truncate(question.end);
        if let Some(flags) = message.get_mut(2) {
            *flags |= 2;
        }
        for place in message.iter_mut().take(HEADER).skip(6) {
            *place = 0;
        }
    }
    message
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes();
        let label = label.get(..63).unwrap_or(label);
        bytes.push(u8::try_from(label.len()).unwrap_or_default());
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes
}

/// Reads the address out of a name that asks for one's name: `2.0.17.172.in-addr.arpa`.
pub(crate) fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let text: Vec<_> = digits.rsplit('.').collect();
        return text.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let mut bits = 0_u128;
    let mut count = 0_u32;
    for nibble in nibbles.rsplit('.') {
        let value = u128::from(u8::from_str_radix(nibble, 16).ok().filter(|n| *n < 16)?);
        bits = bits.checked_shl(4)? | value;
        count = count.checked_add(1)?;
    }
    (count == 32).then(|| IpAddr::V6(Ipv6Addr::from_bits(bits)))
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]
pub(crate) mod tests {
    use super::*;

    /// A query with number 0x1234.
    pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(write_name(name));
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes
    }

    #[test]
    fn a_question_is_read_and_answered() {
        let asked = query("Web.Shop", A);
        let question = parse(&asked).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("web.shop", A));
        assert_eq!((question.room, question.end), (512, asked.len()));
        let address = Data::Address([10, 0, 0, 2].into());
        let answer = answer(&asked, &question, NO_ERROR, &[address]);
        assert_eq!(answer[..4], [0x12, 0x34, 0x85, 0x80]);
        assert_eq!(answer[4..12], [0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..asked.len()], asked[12..]);
        assert_eq!(
            answer[asked.len()..],
            [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 2]
        );
        assert_eq!((id(&answer), code(&answer)), (Some(0x1234), Some(0)));
    }

    #[test]
    fn a_larger_room_is_told_by_edns() {
        let mut asked = query("a", A);
        asked[11] = 1;
        asked.extend_from_slice(&[0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&asked).unwrap().room, 4096);
        let long = vec![Data::Address([10, 0, 0, 2].into()); 300];
        let question = parse(&asked).unwrap();
        let whole = answer(&asked, &question, NO_ERROR, &long);
        let cut = fitted(whole, &question);
        assert!(cut[2] & 2 != 0 && cut.len() == question.end);
    }

    #[test]
    fn what_is_cut_off_or_loops_is_no_question() {
        let asked = query("web.shop", A);
        for cut in 0..asked.len() {
            assert_eq!(parse(&asked[..cut]), None, "{cut}");
        }
        let mut pointer = query("web", A);
        pointer[12] = 0xc0;
        assert_eq!(parse(&pointer), None);
        let mut reply = query("web", A);
        reply[2] |= 0x80;
        assert_eq!((parse(&reply), complaint(&reply)), (None, None));
        assert!(complaint(&pointer).is_some());
        assert_eq!(parse(&[0xff; 600]), None);
    }

    #[test]
    fn addresses_are_asked_for_backwards() {
        assert_eq!(
            reversed("2.0.17.172.in-addr.arpa"),
            Some([172, 17, 0, 2].into())
        );
        assert_eq!(reversed("2.0.17.in-addr.arpa"), None);
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reversed(six), "fd00::1".parse().ok());
        assert_eq!(reversed("web"), None);
    }
}
