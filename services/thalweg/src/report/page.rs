//! The report as one self-contained page: figures, plots, tables and a few slates.

use askama::Template;
use laboratory::report::parts::{Figure, Key, ReportError, Table, Tile};
use laboratory::report::plot::{self, Ink, Line, Unit};
use laboratory::report::spell;
use schemas::Timestamp;

use super::{Bucket, Point, Prequential, Report, Sizes, UserSlate};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a Report,
    verdict: String,
    made_at: String,
    lasted: String,
    tiles: Vec<Tile>,
    figures: Vec<Figure>,
    tables: Vec<Table>,
    slates: &'a [UserSlate],
}

/// Renders the report as one page without any external resource; it reads well on light and dark screens.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn html(report: &Report) -> Result<String, ReportError> {
    let page = Page {
        report,
        verdict: report.verdict(),
        made_at: Timestamp(report.made_at / 1_000 * 1_000).to_string(),
        lasted: spell::seconds(report.seconds),
        tiles: tiles(report),
        figures: figures(report)?,
        tables: tables(report),
        slates: &report.slates,
    };
    Ok(page.render()?)
}

fn tiles(r: &Report) -> Vec<Tile> {
    let tile = |name, figure, note| Tile { name, figure, note };
    let (fresh, model) = (r.freshness_ms, r.model_freshness_ms);
    let versus = match r.served_popularity_hit_rate_20 {
        Some(popularity) => format!("popularity {}", spell::percent(popularity)),
        None => format!("of {} events", spell::count(r.served_tested)),
    };
    vec![
        tile("events", spell::count(r.events_sent), format!("{}/s", spell::count(r.events_per_second.round() as u64))),
        tile("lost", spell::count(r.lost), format!("{} dead letters", spell::count(r.dead_letters))),
        tile(
            "event → slate, p50",
            spell::millis(fresh.p50),
            format!("p99 {}, p99.9 {}", spell::millis(fresh.p99), spell::millis(fresh.p999)),
        ),
        tile("event → served model, p50", spell::millis(model.p50), format!("p99 {}", spell::millis(model.p99))),
        tile("served hit rate@20", spell::percent(r.served_hit_rate_20), versus),
        tile(
            "model HR@20, tested first",
            spell::percent(r.prequential.model.hr20),
            format!("MRR@20 {}", spell::percent(r.prequential.model.mrr20)),
        ),
        tile(
            "versions swapped in",
            spell::count(r.versions_swapped),
            format!("{} published", spell::count(r.versions_published)),
        ),
        tile("Redis per user", spell::bytes(r.redis_bytes_per_user), format!("{} users", spell::count(r.users))),
    ]
}

fn figures(r: &Report) -> Result<Vec<Figure>, ReportError> {
    let line = |name, ink, value: &dyn Fn(&Point) -> Option<f64>| Line {
        name,
        ink,
        points: r.series.iter().map(|point| (point.at, value(point).filter(|value| value.is_finite()))).collect(),
    };
    let fresh = |name, ink, pick: fn(&super::Freshness) -> f64| {
        line(name, ink, &|point| point.freshness_ms.as_ref().map(pick).filter(|ms| *ms > 0.0))
    };
    let tested =
        |name, ink, pick: fn(&Prequential) -> f64| line(name, ink, &|point| point.prequential.as_ref().map(pick));
    let services = ["ingest", "trainer", "scorer"].into_iter().zip([Ink::First, Ink::Second, Ink::Third]);
    let lag = services.map(|(name, ink)| line(name, ink, &|point| point.lag.get(name).map(|lag| *lag as f64)));

    Ok(vec![
        lines(
            "Freshness: event → slate",
            "From arrival in Kafka to the slate readable in Redis, logarithmic.",
            vec![
                fresh("p50", Ink::First, |fresh| fresh.p50),
                fresh("p99", Ink::Second, |fresh| fresh.p99),
                fresh("p99.9", Ink::Third, |fresh| fresh.p999),
            ],
            "ms",
            Unit::Millis,
        )?,
        distribution(
            "Distribution: event → slate",
            "Every slate of the run, by how long after its event it was readable.",
            &r.freshness_distribution,
        )?,
        lines(
            "Served hit rate@20",
            "Was the item in the slate that lay in Redis when its event was sent?",
            vec![line("served", Ink::First, &|point| point.served_hit_rate_20)],
            "% of events",
            Unit::Percent,
        )?,
        distribution(
            "Distribution: interaction → served model",
            "How long after its arrival in Kafka an interaction was in the model that serves.",
            &r.model_freshness_distribution,
        )?,
        lines(
            "HR@20, tested then trained",
            "The trainer's window: was the item among the first 20, before training on it?",
            vec![
                tested("model", Ink::First, |q| q.model.hr20),
                tested("co-visitation", Ink::Second, |q| q.covisitation.hr20),
                tested("popularity", Ink::Third, |q| q.popularity.hr20),
            ],
            "% of interactions",
            Unit::Percent,
        )?,
        lines(
            "MRR@20, tested then trained",
            "The same window: how high did the item stand? 100 % is always first.",
            vec![
                tested("model", Ink::First, |q| q.model.mrr20),
                tested("co-visitation", Ink::Second, |q| q.covisitation.mrr20),
                tested("popularity", Ink::Third, |q| q.popularity.mrr20),
            ],
            "%",
            Unit::Percent,
        )?,
        lines(
            "Versions",
            "Published by the trainer and swapped in by the scorers, so far.",
            vec![
                line("swapped in", Ink::First, &|point| Some(point.versions_swapped as f64)),
                line("published", Ink::Second, &|point| Some(point.versions_published as f64)),
            ],
            "versions",
            Unit::Number,
        )?,
        lines(
            "Deltas",
            "Bytes of the deltas published since the moment before.",
            vec![line("deltas", Ink::First, &|point| Some(point.delta_bytes as f64))],
            "published",
            Unit::Bytes,
        )?,
        lines(
            "Traffic",
            "Events sent per second.",
            vec![line("sent", Ink::First, &|point| Some(point.events_per_second))],
            "events/s",
            Unit::Number,
        )?,
        lines("Lag", "Messages that each service was behind.", lag.collect(), "messages", Unit::Number)?,
    ])
}

