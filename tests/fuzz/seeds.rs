//! Writes what fuzzing begins with: `fuzz-seeds FOLDER` makes a folder in it for each target. Seeds are made and not
//! kept, so that they are always in the formats of today.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz::Version;
use schemas::audit::{Chain, Deed};
use schemas::checkpoint::PayloadKind;
use schemas::{Mark, VersionId};

const NOW: i64 = 1_700_000_000_000;

const LOGS: [(&str, &str); 4] = [
    ("csv", "user,item,time,type,value\nu1,i1,2023-11-14 22:13:20,click,\nu2,\"i,2\",1700000001,Purchase,19.9\n"),
    ("tsv", "user\titem\ttime\nu1\ti1\t20231114221320\n\\N\ti2\t1700000000123\n"),
    ("json", "{\"user\":7,\"item\":7.0,\"time\":\"2023-11-14T22:13:20Z\",\"type\":\"view\"}\n{\"user\":null}\n"),
    ("semicolons", "user;item;time\r\n\"u\"\"1\";i1;14.11.2023 22:13\r\n"),
];
const ITEMS: [(&str, &str); 5] = [
    (
        "csv",
        "id,title,price,availability,product_type\n7.0,\"Hat, red\",\"79,00 EUR\",in stock,Apparel > Hats\nNULL,a,,,\n",
    ),
    ("tsv", "sep=\t\nid\ttitle\n1\t\"Heroes\n2\t12\" vinyl\n"),
    ("lines", "{\"id\":123456789012345678901,\"price\":NaN}\n{\"id\":\"i9\",\"categories\":[\"a\"],\"update\":true}\n"),
    ("array", "[{\"id\":7.0,\"title\":\"Hat\"},\n{\"id\":8,\"stock\":0}]"),
    ("feed", "<rss><item><g:id>i9</g:id><title>A &amp; B</title><category term=\"x\"/></item></rss>"),
];
const TIMES: [&str; 6] = [
    "2023-11-14T22:13:20.123+02:00",
    "20231114221320",
    "1700000000",
    "14/11/2023 10:13 PM",
    "%d.%m.%Y %H:%M",
    "2023-11-14 22:13:20 UTC",
];
const WORDS: &str = "release\t{\"action\":\"pin\",\"version\":\"000003-00000120\",\"begins\":7,\"by\":\"ann\",\
    \"reason\":\"a sale\",\"at\":1700000000000,\"expires\":1700000001000}\n\
    gate\t{\"action\":\"rollback\",\"version\":\"000003-00000100\",\"back\":{\"to\":{\"version\":\"000003-00000100\"},\
    \"epoch\":4,\"at\":1700000000000},\"by\":\"gate\",\"reason\":\"worse\",\"at\":1700000000000,\
    \"rollbacks\":[1700000000000]}\nrelease";
const CONFIGS: [&str; 3] = [
    "[frame]\ngrace = \"10s\"\n[frame.admin]\nlisten = \"127.0.0.1:0\"\n[kafka.properties]\n\"linger.ms\" = \"5\"\n",
    "[model]\ndim = 64\nnegatives = 256\n[trainer]\ngroup = \"trainer\"\n",
    "[scorer]\nslate = 20\n[redis]\nurl = \"redis://user:secret@127.0.0.1:6379/0\"\n",
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("say into which folder: fuzz-seeds FOLDER")?;
    let write = |target: &str, name: &str, bytes: &[u8]| -> Result<(), Box<dyn Error>> {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), bytes)?)
    };
    let golden = |name: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden").join(name));

    write("event", "event", &golden("event.json")?)?;
    write("item", "item", &[b"i9\t".as_slice(), &golden("item.json")?].concat())?;
    write("interaction", "interaction", &golden("interaction.pb")?)?;
    for name in ["profile.bin", "slate.json", "slate.packed"] {
        write("redis_value", name, &golden(name)?)?;
    }
    for (name, text) in LOGS {
        write("log", name, text.as_bytes())?;
    }
    for (n, text) in TIMES.into_iter().enumerate() {
        write("time", &n.to_string(), text.as_bytes())?;
    }
    for (n, text) in CONFIGS.into_iter().enumerate() {
        write("config", &n.to_string(), text.as_bytes())?;
    }
    write("control", "words", WORDS.as_bytes())?;
    write("audit", "chain", &chain())?;
    let mut log = Vec::new();
    for Version { manifest, payload, records } in fuzz::versions()? {
        let (target, name) = match manifest.kind {
            PayloadKind::Snapshot => ("payload", "snapshot"),
            PayloadKind::Delta => ("delta", "delta"),
        };
        write(target, name, &payload)?;
        // A chunk may hold the bytes that part lines; what is cut there is a torn version, which is a seed, too.
        for record in records {
            log.extend([b"!", record.key.as_bytes(), b"\t", &record.value, b"\n"].concat());
        }
    }
    write("checkpoint", "claim", &[b"!000003/claim\t".as_slice(), &golden("claim.json")?].concat())?;
    for target in ["checkpoint", "restore"] {
        write(target, "versions", &log)?;
    }
    write("redis_value", "mark", &Mark { next: 918_273, by: 7, seq: 3, life: 1, gone: None }.encode())?;
    for (name, text) in ITEMS {
        write("items_file", name, text.as_bytes())?;
    }
    Ok(())
}

/// Three records of one writer, and one of another.
fn chain() -> Vec<u8> {
    let deed = |action: &str| Deed {
        actor: "ann".to_owned(),
        action: action.to_owned(),
        subject: "release".to_owned(),
        version: Some(VersionId { epoch: 3, sequence: 120 }),
        reason: "a sale".to_owned(),
        evidence: [("tests".to_owned(), 5.0)].into(),
    };
    let (mut one, mut other) = (Chain::new("thalweg-1".to_owned()), Chain::new("trainer-2".to_owned()));
    let mut records: Vec<_> = ["pin", "unpin", "rollback"].map(|action| one.next(deed(action), NOW)).into();
    records.push(other.next(deed("hold"), NOW));
    let line = |(key, value): (String, Vec<u8>)| [key.as_bytes(), b"\t", &value, b"\n"].concat();
    records.into_iter().flat_map(line).collect()
}
