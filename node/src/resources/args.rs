//! Limits as a node is given them.

use std::str::FromStr;

/// An amount, or `none` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit<T>(pub Option<T>);

impl<T: FromStr> FromStr for Limit<T>
where
    T::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given {
            "none" => Ok(Self(None)),
            _ => given.parse().map(Some).map(Self).map_err(|error| format!("{error}, or none")),
        }
    }
}

/// Processors, in thousandths of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores {
    pub millicores: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it takes a number of cores from 0.05 to 1000, such as 0.5")]
pub struct NotCores;

impl FromStr for Cores {
    type Err = NotCores;

    fn from_str(given: &str) -> Result<Self, NotCores> {
        let cores: f64 = given.parse().map_err(|_| NotCores)?;
        let is_allowed = (0.05..=1_000.0).contains(&cores);
        if is_allowed { Ok(Self { millicores: (cores * 1_000.0).round() as u32 }) } else { Err(NotCores) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_size::ByteSize;

    #[test]
    fn a_limit_is_an_amount_or_none() {
        assert_eq!("0.5".parse(), Ok(Limit(Some(Cores { millicores: 500 }))));
        assert_eq!("none".parse(), Ok(Limit::<Cores>(None)));
        assert_eq!("512MiB".parse::<Limit<ByteSize>>().unwrap().0.unwrap().bytes(), 512 << 20);
        for wrong in ["0", "-1", "NaN", "1001", ""] {
            assert!(wrong.parse::<Limit<Cores>>().unwrap_err().ends_with("or none"), "{wrong}");
        }
    }
}
