//! What a configuration becomes, layer by layer, and what is said about a bad one.

use super::*;
use crate::config::{Frame, Kafka};
use serde::Deserialize;
use std::time::Duration;

const DEFAULTS: &str = r#"
    [frame]
    grace = "10s"
    stall = "60s"
    admin = { listen = "127.0.0.1:0" }
    log = { level = "info", format = "auto" }
    [kafka]
    brokers = "localhost:9092"
    topic_prefix = ""
    properties = {}
    [limits]
    batch = 500
    rate = 1.5
    strict = true
    tags = ["a"]
"#;

#[derive(Debug, Deserialize)]
struct Config {
    frame: Frame,
    kafka: Kafka,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
struct Limits {
    batch: usize,
    rate: f64,
    strict: bool,
    tags: Vec<String>,
}

impl Validate for Config {
    fn problems(&self) -> Vec<String> {
        let mut problems = [self.frame.problems(), self.kafka.problems()].concat();
        if self.limits.batch == 0 {
            problems.push("limits.batch: must be at least 1".into());
        }
        problems
    }
}

fn with(file: &str, env: &[(&str, &str)], overrides: &[(&str, String)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file).expect("a file in it");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load_from(DEFAULTS, Some(&path), env, overrides).map(|(config, _)| config)
}

#[test]
fn later_layers_win_and_take_the_type_of_the_default() {
    let config = with(
        "[limits]\nbatch = 7\nrate = 2\n[kafka.properties]\n\"fetch.wait.max.ms\" = 5",
        &[
            ("THALWEG__LIMITS__STRICT", "false"),
            ("THALWEG__LIMITS__BATCH", "8"),
            ("THALWEG__LIMITS__TAGS", "[\"x\", \"y\"]"),
            ("THALWEG__FRAME__GRACE", "3s"),
            ("THALWEG__FRAME__LOG__LEVEL", "debug"),
            ("THALWEG__KAFKA__PROPERTIES__SASL_USERNAME", "me"),
            ("THALWEG__TRAINER__WIDTH", "another service's"),
            ("PATH", "/bin"),
        ],
        &[("limits.batch", "9".into()), ("kafka.properties.linger.ms", "1".into())],
    )
    .expect("a good configuration");
    assert_eq!((config.limits.batch, config.limits.rate, config.limits.strict), (9, 2.0, false));
    assert_eq!(config.limits.tags, ["x", "y"]);
    assert_eq!(config.frame.grace, Duration::from_secs(3));
    assert_eq!(config.frame.log.level, "debug");
    let properties: Vec<_> = config.kafka.properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(properties, ["fetch.wait.max.ms=5", "linger.ms=1", "sasl.username=me"]);
}

#[test]
fn every_problem_is_listed_at_once() {
    let error = with(
        "[limits]\nbatch = \"many\"\nbach = 1\n[frame]\ngrace = \"soon\"\n[shop]\nx = 1",
        &[("THALWEG__LIMITS__RATE", "fast"), ("THALWEG__KAFKA__BROKER", "b:1"), ("THALWEG__KAFKA__BROKERS", "b")],
        &[("limits.batch", "0".into())],
    )
    .expect_err("eight mistakes");
    let expected = [
        "limits.batch: must be a whole number, not a text",
        "limits.bach: unknown key; known here: batch",
        "frame.grace:",
        "shop: unknown key; known here: frame, kafka, limits",
        "limits.rate: must be a number, not a text (THALWEG__LIMITS__RATE)",
        "kafka.broker: unknown key",
        "kafka.brokers: write host:port",
        "limits.batch: must be at least 1",
    ];
    for line in expected {
        assert!(error.0.iter().any(|problem| problem.contains(line)), "{line:?} is not in:\n{error}");
    }
    assert_eq!(error.0.len(), expected.len(), "{error}");
    assert_eq!(error.to_string().lines().count(), expected.len());
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let error = load_from::<Config>(DEFAULTS, Some(Path::new("no/such.toml")), vec![], &[]).expect_err("no file");
    assert!(error.to_string().contains("no/such.toml: cannot be read"), "{error}");
}

#[test]
fn a_file_that_is_not_toml_is_a_problem_told_without_the_line_that_may_hold_a_secret() {
    for file in
        ["[limits\nbatch = 1", "[redis]\nurl = \"redis://:hunter2@h\nkey_prefix = 1", "[kafka]\npassword = hunter2"]
    {
        let told = with(file, &[], &[]).expect_err("is no TOML").to_string();
        assert!(!told.contains("hunter2") && told.contains("line "), "{told}");
    }
}

#[test]
fn a_time_longer_than_any_setting_means_is_refused_and_named() {
    for long in ["18446744073709551615s", "584554531years", "11years"] {
        let error = with("", &[], &[("frame.grace", long.to_owned())]).expect_err("is too long");
        assert_eq!(error.0, ["frame.grace: at most 10years (override)"]);
    }
    assert!(with("", &[], &[("frame.stall", "9years".to_owned())]).is_ok());
}

#[test]
fn a_mistyped_section_in_the_environment_is_refused_and_another_services_is_not() {
    let good = [("THALWEG__INGEST__BATCH", "1"), ("THALWEG__REDIS__URL", "redis://r:6379/0"), ("THALWEG_DATA", "logs")];
    assert!(with("", &good, &[]).is_ok());
    let error = with("", &[("THALWEG__INGST__BATCH", "1"), ("THALWEG__LIMIT__BATCH", "1")], &[]).expect_err("two");
    let expected = [
        "ingst: no service has this section; did you mean ingest? (THALWEG__INGST__BATCH)",
        "limit: no service has this section; did you mean limits? (THALWEG__LIMIT__BATCH)",
    ];
    assert_eq!(error.0, expected);
}

#[test]
fn an_environment_that_is_not_utf_8_is_refused_only_where_it_is_ours() {
    use std::os::unix::ffi::OsStringExt;

    let os = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let foreign = [(os(b"X"), os(b"\xff")), (os(b"\xffTHALWEG__"), os(b"x")), (os(b"THALWEG_DATA"), os(b"\xfe"))];
    assert_eq!(variables(foreign.clone().into_iter()).expect("nobody looks at them"), []);
    let ours = [(os(b"THALWEG__LIMITS__BATCH"), os(b"7")), (os(b"THALWEG__KAFKA__BROKERS"), os(b"b\xff"))];
    let error = variables(foreign.into_iter().chain(ours)).expect_err("one is not UTF-8");
    assert_eq!(
        error.0,
        ["THALWEG__KAFKA__BROKERS: the environment variable is not UTF-8; set it again, or take it out"]
    );
}

#[test]
fn what_is_in_force_is_shown_as_toml_without_secrets() {
    let defaults = format!("{DEFAULTS}\n[redis]\nurl = \"redis://h:6379/0\"\nkey_prefix = \"\"");
    let overrides = [
        ("limits.batch", "7".to_owned()),
        ("kafka.properties.sasl.password", "hunter2".to_owned()),
        ("redis.url", "redis://me:hunter2@h:6379/0".to_owned()),
    ];
    let (_, shown) = load_from::<Config>(&defaults, None, vec![], &overrides).expect("is good");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(["batch = 7", "\"sasl.password\" = \"***\"", "redis://me:***@h"].iter().all(|line| shown.contains(line)));
    let none = without_secrets(&"secret = ''".parse().expect("is TOML"));
    assert_eq!(none["secret"].as_str(), Some(""), "that there is no secret is none");
    let again: Table = shown.parse().expect("is TOML");
    assert_eq!(again["limits"]["batch"], Value::Integer(7));
}
