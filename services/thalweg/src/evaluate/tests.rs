//! The whole of a prequential run on a small stream, and what the evaluation is told.

use schemas::{EventType, Timestamp};

use super::*;

fn settings() -> Settings {
    Settings { dim: 16, negatives: 32, ..Settings::default() }
}

/// Sessions that walk through rings of five items: after `i` always comes `i + 1` of the same ring.
fn stream(count: usize) -> Vec<Event> {
    (0..count)
        .map(|n| {
            let (session, step) = (n / 4, n % 4);
            let ring = session % 20;
            Event {
                event_id: None,
                kind: EventType::View,
                user_id: format!("u{session}"),
                session_id: None,
                item_id: format!("i{}", ring * 5 + (session / 20 + step) % 5),
                ts: Timestamp(1_700_000_000_000 + n as i64 * 1_000),
                value: None,
                items: Vec::new(),
            }
        })
        .collect()
}

fn run(events: Vec<Event>, methods: &[&str]) -> prequential::Run {
    let methods: Vec<String> = methods.iter().map(|name| (*name).to_owned()).collect();
    let course = prequential::Course { methods: &methods, micro_batch: 32, keep_from: Some(events.len() as u64 / 2) };
    prequential::go(events.into_iter(), settings(), &course, |_| {}).expect("runs")
}

const ALL: [&str; 6] = ["popularity", "covisitation", "vsknn", "isgd", "gru", "frozen"];

#[test]
fn a_run_tests_every_method_on_the_same_events() {
    let run = run(stream(2_000), &ALL);
    let tests: Vec<_> = run.judged.after().map(|(name, tally)| (name, tally.tests)).collect();
    // Three of a session's four choices are tested, of the last 1,600 events.
    let expected = ["thalweg", "popularity", "covisitation", "vsknn", "isgd", "gru", "frozen"];
    assert_eq!(tests, expected.map(|name| (name, 1_200)));
    let whole: Vec<_> = run.judged.overall().map(|(name, tally)| (name, tally.tests)).collect();
    // The frozen copy is there only once the first fifth has gone by.
    assert_eq!(whole, expected.map(|name| (name, if name == "frozen" { 1_200 } else { 1_500 })));
    // Kept are the tests of the second half.
    assert_eq!(run.judged.kept.len(), 750);
    assert!(run.judged.kept.iter().all(|(offset, _)| *offset >= 1_000));
    let hr = |name: &str| run.judged.after().find(|(n, _)| *n == name).map(|(_, t)| t.figures(100)["hr_20"]);
    assert!(hr("thalweg") > Some(90.0) && hr("popularity") < Some(50.0));
}

#[test]
fn the_same_seed_gives_the_same_figures_to_the_last_digit() {
    let figures = || {
        let run = run(stream(1_000), &ALL);
        let mut all: Vec<_> = run.judged.after().map(|(_, tally)| tally.json(run.judged.known)).collect();
        all.extend([run.judged.windows_json(), run.judged.breakdown.json()]);
        all.extend(run.judged.differences().map(|(_, hr, _)| hr.json()));
        serde_json::to_string(&all).expect("serialises")
    };
    assert_eq!(figures(), figures());
}

#[test]
fn the_product_hits_nothing_on_a_stream_without_repeats() {
    let mut events = stream(600);
    events.iter_mut().enumerate().for_each(|(n, event)| event.item_id = format!("unique{n}"));
    let run = run(events, &ALL);
    for (name, tally) in run.judged.overall().chain(run.judged.after()) {
        assert_eq!(tally.figures(600)["hr_20"], 0.0, "{name} knew what it could not know");
    }
}

#[test]
fn the_json_has_the_keys_of_the_contract_and_the_page_stands_alone() {
    let run = run(stream(600), &["popularity", "frozen"]);
    let skipped = std::collections::BTreeMap::from([("bad time".to_owned(), 2)]);
    let json = prequential::json(&run, std::time::Duration::from_secs(1), 602, &skipped, 150, 7);
    for pointer in [
        "/rows",
        "/skipped_rows/bad time",
        "/interactions",
        "/interactions_per_second",
        "/wall_seconds",
        "/peak_memory_bytes",
        "/overall/thalweg/hr_10",
        "/overall/popularity/mrr_10",
        "/overall/frozen/mrr_10",
        "/after_20_percent/thalweg/hr_20",
        "/after_20_percent/frozen/mrr_20",
        "/after_20_percent/frozen/f1_20",
        "/differences/popularity/hr_20/low",
        "/differences/frozen/mrr_20/difference",
        "/breakdown/item_age/under_1000_events/hr_20",
        "/windows/49/methods/frozen/ndcg_20",
    ] {
        assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}");
    }
    let page = crate::report::evaluation::prequential("toy <log>", &json).expect("renders");
    assert!(!page.contains("src=") && !page.contains("<script") && !page.contains("url("));
    assert!(page.matches("<svg").count() == 4 && page.contains("toy &#60;log&#62;"));
}

#[test]
fn settings_come_from_a_file_and_unknown_keys_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let common = |text: &str, seed| {
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).expect("writes");
        Common { settings: Some(path), seed, micro_batch: 64, json: false }
    };
    let settings = common("[model]\ndim = 32\nseed = 5\n", None).settings().expect("reads");
    assert_eq!((settings.dim, settings.seed, settings.history), (32, 5, Settings::default().history));
    assert_eq!(common("[model]\nseed = 5\n", Some(9)).settings().expect("reads").seed, 9);
    let error = common("[model]\ndims = 32\n", None).settings().expect_err("refused").to_string();
    assert!(error.contains("dims"), "{error}");
    assert!(common(trainer::DEFAULTS, None).settings().is_ok());
}

#[test]
fn the_peak_of_memory_is_a_number_of_bytes_on_linux() {
    if cfg!(target_os = "linux") {
        assert!(peak_memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
