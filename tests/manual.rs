//! The commands and snippets of the manual, run as they are written: every block marked `sh` of a page, in one shell.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tests::{Name, Traffic, World, binary, learned_once, served_once};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The `sh` blocks of a page, in order.
fn blocks(page: &str) -> Vec<String> {
    let path = root().join("docs/src").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match &mut block {
            None if line == "```sh" => block = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(lines) => writeln!(lines, "{line}").expect("a text takes lines"),
        }
    }
    blocks
}

/// Whether what a block needs beside Thalweg is here: bootstrap installs neither Node nor a JDK.
#[allow(clippy::print_stdout, reason = "says what it does not prove here")]
fn can_run(block: &str) -> bool {
    let works = |command: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null());
        shell.status().is_ok_and(|status| status.success())
    };
    for (word, needs, what) in [
        ("node ", "node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'", "Node 20 or newer"),
        ("java ", "javac -version", "a JDK"),
    ] {
        if block.contains(word) && !works(needs) {
            println!("not tested here, for it needs {what}:\n{block}");
            return false;
        }
    }
    true
}

/// Runs the blocks of a page on the world's servers, as somebody does who reads on from one to the next.
///
/// # Panics
/// When one of them fails.
async fn run(page: &str, world: &World) -> String {
    // A demo brings servers of its own, unless it is given some.
    let own = "unset KAFKA_BROKERS REDIS_URL ${!THALWEG__*}";
    let alone = |block: String| if block.starts_with("thalweg demo") { format!("({own}\n{block})") } else { block };
    let script: Vec<String> = blocks(page).into_iter().filter(|block| can_run(block)).map(alone).collect();
    assert!(!script.is_empty(), "{page} has no command");
    let folder = binary(Name::Thalweg).parent().expect("a binary lies in a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script.join("\n")])
        .current_dir(root())
        .env("PATH", path)
        .env("KAFKA_BROKERS", &world.kafka.brokers)
        .env("REDIS_URL", &world.redis.url)
        .env("THALWEG__KAFKA__TOPIC_PREFIX", &world.kafka.topic_prefix)
        .env("THALWEG__REDIS__KEY_PREFIX", &world.redis.key_prefix)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("bash runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success(),
        "{page}: {}\n{}\n--- it printed\n{out}\n--- and said\n{err}",
        output.status,
        script.join("\n")
    );
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_manual_runs_as_written() {
    let world = World::new().await;
    world.list(&Traffic::catalog()).await;
    let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
    let sent = world.send(&Traffic::new(71, world.ctx.now()).take(300)).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;

    // First, for it makes the Python that other pages use.
    let told = run("applications.md", &world).await;
    let delivered = told.matches("2 events of u42 delivered").count();
    assert!(delivered >= 1 && told.contains("2 records of i9 delivered"), "{told}");
    let misplaced = ingest.metric("ingest_misplaced_total").await.expect("it answers");
    assert!(misplaced.abs() < f64::EPSILON, "every client places a user where the others do");

    for page in [
        "operators.md",
        "operators/configure.md",
        "operators/deploy.md",
        "operators/guard.md",
        "operators/releases.md",
        "operators/backup.md",
        "operators/troubleshoot.md",
    ] {
        run(page, &world).await;
    }
    for page in ["evaluate.md", "tune.md", "checkpoints.md"] {
        run(&format!("data-scientists/{page}"), &world).await;
    }
    run("data-scientists.md", &world).await;
    [&mut ingest, &mut trainer, &mut scorer].into_iter().for_each(tests::Service::assert_alive);
}

#[test]
fn no_page_of_the_manual_has_commands_that_are_not_run() {
    let run = [
        "applications.md",
        "operators.md",
        "operators/configure.md",
        "operators/deploy.md",
        "operators/guard.md",
        "operators/releases.md",
        "operators/backup.md",
        "operators/troubleshoot.md",
        "data-scientists.md",
        "data-scientists/evaluate.md",
        "data-scientists/tune.md",
        "data-scientists/checkpoints.md",
    ];
    let folder = root().join("docs/src");
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("the folder is readable") {
            let path = entry.expect("its entries are").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let page = path.strip_prefix(&folder).expect("it lies below").to_str().expect("UTF-8").to_owned();
            let has_commands = page.ends_with(".md") && !blocks(&page).is_empty();
            assert!(!has_commands || run.contains(&page.as_str()), "{page} has commands that no test runs");
        }
    }
}
