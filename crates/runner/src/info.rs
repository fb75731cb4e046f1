//! How much of the machine the sandbox uses, from `/proc`.

use std::{fs, path::Path};

use staithe_protocol::runner::{DiskUse, IoUse, MemoryUse, Resources};
use tokio::time::Instant;

/// The kernel's clock ticks, by which `/proc` counts time: the same on every Linux today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Remembers the last measurement, as use of a processor is a difference.
#[derive(Default)]
pub struct Meter {
    last: Option<(Instant, u64)>,
}

impl Meter {
    /// Measures.
    #[expect(clippy::cast_precision_loss, reason = "percentages need no more")]
    pub fn measure(&mut self, workspace: &str) -> Resources {
        let (ticks, rss, vms) = processes();
        let now = Instant::now();
        let cpu_percent = self.last.replace((now, ticks)).map_or(0.0, |(then, before)| {
            let seconds = now.duration_since(then).as_secs_f64().max(0.001);
            ticks.saturating_sub(before) as f64 / TICKS_PER_SECOND / seconds * 100.0
        });
        let total_memory = field("/proc/meminfo", "MemTotal:").saturating_mul(1024);
        Resources {
            cpu_percent,
            memory: MemoryUse { rss, vms, percent: percent(rss, total_memory) },
            disk: disk(workspace),
            io: IoUse {
                read_bytes: field("/proc/self/io", "read_bytes:"),
                write_bytes: field("/proc/self/io", "write_bytes:"),
            },
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "percentages need no more")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// Clock ticks, resident and virtual bytes of all processes that are visible.
fn processes() -> (u64, u64, u64) {
    let page = rustix::param::page_size() as u64;
    let (mut ticks, mut rss, mut vms) = (0, 0, 0);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_process = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process {
            continue;
        }
        // What ends meanwhile counts nothing. The name in parentheses may contain anything.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, numbers)) = stat.rsplit_once(')') else { continue };
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        let number = |at: usize| numbers.get(at).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
        ticks += number(11) + number(12);
        vms += number(20);
        rss += number(21) * page;
    }
    (ticks, rss, vms)
}

fn disk(workspace: &str) -> DiskUse {
    let Ok(stat) = rustix::fs::statvfs(Path::new(workspace)) else { return DiskUse::default() };
    let total = stat.f_blocks * stat.f_frsize;
    let free = stat.f_bavail * stat.f_frsize;
    let used = total.saturating_sub(stat.f_bfree * stat.f_frsize);
    DiskUse { total, used, free, percent: percent(used, total) }
}

/// The number after a word in one of the kernel's files; 0 if it isn't told.
fn field(file: &str, word: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(word));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_counted() {
        let resources = Meter::default().measure("/");
        assert!(resources.memory.rss > 0 && resources.memory.percent > 0.0);
        assert!(resources.disk.total > 0);
    }
}
