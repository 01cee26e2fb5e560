//! Every path of the store.
//!
//! ```text
//! DATA-ROOT/                0710, made by the engine
//!   layers/<k>/diff         an unpacked layer; k = base36 counter; 0 is the init layer
//!   layers/<k>/recipe       how to make its tar again, byte by byte
//!   layers/<k>/blob         the layer as a registry has it, compressed, for push
//!   rw/<k>/{diff,work}      what one container writes; same file system as layers
//!   ingest/<n>/             spooled parts of an archive that is being loaded
//!   ingest/blob-<sha256>    a blob on its way here; kept for a day when it is interrupted
//!   trash/<n>               removal is a rename to here; emptied by `Store::reap`
//! ```
//!
//! A directory in `layers` or `rw` without a row in `meta` is garbage: a stage is made in its final
//! place and a publication only writes rows (docs/decisions/0003-layers-per-diff-id.md).

use std::path::{Path, PathBuf};

/// Directories of the store below the data root.
pub(crate) const LAYERS: &str = "layers";
pub(crate) const RW: &str = "rw";
pub(crate) const INGEST: &str = "ingest";
pub(crate) const TRASH: &str = "trash";
/// All of them.
pub(crate) const ALL: [&str; 4] = [LAYERS, RW, INGEST, TRASH];

/// Within a layer or a container layer.
pub(crate) const DIFF: &str = "diff";
pub(crate) const WORK: &str = "work";
pub(crate) const RECIPE: &str = "recipe";
pub(crate) const BLOB: &str = "blob";

/// The layer that holds the mount points of every container.
pub(crate) const INIT: &str = "0";

/// Builds the paths that are handed to others.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn layer_diff(&self, k: &str) -> PathBuf {
        self.root.join(LAYERS).join(k).join(DIFF)
    }

    pub(crate) fn rw_diff(&self, k: &str) -> PathBuf {
        self.root.join(RW).join(k).join(DIFF)
    }

    pub(crate) fn rw_work(&self, k: &str) -> PathBuf {
        self.root.join(RW).join(k).join(WORK)
    }
}

/// Writes a number in base 36.
pub(crate) fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// Reads a number in base 36, as written by [`base36`].
pub(crate) fn parse_base36(text: &str) -> Option<u64> {
    let number = u64::from_str_radix(text, 36).ok()?;
    (base36(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters() {
        for (number, text) in [(0, "0"), (35, "z"), (36, "10"), (u64::MAX, "3w5e11264sgsf")] {
            assert_eq!(base36(number), text);
            assert_eq!(parse_base36(text), Some(number));
        }
        for bad in ["", "Z", "01", "-1", "+1", "..", "3w5e11264sgsg"] {
            assert_eq!(parse_base36(bad), None, "{bad}");
        }
    }
}
