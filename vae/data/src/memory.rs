//! The memory that is available to this process.

use std::fs::read_to_string;

/// Returns the number of bytes that this process may still allocate: the system's free memory, or what its control group
/// (cgroup) leaves, if that is less.
pub fn available() -> u64 {
    let meminfo = read_to_string("/proc/meminfo").unwrap_or_default();
    let free = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free = free.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map(|kib| kib * 1024);
    let group = |name: &str| read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok();
    let number = |name: &str| group(name)?.trim().parse::<u64>().ok();
    // Cached files count as used memory of the group, but the kernel frees them on demand.
    let cached = group("stat").unwrap_or_default();
    let cached = cached.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse::<u64>().ok());
    let used = number("current").unwrap_or(0).saturating_sub(cached.unwrap_or(0));
    let left = number("max").map(|max| max.saturating_sub(used));
    match (free, left) {
        (Some(free), Some(left)) => free.min(left),
        (free, left) => free.or(left).unwrap_or(64 << 30), // on other systems, refuse only absurd sizes
    }
}
