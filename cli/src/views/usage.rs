//! Amounts of memory and processor time, for people.

const MIB: i64 = 1 << 20;

/// To the nearest MiB.
pub fn memory(bytes: i64) -> String {
    format!("{}MiB", bytes.saturating_add(MIB / 2) / MIB)
}

/// In cores.
pub fn cpu(millicores: i32) -> String {
    format!("{:.2}", f64::from(millicores) / 1_000.0)
}
