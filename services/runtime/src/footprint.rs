//! What this process costs, by the names that Prometheus' own clients use, and how much memory it may take; Linux only,
//! nothing elsewhere.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Clock ticks in a second as `/proc` counts them: `USER_HZ`, the same on every architecture that we build for.
const TICKS: f64 = 100.0;

/// Appends memory, processor time, threads and open files to a Prometheus page; what cannot be read is left out.
pub(crate) fn render(page: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").ok();
    let status = fs::read_to_string("/proc/self/status").ok();
    let files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
    let in_status = |field: &str, unit: f64| status.as_deref().and_then(|text| field_of(text, field)).map(|n| n * unit);
    for (name, kind, value) in [
        ("process_cpu_seconds_total", "counter", stat.as_deref().and_then(cpu_seconds)),
        ("process_resident_memory_bytes", "gauge", in_status("VmRSS:", 1024.0)),
        ("process_virtual_memory_bytes", "gauge", in_status("VmSize:", 1024.0)),
        ("process_threads", "gauge", in_status("Threads:", 1.0)),
        ("process_open_fds", "gauge", files),
    ] {
        if let Some(value) = value {
            let _ = writeln!(page, "# TYPE {name} {kind}\n{name} {value}");
        }
    }
}

/// User and system time: the 14th and 15th field, of which the second may hold blanks, in brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// Bytes of memory that this process may take: the least that its control groups and the machine allow. `None` where
/// that cannot be known.
#[must_use]
pub fn allowed() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| field_of(&text, "MemTotal:"));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|file| limit(&fs::read_to_string(file).ok()?));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // kilobytes of a machine
    let machine = machine.map(|kilobytes| kilobytes as u64 * 1_024);
    machine.into_iter().chain(limits).min()
}

/// Bytes of memory that this process holds; `None` where that cannot be known.
#[must_use]
pub fn resident() -> Option<u64> {
    let kilobytes = field_of(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // kilobytes of a process
    Some(kilobytes as u64 * 1_024)
}

/// Where the limits of these control groups stand, of each and of those that it is in: version 2 (`0::/a/b`), and
/// version 1 (`9:memory:/a/b`). In a container the group's own folder is the root.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let around = Path::new(group).ancestors().map(|group| group.to_string_lossy().into_owned());
        files.extend(around.map(|group| format!("{root}{}/{file}", group.trim_end_matches('/'))));
    }
    files
}

/// A limit as control groups write it; `max` is none.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes > 0)
}

fn field_of(status: &str, field: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix(field))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_read_as_linux_writes_them() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 9 0 100 1000 200 18446744073709551615";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(field_of("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t9\n", "VmRSS:"), Some(2048.0));
        assert_eq!((cpu_seconds("nonsense"), field_of("", "VmRSS:")), (None, None));
    }

    #[test]
    fn the_limits_of_a_control_group_and_of_those_around_it_are_looked_for_in_both_versions() {
        assert_eq!(
            limit_files("0::/a/b\n"),
            ["/a/b", "/a", ""].map(|group| format!("/sys/fs/cgroup{group}/memory.max"))
        );
        let one = "12:cpu,cpuacct:/x\n9:memory:/x\nnonsense\n";
        let file = |group: &str| format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes");
        assert_eq!(limit_files(one), [file("/x"), file("")]);
        assert_eq!([limit("1073741824\n"), limit("max\n"), limit("")], [Some(1 << 30), None, None]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_may_take_no_more_than_the_machine_has() {
        assert!(allowed().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_took_processor_time() {
        let mut page = String::new();
        render(&mut page);
        assert!(crate::telemetry::scrape(&page, "process_resident_memory_bytes") > 1e6, "{page}");
        assert!(page.contains("# TYPE process_cpu_seconds_total counter"), "{page}");
    }
}
