//! What the protocol promises: what is tested, what is not, and that no block is looked at before its test.

use std::fmt::Write;
use std::path::Path;

use super::*;

fn settings() -> Settings {
    Settings { dim: 16, negatives: 32, ..Settings::default() }
}

/// Sessions of three that walk through rings of four items: `a0 a1 a2`, `b1 b2 b3`, …
fn walks(block: usize, sessions: usize, shift: usize) -> String {
    let mut text = String::new();
    for step in 0..3 {
        for session in 0..sessions {
            let (ring, start) = (session % 5, session / 5);
            writeln!(text, "{} r{ring}i{}", block * 1_000 + session, (start + step * shift) % 4).expect("writes");
        }
    }
    text
}

fn folder(blocks: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (n, text) in blocks.iter().enumerate() {
        std::fs::write(folder.path().join(format!("period_{n}.txt")), text).expect("writes");
    }
    folder
}

fn run_on(folder: &Path) -> Run {
    let blocks = blocks::read(folder).expect("reads");
    go(&blocks, settings(), 32, 1, RowEncoding::F32, &|_| {}).expect("runs")
}

#[test]
fn the_figures_of_a_toy_test_are_those_computed_by_hand() {
    let Figures { recall_10, recall_20, mrr_10, mrr_20 } = Figures::of(&[Some(0), Some(4), Some(14), Some(20), None]);
    assert!((recall_10 - 0.4).abs() < 1e-12 && (recall_20 - 0.6).abs() < 1e-12);
    assert!((mrr_10 - 1.2 / 5.0).abs() < 1e-12);
    assert!((mrr_20 - (1.2 + 1.0 / 15.0) / 5.0).abs() < 1e-12);
}

#[test]
fn it_learns_block_after_block_and_counts_what_it_leaves_out() {
    let strange = "9000 r0i0\n9001 r0i1\n9000 unknown\n9001 r0i2\n9001 unknown\n".to_owned();
    let folder = folder(&[walks(0, 200, 1), walks(1, 200, 1), strange]);
    let run = run_on(folder.path());
    assert_eq!(run.blocks.iter().map(|b| b.tests).collect::<Vec<_>>(), [400, 1]);
    assert_eq!((run.blocks[0].items, run.blocks[1].items), (20, 20));
    let last = &run.blocks[1];
    assert_eq!((last.sessions, last.unseen, last.short), (1, 2, 1));
    assert!(run.blocks[0].figures.recall_20 > 0.9, "{:?}", run.blocks[0]);
    let mean = run.mean();
    assert!((mean.recall_20 - (run.blocks[0].figures.recall_20 + last.figures.recall_20) / 2.0).abs() < 1e-12);
    assert_eq!(run.learned, 1_200);
}

#[test]
fn a_block_cannot_change_what_was_predicted_before_it() {
    let [same, another] = [1, 3].map(|shift| {
        let folder = folder(&[walks(0, 100, 1), walks(1, 100, 1), walks(2, 100, shift)]);
        run_on(folder.path()).blocks
    });
    assert_eq!(same[0].figures, another[0].figures);
    // Walked the other way round, the last block is worse predicted: nothing of it was learned before its test.
    assert!(same[1].figures.mrr_10 > another[1].figures.mrr_10, "{same:?} {another:?}");
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let folder = folder(&[walks(0, 100, 1), walks(1, 100, 2)]);
    let figures = || {
        let run = run_on(folder.path());
        (run.blocks.iter().map(|block| block.figures).collect::<Vec<_>>(), run.breakdown)
    };
    assert_eq!(figures(), figures());
}

#[test]
fn the_json_has_the_keys_of_the_contract() {
    let folder = folder(&[walks(0, 50, 1), walks(1, 50, 1)]);
    let run = run_on(folder.path());
    let evaluation = Evaluation::of(&run, 1.0, 1, 7);
    let json = serde_json::to_value(&evaluation).expect("serialises");
    for pointer in [
        "/blocks/0/block",
        "/blocks/0/recall_10",
        "/blocks/0/recall_20",
        "/blocks/0/mrr_10",
        "/blocks/0/mrr_20",
        "/mean/recall_20",
        "/mean/mrr_20",
        "/breakdown/session_position/2/hr_20",
        "/breakdown/repeat/first_time/share_of_misses",
        "/interactions_per_second",
        "/peak_memory_bytes",
    ] {
        assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}");
    }
    let page = report::evaluation::ader("toy", &evaluation).expect("renders");
    assert!(
        page.matches("<svg").count() == 2
            && page.contains("first time")
            && !page.contains("<script")
            && !page.contains("src=")
    );
}

#[test]
fn errors_are_told_apart_as_on_a_stream() {
    // Two blocks of 1,200 events are learned; `late` comes for the first time at the end of the second.
    let mut second = walks(1, 400, 1);
    second.push_str("77 r0i0\n77 late\n");
    let third = "7 r0i0\n7 r0i1\n7 r0i0\n7 r0i1\n8 r0i0\n8 late\n".to_owned();
    let run = run_on(folder(&[walks(0, 400, 1), second, third]).path());
    assert_eq!(run.blocks[1].tests, 4);
    let all = serde_json::to_value(run.breakdown.parts()).expect("serialises");
    assert_eq!(all["repeat"]["repeat"]["tests"], 2);
    // What was chosen before is named as a repeat, whoever else names it.
    let repeats_hit = all["repeat"]["repeat"]["hr_20"].as_f64().expect("tested") / 50.0;
    assert!(repeats_hit > 0.0);
    assert_eq!(all["hits_by_source"]["repeat"]["count"].as_f64(), Some(repeats_hit));
    assert!(all["hits_by_source"].get("unknown").is_none());
    let count = |aspect: &str, group: &str| all[aspect][group]["tests"].as_u64().unwrap_or_default();
    // 800 walks of the second block are predicted, two items each, and four items of the third.
    assert_eq!(["2", "3", "4_to_5"].map(|group| count("session_position", group)), [402, 401, 1]);
    // All others were first chosen among the first events of all.
    assert_eq!(["under_1000_events", "older"].map(|group| count("item_age", group)), [1, 803]);
    assert_eq!(count("item_age", "not_known"), 0);
}

#[test]
fn a_label_among_the_items_before_it_would_be_found_and_is_not_there() {
    const ITEMS: usize = 200;
    let pairs = |block: usize, next: fn(usize) -> usize| {
        (0..400).fold(String::new(), |mut text, n| {
            let (session, item) = (block * 1_000 + n, n % ITEMS);
            write!(text, "{session} i{item}\n{session} i{}\n", next(item)).expect("writes");
            text
        })
    };
    let recall = |next| run_on(folder(&[pairs(0, |item| item), pairs(1, next)]).path()).blocks[0].figures.recall_20;
    // What is learned is that the last item comes again: whoever is shown the label names it.
    assert!(recall(|item| item) > 0.95);
    // Here the label is any other item, which nothing but a look at it could tell.
    let blind = recall(|item| (item * 37 + 11) % ITEMS);
    assert!(blind < 0.3, "{blind}: a tenth is what chance gives");
}
