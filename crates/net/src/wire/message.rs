//! Pure: netlink messages as bytes: batches of requests, and what comes back.
//!
//! Lengths and numbers of the framing are in the byte order of the machine; what is inside an
//! attribute is the affair of who writes it (`u32_be` for nf_tables).

/// Bytes of a message header.
const HEADER: usize = 16;
/// The kind of an attribute without its two flag bits.
const KIND_MASK: u16 = 0x3fff;
/// Marks an attribute that contains attributes.
const NESTED: u16 = 0x8000;

/// The message is a request.
const REQUEST: u16 = 0x1;
/// The kernel shall answer that it was done.
pub(crate) const ACK: u16 = 0x4;
/// All objects are wanted.
pub(crate) const DUMP: u16 = 0x300;
/// An existing object is replaced.
pub(crate) const REPLACE: u16 = 0x100;
/// An existing object is an error.
pub(crate) const EXCLUSIVE: u16 = 0x200;
/// Make the object.
pub(crate) const CREATE: u16 = 0x400;
/// Put the object behind the others.
pub(crate) const APPEND: u16 = 0x800;
/// The dump changed while it was read.
const DUMP_INTERRUPTED: u16 = 0x10;

const KIND_ERROR: u16 = 2;
const KIND_DONE: u16 = 3;
/// In an error: the request's header only is repeated.
const CAPPED: u16 = 0x100;
/// In an error: attributes follow.
const HAS_ATTRIBUTES: u16 = 0x200;
/// In an error: the kernel's explanation.
const ERROR_TEXT: u16 = 1;

/// Requests that are sent as one datagram. Request `n` (from 0) has sequence number `n + 1`.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    count: u32,
    acks: u32,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns how many answers the kernel owes.
    pub(crate) fn acks(&self) -> u32 {
        self.acks
    }

    /// Adds a request: the fixed header of its family, then attributes.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        header: &[u8],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.count += 1;
        if flags & ACK != 0 {
            self.acks += 1;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&self.count.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(header);
        pad(&mut self.bytes);
        fill(&mut Attributes {
            bytes: &mut self.bytes,
        });
        let length = u32::try_from(self.bytes.len() - start).expect("invariant: under 4 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// The attributes of a request or of an attribute.
#[derive(Debug)]
pub(crate) struct Attributes<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Attributes<'_> {
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.framed(kind, |bytes| bytes.extend_from_slice(value));
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    pub(crate) fn u32_be(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A text with the NUL behind it that the kernel wants.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.framed(kind, |bytes| {
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        });
    }

    /// An attribute that contains attributes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        self.framed(kind | NESTED, |bytes| fill(&mut Attributes { bytes }));
    }

    /// As [`Attributes::nest`], with a fixed header in front of the attributes.
    pub(crate) fn nest_with(
        &mut self,
        kind: u16,
        header: &[u8],
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.framed(kind | NESTED, |bytes| {
            bytes.extend_from_slice(header);
            fill(&mut Attributes { bytes });
        });
    }

    fn framed(&mut self, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        fill(self.bytes);
        let length = u16::try_from(self.bytes.len() - start).expect("invariant: under 64 KiB");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        pad(self.bytes);
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// One message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// What a message from the kernel means for the conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// An object.
    Object(&'a [u8]),
    /// The request `sequence` was done.
    Done,
    /// The end of a dump; false when objects changed meanwhile and it has to be asked again.
    End { consistent: bool },
    /// The request was refused: errno and, where the kernel explains itself, its words.
    Refused { errno: i32, text: Option<String> },
}

impl<'a> Message<'a> {
    pub(crate) fn answer(&self) -> Answer<'a> {
        let number = || i32::from_ne_bytes(array(self.payload, 0).unwrap_or_default());
        match self.kind {
            KIND_ERROR if number() == 0 => Answer::Done,
            KIND_ERROR => Answer::Refused {
                errno: -number(),
                text: self.explanation(),
            },
            // The end of a dump carries an errno too.
            KIND_DONE if number() < 0 => Answer::Refused {
                errno: -number(),
                text: None,
            },
            KIND_DONE => Answer::End {
                consistent: self.flags & DUMP_INTERRUPTED == 0,
            },
            _ => Answer::Object(self.payload),
        }
    }

    fn explanation(&self) -> Option<String> {
        if self.flags & HAS_ATTRIBUTES == 0 {
            return None;
        }
        let repeated = if self.flags & CAPPED != 0 {
            HEADER
        } else {
            let length = u32::from_ne_bytes(array(self.payload, 4)?);
            usize::try_from(length).ok()?.next_multiple_of(4)
        };
        attribute(self.payload.get(4 + repeated..)?, ERROR_TEXT).map(text)
    }
}

/// Splits a datagram; what is cut off ends it.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(array(datagram, 0)?)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes(array(datagram, 4)?),
            flags: u16::from_ne_bytes(array(datagram, 6)?),
            sequence: u32::from_ne_bytes(array(datagram, 8)?),
            payload: datagram.get(HEADER..length)?,
        };
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some(message)
    })
}

