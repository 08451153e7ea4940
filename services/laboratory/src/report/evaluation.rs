//! An evaluation as one self-contained page: the methods over the stream, their differences, and where misses are.

use askama::Template;
use serde_json::Value;

use super::parts::{Figure, Key, ReportError, Table, Tile};
use super::plot::{self, Ink, Line, Unit};
use super::spell;
use crate::evaluate::breakdown::ASPECTS;
use crate::evaluate::young::CLASSES;

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

/// Every method, in the order of legends and tables.
const METHODS: [&str; 9] =
    ["thalweg", "covisitation", "popularity", "vsknn", "isgd", "gru", "frozen", "itemknn", "vmisknn"];

/// The page of a prequential run, from its JSON.
pub(crate) fn prequential(title: &str, json: &Value) -> Result<String, ReportError> {
    let own = &json["after_20_percent"]["thalweg"];
    let best = METHODS[1..].iter().filter_map(|name| Some((name, json["after_20_percent"][name]["hr_20"].as_f64()?)));
    let best = best.max_by(|a, b| a.1.total_cmp(&b.1));
    let mut tiles = vec![
        Tile {
            name: "HR@20",
            figure: percent(&own["hr_20"]),
            note: best.map_or(String::new(), |(name, hr)| format!("the best rival, {name}: {hr:.2} %")),
        },
        Tile { name: "MRR@20", figure: percent(&own["mrr_20"]), note: format!("NDCG@20 {}", percent(&own["ndcg_20"])) },
        Tile {
            name: "coverage@20",
            figure: percent(&own["coverage_20"]),
            note: format!("{} recommended within a day of its arrival", percent(&own["new_share_20"])),
        },
    ];
    tiles.extend(catalog(&json["catalog"]));
    tiles.extend(cost(json));
    Ok(Page {
        title,
        caption: "Tested, then learned from, in event order and one pass: choices of a user or session that acted before. \
                  Repeats stay in; a tie counts against the label.",
        over: "Over the stream",
        tiles,
        figures: vec![
            windows("HR@20", "Was what was chosen among the first 20, before it was learned from?", "hr_20", json)?,
            windows("MRR@20", "How high did it stand? 100 % is always first.", "mrr_20", json)?,
            windows("New items", "Share of the recommended items that were younger than a day.", "new_share_20", json)?,
            windows("Coverage", "Share of the items known by then that were in a list of the window.", "coverage_20", json)?,
        ],
        tables: vec![
            methods("After the first 20 % of the stream, in %", &json["after_20_percent"]),
            methods("Over the whole stream, in %", &json["overall"]),
            differences(&json["differences"]),
            breakdown(&json["breakdown"]),
            young(&json["young_items"]),
        ],
    }
    .render()?)
}

/// The page of a run of the ADER protocol, from its JSON.
pub(crate) fn ader(title: &str, json: &Value) -> Result<String, ReportError> {
    let mean = &json["mean"];
    let mut tiles = vec![
        Tile { name: "Recall@20", figure: percent(&mean["recall_20"]), note: "mean over the blocks".to_owned() },
        Tile { name: "MRR@20", figure: percent(&mean["mrr_20"]), note: "mean over the blocks".to_owned() },
    ];
    tiles.extend(cost(json));
    let blocks = json["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |name, ink, key: &str| {
        let point = |block: &Value| Some((block["block"].as_f64()?, block[key].as_f64().map(|figure| figure / 100.0)));
        Line { name, ink, points: blocks.iter().filter_map(point).collect() }
    };
    let row = |block: &Value| {
        let name = block["block"].as_u64().map_or("mean".to_owned(), |number| number.to_string());
        let count = |key| block[key].as_u64().map_or(String::new(), spell::count);
        let figures = ["recall_10", "recall_20", "mrr_10", "mrr_20"].map(|key| cell(&block[key]));
        [name, count("tests"), count("items")].into_iter().chain(figures).collect()
    };
    Ok(Page {
        title,
        caption: "Learned block after block; each predicted with what was learned from those before it. Items never seen \
                  leave the test, then sessions of length one; every next item is predicted among all items seen; \
                  repeats stay in; a tie counts against the label. Ages suppose that a block is a week, evenly filled.",
        over: "Block by block",
        tiles,
        figures: vec![
            drawn("Recall", "Share of the next items that were in the list.", "block", vec![
                line("Recall@20", Ink::First, "recall_20"),
                line("Recall@10", Ink::Third, "recall_10"),
            ])?,
            drawn("MRR", "How high they stood. 100 % is always first.", "block", vec![
                line("MRR@20", Ink::First, "mrr_20"),
                line("MRR@10", Ink::Third, "mrr_10"),
            ])?,
        ],
        tables: vec![
            Table {
                title: "By block, in %",
                head: vec!["block", "tests", "items", "Recall@10", "Recall@20", "MRR@10", "MRR@20"],
                rows: blocks.iter().map(row).chain([row(mean)]).collect(),
                empty: "",
            },
            breakdown(&json["breakdown"]),
        ],
    }
    .render()?)
}

