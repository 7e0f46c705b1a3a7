//! The options that say what a tenant's browser may take of its node.

use roost_proto::v1::Tenant;

const SIZE: &str = "give a whole number of MiB or GiB such as 512MiB";

/// As it is given: an amount, `none` for no limit, `default` for the node's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit<T> {
    Default,
    To(T),
}

impl<T> Limit<T> {
    fn into_field(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::To(amount) => Some(amount),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct LimitArgs {
    /// What is kept free for its browser on a node, such as 256MiB; 'default' is what its node takes a tenant to need.
    #[arg(long, value_name = "SIZE", value_parser = request)]
    memory_request: Option<Limit<i64>>,
    /// What its browser may use before it is restarted, such as 512MiB; 'none' lifts the limit, 'default' is the node's own.
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory_limit: Option<Limit<i64>>,
    /// The cores that its browser may use for long, such as 0.5; 'none' lifts the limit, 'default' is the node's own.
    #[arg(long, value_name = "CORES", value_parser = cores)]
    cpu_limit: Option<Limit<i32>>,
    /// The processes that its browser may have; 'none' lifts the limit, 'default' is the node's own.
    #[arg(long, value_name = "N", value_parser = processes)]
    process_limit: Option<Limit<i32>>,
}

impl LimitArgs {
    /// The fields that are given, by their paths.
    pub fn paths(&self) -> [(&'static str, bool); 4] {
        [
            ("memory_request_bytes", self.memory_request.is_some()),
            ("memory_limit_bytes", self.memory_limit.is_some()),
            ("cpu_limit_millicores", self.cpu_limit.is_some()),
            ("process_limit", self.process_limit.is_some()),
        ]
    }

    pub fn into_tenant(self) -> Tenant {
        Tenant {
            memory_request_bytes: self.memory_request.and_then(Limit::into_field),
            memory_limit_bytes: self.memory_limit.and_then(Limit::into_field),
            cpu_limit_millicores: self.cpu_limit.and_then(Limit::into_field),
            process_limit: self.process_limit.and_then(Limit::into_field),
            ..Tenant::default()
        }
    }
}

fn request(given: &str) -> Result<Limit<i64>, String> {
    match given {
        "default" => Ok(Limit::Default),
        _ => bytes(given).map(Limit::To).ok_or_else(|| format!("{SIZE}, or default")),
    }
}

fn memory(given: &str) -> Result<Limit<i64>, String> {
    limit(given, bytes, SIZE)
}

fn cores(given: &str) -> Result<Limit<i32>, String> {
    let millicores = |given: &str| {
        let cores: f64 = given.parse().ok()?;
        let millicores = (cores * 1_000.0).round();
        // Out of range is for the coordinator to say; less than half a thousandth would lift the limit.
        (millicores >= 1.0 && millicores <= f64::from(i32::MAX)).then_some(millicores as i32)
    };
    limit(given, millicores, "give a number of cores such as 0.5")
}

fn processes(given: &str) -> Result<Limit<i32>, String> {
    let number = |given: &str| given.parse().ok().filter(|number| *number > 0);
    limit(given, number, "give a number of processes such as 40")
}

fn limit<T: Default>(given: &str, parse: impl Fn(&str) -> Option<T>, what: &str) -> Result<Limit<T>, String> {
    match given {
        "default" => Ok(Limit::Default),
        "none" => Ok(Limit::To(T::default())),
        _ => parse(given).map(Limit::To).ok_or_else(|| format!("{what}, or none, or default")),
    }
}

fn bytes(given: &str) -> Option<i64> {
    let units = [("MiB", 1 << 20), ("GiB", 1_i64 << 30)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((given.strip_suffix(name)?, unit)))?;
    let number: i64 = number.trim_end().parse().ok()?;
    number.checked_mul(*unit).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_units_and_a_limit_may_be_lifted_or_left_to_the_node() {
        assert_eq!(memory("512MiB"), Ok(Limit::To(512 << 20)));
        assert_eq!(memory("2 GiB"), Ok(Limit::To(2 << 30)));
        assert_eq!((memory("none"), memory("default")), (Ok(Limit::To(0)), Ok(Limit::Default)));
        assert_eq!((cores("0.5"), cores("2")), (Ok(Limit::To(500)), Ok(Limit::To(2_000))));
        assert_eq!(processes("40"), Ok(Limit::To(40)));
        for wrong in ["512", "0MiB", "-1GiB", "512MB", "", "99999999999GiB"] {
            assert!(memory(wrong).is_err() && request(wrong).is_err(), "{wrong}");
        }
        assert!(request("none").is_err(), "nothing is no request");
        assert!(["0", "-1", "0.0001", "NaN", "x"].iter().all(|wrong| cores(wrong).is_err()));
        assert!(["0", "-1", "x"].iter().all(|wrong| processes(wrong).is_err()));
    }
}
