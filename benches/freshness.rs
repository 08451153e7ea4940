//! Freshness with everything on this machine: `thalweg demo` at several rates, read from its report.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Error;
use crate::measure::Size;
use crate::report::{Figure, Report};

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let kafka = if env::var_os("KAFKA_BROKERS").is_some() { "Kafka" } else { "embedded broker" };
    for rate in size.pick(vec![500, 1_000, 2_000], vec![500]) {
        let demo = demo(rate, size.pick(40, 8), None)?;
        let number = |path: &str| demo.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let figure = |what: &str, path: &str| Figure::of(format!("{rate} events/s: {what}"), number(path), "ms");
        let (sent, lost) = (number("/events_per_second"), number("/lost"));
        let mut remark = format!("{kafka}; {sent:.0} events/s sent, {lost} lost");
        if demo["closed"] != true {
            remark += &format!("; the loop did not close: {}", demo["problems"]);
        }
        report.add(figure("event → slate, p50", "/freshness_ms/p50").remark(remark));
        report.add(figure("event → slate, p99", "/freshness_ms/p99"));
        report.add(figure("event → slate, p99.9", "/freshness_ms/p999"));
        report.add(figure("interaction → served model, p50", "/model_freshness_ms/p50"));
        report.add(figure("interaction → served model, p99", "/model_freshness_ms/p99"));
    }
    Ok(())
}

/// Runs the demo that was built along with this program, with a version each `publish_every`; its report.
pub(crate) fn demo(rate: u32, seconds: u32, publish_every: Option<&str>) -> Result<Value, Error> {
    let folder = tempfile::tempdir().map_err(Error::file(&env::temp_dir()))?;
    let path = folder.path().join("report.json");
    let program = beside_us("thalweg")?;
    let output = Command::new(&program)
        .envs(publish_every.map(|time| ("THALWEG__TRAINER__PUBLISH_EVERY", time)))
        .args(["demo", "--rate", &rate.to_string(), "--seconds", &seconds.to_string(), "--report"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::file(&program))?;
    let report = std::fs::read(&path).map_err(|_| {
        Error::Other(format!("`thalweg demo` made no report: {}", String::from_utf8_lossy(&output.stderr)))
    })?;
    Ok(serde_json::from_slice(&report)?)
}

/// A program that was built along with this one.
pub(crate) fn beside_us(name: &str) -> Result<PathBuf, Error> {
    let us = env::current_exe().map_err(Error::file(&PathBuf::from("bench")))?;
    let path = us.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(Error::Other(format!(
            "{} is missing: `just bench` builds it, as does `cargo build --workspace`",
            path.display()
        )))
    }
}