/// What learning costs.
fn cost(json: &Value) -> Vec<Tile> {
    let number = |key: &str| json[key].as_f64().unwrap_or_default();
    let memory = json["peak_memory_bytes"].as_f64();
    vec![
        Tile {
            name: "learned per second",
            figure: spell::count(number("interactions_per_second").round() as u64),
            note: format!("{} interactions", spell::count(number("interactions") as u64)),
        },
        Tile {
            name: "memory at most",
            figure: memory.map_or("unknown".to_owned(), spell::bytes),
            note: format!("in {}", spell::seconds(number("wall_seconds"))),
        },
    ]
}

/// What was known of the items from the catalog, if there was one.
fn catalog(catalog: &Value) -> Option<Tile> {
    let note = match catalog["mode"].as_str()? {
        "from-start" => "all there before the first event",
        _ => "each there once its item was met",
    };
    let records = spell::count(catalog["records"].as_u64()?);
    Some(Tile { name: "records in the catalog", figure: records, note: note.to_owned() })
}

/// A figure of a table whose title says the unit.
fn cell(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |figure| format!("{figure:.2}"))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |figure| format!("{figure:.2} %"))
}

/// One figure of every method over the windows of the stream.
fn windows(title: &'static str, caption: &'static str, key: &str, json: &Value) -> Result<Figure, ReportError> {
    let windows = json["windows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let measured = |name: &&str| windows.iter().any(|window| window["methods"][name][key].is_number());
    let line = |(name, ink): (&'static str, Ink)| {
        let point = |window: &Value| {
            let figure = window["methods"][name][key].as_f64().map(|figure| figure / 100.0);
            Some((window["to"].as_f64()?, figure))
        };
        Line { name, ink, points: windows.iter().filter_map(point).collect() }
    };
    let named = METHODS.into_iter().zip(Ink::LINES).filter(|(name, _)| measured(name));
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

fn methods(title: &'static str, part: &Value) -> Table {
    const KEYS: [&str; 11] = [
        "hr_10",
        "hr_20",
        "first_time_hr_20",
        "mrr_10",
        "mrr_20",
        "ndcg_20",
        "recall_20",
        "precision_20",
        "f1_20",
        "coverage_20",
        "new_share_20",
    ];
    let row = |name: &str| {
        let figures = part.get(name)?;
        Some([name.to_owned()].into_iter().chain(KEYS.map(|key| cell(&figures[key]))).collect())
    };
    Table {
        title,
        head: vec![
            "method",
            "HR@10",
            "HR@20",
            "first-time HR@20",
            "MRR@10",
            "MRR@20",
            "NDCG@20",
            "recall@20",
            "precision@20",
            "F1@20",
            "coverage@20",
            "new@20",
        ],
        rows: METHODS.iter().filter_map(|name| row(name)).collect(),
        empty: "Nothing was tested.",
    }
}

fn differences(differences: &Value) -> Table {
    let interval = |interval: &Value| {
        let of = |end: &str| interval[end].as_f64().map(|figure| format!("{figure:+.2}"));
        of("difference")
            .zip(of("low").zip(of("high")))
            .map_or("-".to_owned(), |(d, (l, h))| format!("{d} ({l} to {h})"))
    };
    let row = |name: &str| {
        let of = differences.get(name)?;
        Some(vec![name.to_owned(), interval(&of["hr_20"]), interval(&of["mrr_20"])])
    };
    Table {
        title: "Thalweg minus each rival on the same tests, with 95 % intervals by batch means",
        head: vec!["rival", "HR@20", "MRR@20"],
        rows: METHODS.iter().filter_map(|name| row(name)).collect(),
        empty: "There was no rival.",
    }
}

fn breakdown(breakdown: &Value) -> Table {
    let mut rows = Vec::new();
    for (aspect, names) in ASPECTS {
        for (name, group) in names.iter().filter_map(|name| Some((*name, breakdown[aspect].get(name)?))) {
            let figures = ["share_of_tests", "hr_20", "mrr_20", "share_of_misses"];
            let named = [aspect, name].map(|text| text.replace('_', " "));
            rows.push(named.into_iter().chain(figures.map(|key| cell(&group[key]))).collect());
        }
    }
    for (aspect, what) in [("hits_by_source", "hit, named by"), ("misses_by_reason", "miss")] {
        for (name, group) in breakdown[aspect].as_object().into_iter().flatten() {
            let share = group["share"].as_f64().map_or("-".to_owned(), |figure| format!("{figure:.2} of these"));
            let empty = || String::new();
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

fn young(classes: &Value) -> Table {
    let mut rows = Vec::new();
    for class in CLASSES {
        let of = &classes[class];
        let name = class.replace('_', " ");
        for method in METHODS {
            let Some(figures) = of["methods"].get(method) else { continue };
            let tests = of["tests"].as_u64().map_or(String::new(), spell::count);
            rows.push(vec![name.clone(), method.to_owned(), tests, cell(&figures["hr_20"]), cell(&figures["mrr_20"])]);
        }
        for (source, group) in of["hits_by_source"].as_object().into_iter().flatten() {
            let share = group["share"].as_f64().map_or("-".to_owned(), |share| format!("{share:.2} of thalweg's hits"));
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