/// Splits the attributes of a message or an attribute; what is cut off ends it.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(array(bytes, 0)?));
        let kind = u16::from_ne_bytes(array(bytes, 2)?) & KIND_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Returns the first attribute of `kind`.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes)
        .find(|(found, _)| *found == kind)
        .map(|(_, value)| value)
}

/// Reads a text attribute, without its NUL.
pub(crate) fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Returns `N` bytes from `at`, or nothing when there are fewer.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_pads_what_it_is_given() {
        let mut batch = Batch::new();
        batch.request(16, ACK | CREATE, &[7; 16], |link| {
            link.text(3, "br0");
            link.nest(18, |info| {
                info.text(1, "veth");
                info.u8(5, 9);
            });
        });
        batch.request(17, 0, &[], |_| {});
        let parsed: Vec<_> = messages(batch.bytes()).collect();
        assert_eq!(parsed.len(), 2);
        assert_eq!(
            (parsed[0].kind, parsed[0].flags, parsed[0].sequence),
            (16, 0x405, 1)
        );
        assert_eq!(
            (parsed[1].kind, parsed[1].sequence, parsed[1].payload),
            (17, 2, &[][..])
        );
        assert_eq!(batch.acks(), 1);
        assert_eq!(&parsed[0].payload[..16], &[7; 16]);
        let found: Vec<_> = attributes(&parsed[0].payload[16..]).collect();
        assert_eq!(found[0], (3, &b"br0\0"[..]));
        assert_eq!(found[1].0, 18);
        let inner: Vec<_> = attributes(found[1].1).collect();
        assert_eq!(inner, [(1, &b"veth\0"[..]), (5, &[9][..])]);
        assert_eq!(batch.bytes().len() % 4, 0);
        // The nest says so itself: 0x8000 in the kind.
        let at = 16 + 16 + 8;
        assert_eq!(
            array(batch.bytes(), at + 2),
            Some((0x12 | NESTED).to_ne_bytes())
        );
    }

    /// An answer as the kernel frames it.
    fn error(errno: i32, flags: u16, request: &[u8], tail: &[u8]) -> Vec<u8> {
        let payload = [&(-errno).to_ne_bytes()[..], request, tail].concat();
        let length = u32::try_from(HEADER + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&KIND_ERROR.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[5, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&payload);
        bytes
    }

    #[test]
    fn reads_refusals_with_their_explanation() {
        let mut words = Vec::new();
        Attributes { bytes: &mut words }.text(ERROR_TEXT, "Exchange full");
        let request = [&20_u32.to_ne_bytes()[..], &[0; 16]].concat();
        let table: [(Vec<u8>, Answer<'static>); 4] = [
            (error(0, CAPPED, &[0; 16], &[]), Answer::Done),
            (
                error(17, CAPPED, &[0; 16], &[]),
                Answer::Refused {
                    errno: 17,
                    text: None,
                },
            ),
            (
                error(54, CAPPED | HAS_ATTRIBUTES, &[0; 16], &words),
                Answer::Refused {
                    errno: 54,
                    text: Some("Exchange full".into()),
                },
            ),
            (
                error(54, HAS_ATTRIBUTES, &request, &words),
                Answer::Refused {
                    errno: 54,
                    text: Some("Exchange full".into()),
                },
            ),
        ];
        for (bytes, expected) in table {
            let message = messages(&bytes).next().unwrap();
            assert_eq!((message.answer(), message.sequence), (expected, 5));
        }
    }

    #[test]
    fn what_is_cut_off_ends_the_iteration() {
        let mut batch = Batch::new();
        batch.request(16, 0, &[], |link| link.u32(1, 2));
        for cut in 0..batch.bytes().len() {
            assert_eq!(messages(&batch.bytes()[..cut]).count(), 0, "cut at {cut}");
        }
        let payload = &batch.bytes()[HEADER..];
        for cut in 0..payload.len() {
            assert_eq!(attributes(&payload[..cut]).count(), 0, "cut at {cut}");
        }
        // A length shorter than its own header does not loop for ever.
        assert_eq!(attributes(&[0, 0, 1, 0, 0, 0, 1, 0]).count(), 0);
        assert_eq!(messages(&[0; 64]).count(), 0);
    }
}
