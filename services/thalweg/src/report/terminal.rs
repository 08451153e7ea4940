//! The report on a terminal: one line while it runs, a table at the end.

use laboratory::report::spell;
use laboratory::shown;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Point, Report};

/// How many items of a slate a terminal shows.
const SLATE_ITEMS: usize = 5;

/// Services that have a lag.
const SERVICES: usize = 3;

/// The line shown while it runs; `version` is what scorers serve now, `sent` what was sent so far.
#[must_use]
pub fn live(point: &Point, sent: u64, version: Option<&str>) -> String {
    // A service whose lag is unknown is not in the sum's stead: unknown is not 0.
    let known = point.lag.len() == SERVICES;
    let lag = if known { spell::count(point.lag.values().sum()) } else { "?".to_owned() };
    let freshness = point.freshness_ms.map_or("–".to_owned(), |freshness| {
        format!("p50 {} p99 {}", spell::millis(freshness.p50), spell::millis(freshness.p99))
    });
    format!(
        "{} events  {:>6}/s  lag {:>6}  freshness, last second {freshness}  version {}  recent hit rate@20 {}",
        spell::count(sent),
        spell::count(point.events_per_second.round() as u64),
        lag,
        shown::plain(version.unwrap_or("none yet")),
        point.served_hit_rate_20.map_or("–".to_owned(), spell::percent),
    )
}

/// The summary at the end.
#[must_use]
pub fn terminal(report: &Report) -> String {
    let mut out = String::new();
    lines(report, &mut out).expect("writing to a string cannot fail");
    out
}

fn lines(r: &Report, out: &mut String) -> std::fmt::Result {
    let mut line = |name: &str, figure: &str, note: &str| {
        let text = format!("  {name:<24}{figure:>12}   {note}");
        writeln!(out, "{}", text.trim_end())
    };
    let (fresh, model) = (r.freshness_ms, r.model_freshness_ms);
    line("traffic", &spell::seconds(r.seconds), &format!("{} · {}", r.source, r.machine))?;
    line(
        "events sent",
        &spell::count(r.events_sent),
        &format!("{}/s", spell::count(r.events_per_second.round() as u64)),
    )?;
    if let Some(unanswered) = r.unanswered {
        line("closed loop", &spell::count(unanswered), "lists did not come within 10 s; all others were waited for")?;
    }
    if r.behind_seconds >= 1.0 {
        line("behind the pace", &spell::seconds(r.behind_seconds), "the machine could not keep it")?;
    }
    line("interactions", &spell::count(r.interactions), "")?;
    line("dead letters", &spell::count(r.dead_letters), &by_reason(&r.dead_letters_by_reason))?;
    line("repeats dropped", &spell::count(r.duplicates_dropped), "")?;
    if !r.skipped_rows.is_empty() {
        let all = r.skipped_rows.values().sum();
        line("rows skipped", &spell::count(all), &by_reason(&r.skipped_rows))?;
    }
    line("lost", &spell::count(r.lost), "")?;
    line(
        "left out of training",
        &spell::count(r.left_out),
        "under overload; counted, paired and remembered all the same",
    )?;
    let tail = format!("p99 {}, p99.9 {}", spell::millis(fresh.p99), spell::millis(fresh.p999));
    line("event → slate, p50", &spell::millis(fresh.p50), &tail)?;
    line("event → model, p50", &spell::millis(model.p50), &format!("p99 {}", spell::millis(model.p99)))?;
    line("versions published", &spell::count(r.versions_published), "")?;
    line("versions swapped in", &spell::count(r.versions_swapped), "")?;
    let max = format!("at most {}", spell::bytes(r.delta_bytes.max as f64));
    line("delta, p50", &spell::bytes(r.delta_bytes.p50 as f64), &max)?;
    let users = format!("{} users", spell::count(r.users));
    line("Redis per user", &spell::bytes(r.redis_bytes_per_user), &users)?;
    let versus = r.served_popularity_hit_rate_20.map_or(String::new(), |popularity| {
        format!(", where the most popular of the window had {}", spell::percent(popularity))
    });
    let note = format!("of {} events{versus}", spell::count(r.served_tested));
    line("served hit rate@20", &spell::percent(r.served_hit_rate_20), &note)?;
    writeln!(
        out,
        "\n  {:<24}{:>12}{:>12}{:>12}{:>12}",
        "tested, then trained", "HR@20", "first-time", "MRR@20", "tested"
    )?;
    for (name, quality) in r.prequential.by_name() {
        let [hr, first, mrr] = [quality.hr20, quality.first_time_hr20, quality.mrr20].map(spell::percent);
        writeln!(out, "  {name:<24}{hr:>12}{first:>12}{mrr:>12}{:>12}", spell::count(quality.tested))?;
    }
    for slate in &r.slates {
        let recent = if slate.recent.is_empty() { "no history".to_owned() } else { slate.recent.join(" ← ") };
        writeln!(out, "\n  {}", shown::plain(&format!("{} after {recent}", slate.user)))?;
        for (rank, item) in slate.items.iter().take(SLATE_ITEMS).enumerate() {
            let because = match item.because.as_slice() {
                [] => String::new(),
                because => format!(", because of {}", because.join("; ")),
            };
            let title = item.title.as_deref().unwrap_or_default();
            let entry = format!("{:<10} {title}  ({}{because})", item.id, item.from);
            writeln!(out, "    {:>2}. {}", rank + 1, shown::plain(&entry))?;
        }
    }
    writeln!(out, "\n  {}", r.verdict())
}

/// `not_json 3, too_large 1`, most frequent first.
fn by_reason(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    counts.iter().map(|(reason, count)| format!("{reason} {}", spell::count(**count))).collect::<Vec<_>>().join(", ")
}
