//! What ARCHITECTURE says of tests: they are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all tests in the Rust files below a folder: of functions that are marked as one, and of those within
/// `proptest!`, where `#[test]` stands as well.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("its entries are").path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a file of ours is UTF-8");
            found.extend(tests_of(&text).map(str::to_owned));
        }
    }
}

/// The names of what is marked `#[test]` or `#[tokio::test…]` in a Rust file, and not `#[ignore]`: between the mark and
/// the function stand only other attributes, comments and `async`.
fn tests_of(text: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[ignore") {
            marked = false;
        } else if let Some(function) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ") {
            let name = function.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            return name.filter(|_| std::mem::take(&mut marked));
        } else if !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty() {
            marked = false;
        }
        None
    })
}

#[test]
fn only_what_runs_as_a_test_counts_as_one() {
    let text = "fn helper() {}\n#[test]\nfn first() {\n}\n#[tokio::test(flavor = \"multi_thread\")]\n#[cfg(unix)]\n\
                /// Why.\nasync fn second() {}\nfn not_this() {}\n#[test]\n#[ignore]\nfn nor_this() {}\n\
                #[test]\nconst X: u8 = 1;\nfn nor_that() {}\n    #[test]\n    fn third(a in 0..1) {";
    assert_eq!(tests_of(text).collect::<Vec<_>>(), ["first", "second", "third"]);
}

#[test]
fn every_test_that_architecture_names_is_there_and_every_bound_has_one() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there");
    let mut known = BTreeSet::new();
    ["schemas", "services", "tests"].iter().for_each(|folder| tests(&root().join(folder), &mut known));
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
