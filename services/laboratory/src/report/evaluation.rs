//! An evaluation as one self-contained page: the methods over the stream, their differences, and where misses are.

use askama::Template;

use super::parts::{Figure, Key, ReportError, Table, Tile};
use super::plot::{self, Ink, Line, Unit};
use super::spell;
use crate::evaluate::ader::{self, Figures as OfBlocks, OfBlock};
use crate::evaluate::breakdown::Parts;
use crate::evaluate::cold_start::YoungItems;
use crate::evaluate::evaluation::{CatalogUsed, Cost, Evaluation, Lead};
use crate::evaluate::figures::{FIGURES, Figures, Measured};
use crate::evaluate::interval::Interval;
use crate::evaluate::judge::Window;
use crate::evaluate::listing::Listing;
use crate::evaluate::methods::{ByMethod, PRODUCT, legend};

#[derive(Template)]
#[template(path = "evaluation.html")]
struct Page<'a> {
    title: &'a str,
    caption: &'a str,
    over: &'static str,
    tiles: Vec<Tile>,
    figures: Vec<Figure>,
    tables: Vec<Table>,
}

/// The page of a prequential run.
pub(crate) fn prequential(title: &str, evaluation: &Evaluation) -> Result<String, ReportError> {
    let (own, after) = (evaluation.product(), &evaluation.after_20_percent);
    let baselines = legend().filter(|(name, _)| *name != PRODUCT);
    let best = baselines.filter_map(|(name, _)| Some((name, after.get(name)?.figures.hr_20)));
    let best = best.max_by(|a, b| a.1.total_cmp(&b.1));
    let mut tiles = vec![
        Tile {
            name: "HR@20",
            figure: percent(own.hr_20),
            note: best.map_or(String::new(), |(name, hr)| format!("the best baseline, {name}: {hr:.2} %")),
        },
        Tile { name: "MRR@20", figure: percent(own.mrr_20), note: format!("NDCG@20 {}", percent(own.ndcg_20)) },
        Tile {
            name: "coverage@20",
            figure: percent(own.coverage_20),
            note: format!("{} recommended within a day of its arrival", percent(own.new_share_20)),
        },
    ];
    tiles.extend(evaluation.catalog.as_ref().map(catalog));
    tiles.extend(cost(&evaluation.cost));
    let over = &evaluation.windows;
    Ok(Page {
        title,
        caption: "Tested, then learned from, in event order and one pass: choices of a user or session that acted before. \
                  Repeats stay in; a tie counts against the label.",
        over: "Over the stream",
        tiles,
        figures: vec![
            windows("HR@20", "Was what was chosen among the first 20, before it was learned from?", over, |f| f.hr_20)?,
            windows("MRR@20", "How high did it stand? 100 % is always first.", over, |f| f.mrr_20)?,
            windows("New items", "Share of the recommended items that were younger than a day.", over, |f| {
                f.new_share_20
            })?,
            windows("Coverage", "Share of the items known by then that were in a list of the window.", over, |f| {
                f.coverage_20
            })?,
        ],
        tables: vec![
            methods("After the first 20 % of the stream, in %", after),
            methods("Over the whole stream, in %", &evaluation.overall),
            differences(&evaluation.differences.baselines),
            breakdown(&evaluation.breakdown),
            young(&evaluation.young_items),
        ],
    }
    .render()?)
}

/// The page of a run of the ADER protocol.
pub(crate) fn ader(title: &str, evaluation: &ader::Evaluation) -> Result<String, ReportError> {
    let (blocks, mean) = (&evaluation.blocks, evaluation.mean);
    let mut tiles = vec![
        Tile { name: "Recall@20", figure: percent(mean.recall_20), note: "mean over the blocks".to_owned() },
        Tile { name: "MRR@20", figure: percent(mean.mrr_20), note: "mean over the blocks".to_owned() },
    ];
    tiles.extend(cost(&evaluation.cost));
    let line = |name, ink, of: fn(&OfBlocks) -> f64| {
        let point = |block: &OfBlock| (block.block as f64, Some(of(&block.figures) / 100.0));
        Line { name, ink, points: blocks.iter().map(point).collect() }
    };
    let cells = |figures: OfBlocks| figures.each().map(cell);
    let row = |block: &OfBlock| {
        let counts = [block.tests, block.items].map(|count| spell::count(count as u64));
        [block.block.to_string()].into_iter().chain(counts).chain(cells(block.figures)).collect()
    };
    let mean = ["mean", "", ""].map(str::to_owned).into_iter().chain(cells(mean)).collect();
    Ok(Page {
        title,
        caption: "Learned block after block; each predicted with what was learned from those before it. Items never seen \
                  leave the test, then sessions of length one; every next item is predicted among all items seen; \
                  repeats stay in; a tie counts against the label. Ages suppose that a block is a week, evenly filled.",
        over: "Block by block",
        tiles,
        figures: vec![
            drawn("Recall", "Share of the next items that were in the list.", "block", vec![
                line("Recall@20", Ink::First, |f| f.recall_20),
                line("Recall@10", Ink::Third, |f| f.recall_10),
            ])?,
            drawn("MRR", "How high they stood. 100 % is always first.", "block", vec![
                line("MRR@20", Ink::First, |f| f.mrr_20),
                line("MRR@10", Ink::Third, |f| f.mrr_10),
            ])?,
        ],
        tables: vec![
            Table {
                title: "By block, in %",
                head: vec!["block", "tests", "items", "Recall@10", "Recall@20", "MRR@10", "MRR@20"],
                rows: blocks.iter().map(row).chain([mean]).collect(),
                empty: "",
            },
            breakdown(&evaluation.breakdown),
        ],
    }
    .render()?)
}