fn lines(
    title: &'static str,
    caption: &'static str,
    drawn: Vec<Line>,
    y_name: &str,
    unit: Unit,
) -> Result<Figure, ReportError> {
    let svg = plot::lines(&drawn, plot::SECONDS, y_name, unit).map_err(ReportError::Plot)?;
    let key = |line: &Line| {
        let last = line.points.iter().rev().find_map(|(_, value)| *value)?;
        let last = match unit {
            Unit::Percent => spell::percent(last),
            Unit::Millis => spell::millis(last),
            Unit::Bytes | Unit::Number => unit.spell(last),
        };
        Some(Key { variable: line.ink.variable(), name: line.name, last })
    };
    Ok(Figure { title, caption, legend: drawn.iter().filter_map(key).collect(), svg })
}

fn distribution(title: &'static str, caption: &'static str, buckets: &[Bucket]) -> Result<Figure, ReportError> {
    let all = buckets.iter().map(|bucket| bucket.count).sum::<u64>().max(1) as f64;
    let bars: Vec<_> = buckets.iter().map(|bucket| (bucket.from_ms, bucket.to_ms, bucket.count as f64 / all)).collect();
    let svg = plot::bars(&bars, "milliseconds, logarithmic", "% of all").map_err(ReportError::Plot)?;
    Ok(Figure { title, caption, legend: Vec::new(), svg })
}

fn tables(r: &Report) -> Vec<Table> {
    let quality = |(name, quality): (&str, schemas::checkpoint::Quality)| {
        let tested = spell::count(quality.tested);
        let figures = [quality.hr20, quality.first_time_hr20, quality.mrr20].map(spell::percent);
        [name.to_owned()].into_iter().chain(figures).chain([tested]).collect()
    };
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let mut counts: Vec<_> = counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        counts.iter().map(|(reason, count)| vec![(*reason).clone(), spell::count(**count)]).collect()
    };
    let sizes = |name: &str, sizes: Sizes| {
        let bytes = |bytes: u64| spell::bytes(bytes as f64);
        vec![name.to_owned(), spell::count(sizes.count), bytes(sizes.p50), bytes(sizes.max), bytes(sizes.total)]
    };
    let figure = |name: &str, figure: String| vec![name.to_owned(), figure];
    let mut tables = vec![
        Table {
            title: "Where every record went",
            head: vec!["", "records"],
            rows: vec![
                figure("sent to events", spell::count(r.events_sent)),
                figure("interactions", spell::count(r.interactions)),
                figure("dead letters", spell::count(r.dead_letters)),
                figure("repeats dropped", spell::count(r.duplicates_dropped)),
                figure("lost", spell::count(r.lost)),
                figure("interactions left out of training under overload", spell::count(r.left_out)),
            ],
            empty: "",
        },
        Table {
            title: "Dead letters by reason",
            head: vec!["reason", "records"],
            rows: counts(&r.dead_letters_by_reason),
            empty: "No record was refused.",
        },
        Table {
            title: "Tested, then trained",
            head: vec!["method", "HR@20", "first-time HR@20", "MRR@20", "tested"],
            rows: r.prequential.by_name().into_iter().map(quality).collect(),
            empty: "",
        },
        Table {
            title: "Model versions",
            head: vec!["payload", "count", "p50", "largest", "total"],
            rows: vec![sizes("snapshots", r.snapshot_bytes), sizes("deltas", r.delta_bytes)],
            empty: "",
        },
        Table {
            title: "Redis",
            head: vec!["", ""],
            rows: vec![
                figure("bytes per user", spell::bytes(r.redis_bytes_per_user)),
                figure("users with a slate", spell::count(r.users)),
                figure("slates missing", spell::count(r.slates_missing)),
            ],
            empty: "",
        },
    ];
    if !r.skipped_rows.is_empty() {
        tables.push(Table {
            title: "Rows of the log that gave no event",
            head: vec!["reason", "rows"],
            rows: counts(&r.skipped_rows),
            empty: "",
        });
    }
    tables
}
