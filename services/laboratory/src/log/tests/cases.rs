//! The logs that people have, where the folder of them is: `THALWEG_CASES`, or where a checkout of the team has it.

use super::*;

/// What must come of a file.
enum Comes {
    /// 400 events, 15 items, 20 users, from and to the right time.
    Read,
    /// So many events; of so many items.
    Some(usize, usize),
    /// A refusal that says this.
    Refused(&'static str),
    /// Either: at least so many events, or a refusal.
    AtLeast(usize),
}

#[test]
fn what_people_have_is_read_rightly_or_refused_with_what_to_do() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases");
    let folder = std::env::var_os("THALWEG_CASES").map_or(beside, PathBuf::from).join("logs");
    let Ok(kinds) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no cases here; set THALWEG_CASES to the folder that has them");
        return;
    };
    let mut failures = Vec::new();
    for path in kinds.flatten().flat_map(|kind| std::fs::read_dir(kind.path()).into_iter().flatten()).flatten() {
        let path = path.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Err(why) = judge(&path, &name) {
            failures.push(format!("{name}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How a file is read, and what must come of it.
fn expected(name: &str) -> (&'static str, Comes) {
    use Comes::{AtLeast, Read, Refused, Some};
    let usual = "user=user,item=item,time=time";
    match name {
        "catalog.csv" => ("user=user,item=item,time=time,category=category,brand=brand,price=price", Read),
        "clicks.dat" | "ratings.dat" | "u.data" => (usual, Refused("--no-header")),
        "sessions.jsonl" => ("user=session,item=aid,time=ts,type=type", Refused("del(.events) + .events[]")),
        "flat-plural.csv" => ("user=session,item=aid,time=ts,type=type", Read),
        "tmall-words.csv" => ("user=user,item=item,time=time,type=behavior_type", Read),
        "reviews.json" => ("user=reviewerID,item=asin,time=unixReviewTime", Refused("Python")),
        "array.json" => (usual, Refused("array")),
        "pretty.json" => (usual, Refused("several lines")),
        "one-object.json" => (usual, Refused(".events[]")),
        "cut.csv.zst" => (usual, Refused("cut off")),
        "long28.csv.zst" => (usual, Refused("--long=31")),
        "garbage.csv.gz" => (usual, Refused("follows the end")),
        "utf16le.csv" => (usual, Refused("UTF-16")),
        "log.zip" => (usual, Refused("zip")),
        "log.tar.gz" => (usual, Refused("tar")),
        "escape.csv" => (usual, Refused("\\u{1b}")),
        "latin1-ids.csv" => (usual, Refused("UTF-8")),
        "unquoted-comma.csv" => (usual, Some(300, 15)),
        "lists.parquet" => (usual, Refused("lists")),
        "codec-lz4.parquet" => (usual, Refused("LZ4")),
        "dup-columns.parquet" => ("user=user,item=id,time=time", Refused("two columns")),
        "dup.csv" => ("user=user,item=id,time=time", Refused("two columns")),
        "time-of-day.parquet" => (usual, Refused("time of the day")),
        "empty.parquet" => (usual, Refused("no row")),
        "nan-id.parquet" | "float-id.parquet" => (usual, Some(320, 15)),
        "views.csv" => ("user=sessionId,item=itemId,time=eventdate", AtLeast(400)),
        name if name.starts_with("user-") => (usual, Some(134, 15)),
        "spark.csv" | "excel-sci.csv" | "unmatched.tsv" | "many.tsv" | "matched.tsv" => (usual, AtLeast(400)),
        name if name.starts_with("yyyy")
            || ["dmy", "hour", "date32", "p0530", "comma", "frac"].iter().any(|t| name.starts_with(t)) =>
        {
            (usual, AtLeast(400)) // their own times
        }
        name if name.ends_with(".parquet") => (usual, AtLeast(400)),
        _ => (usual, Read),
    }
}

fn judge(path: &Path, name: &str) -> Result<(), String> {
    let (columns, comes) = expected(name);
    let opened = open(path, columns).map_err(|error| error.to_string());
    if let Err(why) = &opened
        && (why.contains(char::is_control) || why.len() > 700)
    {
        return Err(format!("steers or is long: {why:?}"));
    }
    match (comes, opened) {
        (Comes::Refused(part), Err(why)) if why.contains(part) => Ok(()),
        (Comes::Refused(_), Ok(log)) => Err(format!("is read, {} events", log.len())),
        (_, Err(why)) => Err(why),
        (comes, Ok(log)) => {
            let span = log.span().map(|(first, last)| [first, last].map(|ms| schemas::Timestamp(ms).to_string()));
            let about = format!(
                "{} events, {} items, {} users, {span:?}, {:?}",
                log.len(),
                log.items(),
                log.users(),
                log.skipped
            );
            let adds_up = log.skipped.values().sum::<u64>() + log.len() as u64 == log.rows;
            let usual = ["2023-11-14T22:13:20", "2023-11-1"];
            let right = match comes {
                Comes::Read => {
                    let span_is_right = span.is_some_and(|[first, _]| first.starts_with(usual[0]));
                    log.len() == 400 && log.items() == 15 && log.users() == 20 && span_is_right
                }
                Comes::Some(events, items) => log.len() == events && log.items() == items,
                Comes::AtLeast(events) => {
                    log.len() >= events
                        && log.items() == 15
                        && span.is_some_and(|[first, _]| first.starts_with(usual[1]))
                }
                Comes::Refused(_) => false,
            };
            if adds_up && right { Ok(()) } else { Err(about) }
        }
    }
}
