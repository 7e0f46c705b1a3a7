//! Sizes as people write them.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a size is a whole number of MiB or GiB, such as 1536MiB or 2GiB")]
pub struct NotASize;

impl ByteSize {
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = NotASize;

    fn from_str(given: &str) -> Result<Self, NotASize> {
        let units = [("MiB", 1 << 20), ("GiB", 1 << 30)];
        let (number, unit) =
            units.iter().find_map(|(name, unit)| Some((given.strip_suffix(name)?, unit))).ok_or(NotASize)?;
        let number: u64 = number.trim_end().parse().map_err(|_| NotASize)?;
        number.checked_mul(*unit).filter(|bytes| *bytes > 0).map(Self).ok_or(NotASize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_its_unit() {
        assert_eq!("2GiB".parse::<ByteSize>().unwrap().bytes(), 2 << 30);
        assert_eq!("1536 MiB".parse::<ByteSize>().unwrap().bytes(), 1536 << 20);
        for given in ["", "2", "GiB", "0MiB", "-1GiB", "2GB", "99999999999999GiB"] {
            assert_eq!(given.parse::<ByteSize>(), Err(NotASize), "{given:?}");
        }
    }
}
