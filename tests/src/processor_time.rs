//! What processes have used of the processors.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// A tick of `/proc/PID/stat`, whatever the kernel's own.
const TICK: Duration = Duration::from_millis(10);

/// Of these processes so far, in user space and in the kernel.
pub fn processor_time(pids: impl IntoIterator<Item = u32>) -> Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
        // Behind the name, which may hold anything: the state is the first field, and utime and stime are the 12th and 13th.
        let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
    }
    Ok(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_a_process_computes_is_counted() {
        let before = processor_time([std::process::id()]).unwrap();
        let begun = Instant::now();
        let counted = || processor_time([std::process::id()]).unwrap() - before;
        while counted() < TICK * 5 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", counted());
        }
    }
}