/// What learning costs.
fn cost(cost: &Cost) -> Vec<Tile> {
    let memory = cost.peak_memory_bytes.map(|bytes| bytes as f64);
    vec![
        Tile {
            name: "learned per second",
            figure: spell::count(cost.rate().round() as u64),
            note: format!("{} interactions", spell::count(cost.interactions)),
        },
        Tile {
            name: "memory at most",
            figure: memory.map_or("unknown".to_owned(), spell::bytes),
            note: format!("in {}", spell::seconds(cost.wall_seconds)),
        },
    ]
}

/// What was known of the items from the catalog, if there was one.
fn catalog(catalog: &CatalogUsed) -> Tile {
    let note = match catalog.mode {
        Listing::FromStart => "all there before the first event",
        Listing::AsMet => "each there once its item was met",
    };
    Tile { name: "records in the catalog", figure: spell::count(catalog.records), note: note.to_owned() }
}

/// A figure of a table whose title says the unit.
fn cell(figure: f64) -> String {
    format!("{figure:.2}")
}

fn percent(figure: f64) -> String {
    format!("{figure:.2} %")
}

/// One figure of every method over the windows of the stream.
fn windows(
    title: &'static str,
    caption: &'static str,
    windows: &[Window],
    of: fn(&Figures) -> f64,
) -> Result<Figure, ReportError> {
    let measured = |name: &str| windows.iter().any(|window| window.methods.get(name).is_some());
    let line = |(name, ink): (&'static str, Ink)| {
        let figure = |window: &Window| window.methods.get(name).map(|figures| of(figures) / 100.0);
        Line { name, ink, points: windows.iter().map(|window| (window.to as f64, figure(window))).collect() }
    };
    let named = legend().filter(|(name, _)| measured(name));
    drawn(title, caption, "interactions", named.map(line).collect())
}

fn drawn(title: &'static str, caption: &'static str, x_name: &str, lines: Vec<Line>) -> Result<Figure, ReportError> {
    let svg = plot::lines(&lines, x_name, "%", Unit::Percent).map_err(ReportError::Plot)?;
    let key = |line: &Line| {
        let last = line.points.iter().rev().find_map(|(_, value)| *value)?;
        Some(Key { variable: line.ink.variable(), name: line.name, last: spell::percent(last) })
    };
    Ok(Figure { title, caption, legend: lines.iter().filter_map(key).collect(), svg })
}

fn methods(title: &'static str, part: &ByMethod<Measured>) -> Table {
    let row = |(name, _): (&str, Ink)| {
        let measured = part.get(name)?;
        let figures = FIGURES.iter().map(|figure| cell((figure.of)(&measured.figures)));
        Some([name.to_owned()].into_iter().chain(figures).collect())
    };
    Table {
        title,
        head: ["method"].into_iter().chain(FIGURES.iter().map(|figure| figure.head)).collect(),
        rows: legend().filter_map(row).collect(),
        empty: "Nothing was tested.",
    }
}

fn differences(baselines: &ByMethod<Lead>) -> Table {
    let interval = |interval: Option<Interval>| match interval {
        Some(Interval { difference, low, high }) => format!("{difference:+.2} ({low:+.2} to {high:+.2})"),
        None => "-".to_owned(),
    };
    let row = |(name, _): (&str, Ink)| {
        let lead = baselines.get(name)?;
        Some(vec![name.to_owned(), interval(lead.hr_20), interval(lead.mrr_20)])
    };
    Table {
        title: "Thalweg minus each baseline on the same tests, with 95 % intervals by batch means",
        head: vec!["baseline", "HR@20", "MRR@20"],
        rows: legend().filter_map(row).collect(),
        empty: "There was no baseline.",
    }
}

fn breakdown(parts: &Parts) -> Table {
    let mut rows = Vec::new();
    for (aspect, name, part) in parts.rows() {
        let named = [aspect, name].map(|text| text.replace('_', " "));
        rows.push(named.into_iter().chain(part.figures().map(cell)).collect());
    }
    for (shares, what) in [(&parts.hits_by_source, "hit, named by"), (&parts.misses_by_reason, "miss")] {
        for (name, share) in shares {
            let empty = String::new;
            let share = format!("{:.2} of these", share.share);
            rows.push(vec![what.to_owned(), name.replace('_', " "), share, empty(), empty(), empty()]);
        }
    }
    Table {
        title: "Where hits and misses are, in %",
        head: vec!["", "", "of tests", "HR@20", "MRR@20", "of misses"],
        rows,
        empty: "Nothing was tested.",
    }
}

fn young(classes: &YoungItems) -> Table {
    let optional = |figure: Option<f64>| figure.map_or("-".to_owned(), cell);
    let mut rows = Vec::new();
    for (class, of) in classes.iter() {
        let name = class.replace('_', " ");
        for (method, _) in legend() {
            let Some(pair) = of.methods.get(method) else { continue };
            let tests = spell::count(of.tests);
            rows.push(vec![name.clone(), method.to_owned(), tests, optional(pair.hr_20), optional(pair.mrr_20)]);
        }
        for (source, share) in of.hits_by_source.iter().flatten() {
            let share = format!("{:.2} of thalweg's hits", share.share);
            rows.push(vec![name.clone(), format!("named by {source}"), share, String::new(), String::new()]);
        }
    }
    Table {
        title: "Young items, in %: chosen for the first time ever, and chosen before, but first fewer than 1,000 events or \
                less than a day ago",
        head: vec!["item", "method", "tests", "HR@20", "MRR@20"],
        rows,
        empty: "Nothing was tested.",
    }
}
