//! The memory of this machine, or of the container that this process is in.

use std::fs;

/// Where the limit of a container is: control groups version 2, version 1.
const GROUPS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
/// What is assumed where the system does not tell, in bytes.
const UNKNOWN: u64 = 4 << 30;

/// Bytes of memory that this process may have at the most.
pub fn machine() -> u64 {
    let group = GROUPS.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    group.into_iter().chain(total).min().unwrap_or(UNKNOWN)
}

/// `MemTotal`, which the kernel gives in units of 1024 bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_kibibytes() {
        assert_eq!(total("MemTotal:       16314476 kB\nMemFree: 1 kB\n"), Some(16_314_476 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(machine() > 1 << 20);
    }
}
