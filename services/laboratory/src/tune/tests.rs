//! A whole search on a small stream.

use super::*;
use crate::trainer_config::STAND_IN;
use clap::Parser;

#[derive(Parser, Debug)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

/// Sessions that walk through rings of five items: after `i` always comes `i + 1` of the same ring.
fn log(folder: &std::path::Path) -> PathBuf {
    let mut text = "user,item\n".to_owned();
    for n in 0..1_200 {
        let (session, step) = (n / 4, n % 4);
        let ring = session % 20;
        text.push_str(&format!("u{session},i{}\n", ring * 5 + (session / 20 + step) % 5));
    }
    let path = folder.join("rings.csv");
    std::fs::write(&path, text).expect("writes");
    path
}

fn args(folder: &std::path::Path, more: &[&str]) -> Args {
    let (log, settings, output) = (log(folder), folder.join("start.toml"), folder.join("tuned.toml"));
    std::fs::write(&settings, "[model]\ndim = 16\nnegatives = 32\nrow_learning_rate = 0.01\n").expect("writes");
    let paths = [log, settings, output].map(|path| path.display().to_string());
    let mut line = vec!["tune", &paths[0], "--columns", "user=user,item=item", "--settings", &paths[1]];
    line.extend(["--output", &paths[2]]);
    line.extend(more);
    Cli::try_parse_from(line).expect("parses").args
}

fn search(args: &Args, workers: usize) -> Verdict {
    let stream = Stream::open(&args.file, &args.log).expect("opens");
    let start = args.common.settings(&STAND_IN).expect("settings");
    tune(args, &stream, start, &Budget::start(args.time, workers), workers).expect("tunes")
}

#[test]
fn a_search_with_the_same_seed_comes_to_the_same_on_one_thread_and_on_two() {
    let folder = tempfile::tempdir().expect("folder");
    let args = args(folder.path(), &["--trials", "4"]);
    let (one, two) = (search(&args, 1), search(&args, 2));
    assert_eq!((&one.trials, one.best), (&two.trials, two.best));
    assert_eq!((one.sentence(), one.heading()), (two.sentence(), two.heading()));
    assert_eq!(one.trials.len(), 4);
    assert_eq!(one.trials[0].scores.len(), RUNGS, "the start goes to the end");
    assert!(!one.ran_out && one.trials[0].scores[2].tests > 400);
}

#[test]
fn what_is_written_is_what_was_chosen_and_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let args = args(folder.path(), &["--trials", "3"]);
    let verdict = search(&args, 2);
    file::write(&args.output, false, verdict.chosen(), &verdict.heading(), &STAND_IN).expect("writes");
    let text = std::fs::read_to_string(&args.output).expect("reads");
    assert!(text.starts_with("# Written by `thalweg tune` from 1200 interactions of rings.csv"), "{text}");
    assert!(text.contains(&verdict.sentence()));
    let json = verdict.json(&Budget::start(None, 1), "tuned.toml").expect("JSON");
    let written = if verdict.is_gain() { "tuned" } else { "start" };
    assert_eq!(json["written"]["settings"], written);
    assert_eq!(json["trials"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["held_back"]["from"], 800);
}

#[test]
fn without_time_nothing_is_compared_and_the_start_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let args = args(folder.path(), &["--time", "1ms"]);
    let verdict = search(&args, 1);
    assert!(verdict.ran_out && verdict.best.is_none() && verdict.comparison.is_none());
    assert_eq!(verdict.trials.len(), budget::FEWEST);
    assert_eq!(verdict.chosen(), &args.common.settings(&STAND_IN).expect("settings"));
    assert!(verdict.sentence().contains("give more --time"));
    assert!(verdict.shortened().expect("ran out").contains("rung 1 of 3"));
}

#[test]
fn a_time_is_written_like_10m() {
    assert_eq!(time("1m30s"), Ok(Duration::from_secs(90)));
    assert!(time("0s").is_err() && time("soon").expect_err("no time").contains("10m"));
}
