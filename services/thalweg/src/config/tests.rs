//! What evaluating and tuning are told of the trainer's configuration is what a trainer makes of it.

use laboratory::evaluate::Common;
use laboratory::tune::{check, write};
use model::Settings;

use super::*;

#[test]
fn settings_come_from_a_file_and_unknown_keys_are_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let common = |text: &str, seed| {
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).expect("writes");
        Common { settings: Some(path), seed, micro_batch: 64, json: false }
    };
    let settings = common("[model]\ndim = 32\nseed = 5\n", None).settings(&TRAINER).expect("reads");
    assert_eq!((settings.dim, settings.seed, settings.history), (32, 5, Settings::default().history));
    assert_eq!(common("[model]\nseed = 5\n", Some(9)).settings(&TRAINER).expect("reads").seed, 9);
    let error = common("[model]\ndims = 32\n", None).settings(&TRAINER).expect_err("refused").to_string();
    assert!(error.contains("dims"), "{error}");
    assert!(common(trainer::DEFAULTS, None).settings(&TRAINER).is_ok());
    let missing = Common { settings: Some(folder.path().join("nope.toml")), ..common("", None) };
    let error = missing.settings(&TRAINER).expect_err("is not there").to_string();
    assert!(error.contains("nope.toml: cannot be read"), "{error}");
}

fn tuned() -> Settings {
    Settings {
        row_learning_rate: 0.123,
        dense_learning_rate: 3.21e-4,
        temperature: 0.0456,
        replay: 3.0,
        history: 24,
        popularity_half_lives_s: [61.5, 700.0, 8_000.0, 90_000.0],
        ..Settings::default()
    }
}

#[test]
fn the_written_file_loads_as_the_trainer_loads_it() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("tuned.toml");
    write(&path, false, &tuned(), "Found.\nIn two lines.", &TRAINER).expect("writes");
    // What the trainer does with `--config FILE --check-config`.
    let config: trainer::Config = runtime::config::load(trainer::DEFAULTS, Some(&path), &[], false).expect("loads");
    assert_eq!(config.model, tuned());
}

#[test]
fn only_values_that_differ_are_replaced_and_every_comment_stays() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("tuned.toml");
    write(&path, false, &tuned(), "Found.\nIn two lines.", &TRAINER).expect("writes");
    let text = std::fs::read_to_string(&path).expect("reads");
    let written: Vec<&str> = text.lines().collect();
    assert_eq!(written[..3], ["# Found.", "# In two lines.", ""]);
    let mut replaced = Vec::new();
    assert_eq!(written.len() - 3, trainer::DEFAULTS.lines().count());
    for (line, default) in written[3..].iter().zip(trainer::DEFAULTS.lines()) {
        if *line != default {
            replaced.push(*line);
        }
    }
    let expected = [
        "history = 24 # the default is 16",
        "replay = 3.0 # the default is 1.0",
        "temperature = 0.0456 # the default is 0.12",
        "row_learning_rate = 0.123 # the default is 0.2",
        "dense_learning_rate = 0.000321 # the default is 0.001",
        "popularity_half_lives_s = [61.5, 700.0, 8000.0, 90000.0] # the default is [300.0, 3600.0, 43200.0, 1209600.0]",
    ];
    assert_eq!(replaced, expected);
}

#[test]
fn a_file_that_is_there_stays_unless_forced() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("tuned.toml");
    assert!(check(&path, false).is_ok());
    std::fs::write(&path, "precious").expect("writes");
    for error in [check(&path, false), write(&path, false, &tuned(), "", &TRAINER)] {
        assert!(error.expect_err("refused").to_string().contains("--force"));
    }
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), "precious");
    assert!(check(&path, true).is_ok() && write(&path, true, &tuned(), "", &TRAINER).is_ok());
    let error = check(&folder.path().join("missing/tuned.toml"), true).expect_err("no folder").to_string();
    assert!(error.contains("--output"), "{error}");
}
