//! What this process costs, by the names that Prometheus' own clients use; Linux only, nothing elsewhere.

use std::fmt::Write as _;

/// Clock ticks in a second as `/proc` counts them: `USER_HZ`, the same on every architecture that we build for.
const TICKS: f64 = 100.0;

/// Appends memory, processor time, threads and open files to a Prometheus page; what cannot be read is left out.
pub(crate) fn render(page: &mut String) {
    let stat = std::fs::read_to_string("/proc/self/stat").ok();
    let status = std::fs::read_to_string("/proc/self/status").ok();
    let files = std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64);
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

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_took_processor_time() {
        let mut page = String::new();
        render(&mut page);
        assert!(crate::telemetry::scrape(&page, "process_resident_memory_bytes") > 1e6, "{page}");
        assert!(page.contains("# TYPE process_cpu_seconds_total counter"), "{page}");
    }
}
