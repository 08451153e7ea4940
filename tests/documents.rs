//! What ARCHITECTURE says of tests: they are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all functions in the Rust files below a folder.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("its entries are").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file of ours is UTF-8");
            let names = text.split("fn ").skip(1).map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_'));
            found.extend(names.filter_map(|mut words| words.next()).map(str::to_owned));
        }
    }
}

#[test]
fn every_test_that_architecture_names_is_there_and_every_bound_has_one() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there");
    let mut known = BTreeSet::new();
    ["schemas", "services", "tests"].iter().for_each(|folder| functions(&root().join(folder), &mut known));
    // A sentence has many words; nothing else in quotes of code has.
    let is_sentence =
        |name: &&str| name.matches('_').count() >= 4 && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let is_metric = |name: &str| ["_total", "_entries", "_seconds", "_messages"].iter().any(|end| name.ends_with(end));
    let named: BTreeSet<&str> = text.split('`').filter(is_sentence).filter(|name| !is_metric(name)).collect();
    let missing: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(named.len() > 80 && missing.is_empty(), "of {} there are not: {missing:#?}", named.len());

    let rows = |from: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != from).skip(2).take_while(|line| line.starts_with('|'));
        lines.filter_map(|line| line.split('|').nth(1)).map(|what| what.trim().to_owned()).collect()
    };
    let bounds = rows("| what | bound | beyond it | metric |");
    assert!(bounds.len() > 70);
    assert_eq!(bounds, rows("| what | test |"), "each bound has a test, in the same order");
}
