//! Slates written to Redis per second, beside `redis-benchmark` with values of the same size on the same server.

use std::process::Command;
use std::time::{Duration, Instant};

use runtime::Context;
use runtime::redis::Redis as Client;
use schemas::slate::Encoding;
use schemas::{Entry, Keys, Slate};

use crate::error::Error;
use crate::measure::{Latencies, Samples, Size, block_on, per_second};
use crate::report::{Figure, Report};
use crate::servers::{Redis, missing};

/// Slates of one pipeline: the scorer's largest micro-batch.
const PIPELINE: usize = 256;
/// Users whose slates are written.
const USERS: usize = 10_000;
/// The scorer's default.
const TTL: Duration = Duration::from_secs(7 * 86_400);

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    block_on(async {
        let server = Redis::start().await?;
        let client = Client::connect(&server.config, &Context::new("bench")).await?;
        let value = slate().encode(Encoding::Json);
        let writes = size.pick(100_000, 10_000);
        let mut latencies = Latencies::new();
        let (mut ours, mut stock, mut alike) = (Samples::default(), Samples::default(), Samples::default());
        let (mut to_stock, mut to_alike) = (Samples::default(), Samples::default());
        for n in 0..size.pick(8, 2) {
            let rate = write(&client, &server.config.key_prefix, &value, writes, &mut latencies).await?;
            let many = redis_benchmark(&server, value.len(), writes, 50, 16)?;
            let one = redis_benchmark(&server, value.len(), writes, 1, PIPELINE)?;
            if n == 0 {
                latencies = Latencies::new(); // the first warms up
                continue;
            }
            ours.push(rate);
            stock.push(many);
            alike.push(one);
            to_stock.push(rate / many);
            to_alike.push(rate / one);
        }
        client.delete(&keys(&server.config.key_prefix)).await?;
        let bytes = value.len();
        report.add(
            Figure::median(format!("redis-benchmark -t set -P 16 -d {bytes}"), &stock, "SET/s")
                .remark("50 connections"),
        );
        report.add(Figure::median(format!("redis-benchmark -t set -c 1 -P {PIPELINE} -d {bytes}"), &alike, "SET/s"));
        let (p50, p99) = (latencies.ms(0.5), latencies.ms(0.99));
        let what = format!("runtime::redis, one connection, pipelines of {PIPELINE}");
        let remark = format!("a pipeline p50 {p50:.2} ms, p99 {p99:.2} ms");
        report.add(
            Figure::median(&what, &ours, "SET/s").beside("redis-benchmark -P 16", to_stock.median()).remark(remark),
        );
        report.add(
            Figure::median(what, &ours, "SET/s")
                .beside(format!("redis-benchmark -c 1 -P {PIPELINE}"), to_alike.median()),
        );
        Ok(())
    })
}

/// A slate as a scorer writes it.
fn slate() -> Slate {
    let entry = |n: u16| Entry {
        id: format!("i{}", 4_000 + n),
        score: 0.937_261_4 - f32::from(n) / 31.0,
        from: if n.is_multiple_of(2) { "sequence".into() } else { "covisitation".into() },
        because: vec![format!("i{}", 17 * n), format!("i{}", 23 * n)],
    };
    Slate {
        v: Slate::V,
        model: "000001-00000120".into(),
        source: Slate::source_of("events", 3, 918_273),
        event_ts: 1_760_000_000_000,
        made_at: 1_760_000_000_017,
        items: (0..20).map(entry).collect(),
    }
}

fn keys(prefix: &str) -> Vec<String> {
    let keys = Keys::new(prefix);
    (0..USERS).map(|n| keys.recs(&format!("u{n}"))).collect()
}

async fn write(
    client: &Client,
    prefix: &str,
    value: &[u8],
    count: usize,
    latencies: &mut Latencies,
) -> Result<f64, Error> {
    let entries: Vec<(String, Vec<u8>, Duration)> =
        keys(prefix).into_iter().cycle().take(count).map(|key| (key, value.to_vec(), TTL)).collect();
    let pipelines: Vec<Vec<_>> = entries.chunks(PIPELINE).map(<[_]>::to_vec).collect();
    drop(entries);
    let started = Instant::now();
    for pipeline in pipelines {
        let began = Instant::now();
        client.set_many(pipeline).await?;
        latencies.record(began.elapsed());
    }
    Ok(per_second(count, started.elapsed()))
}

/// Redis's own measure of itself; SETs per second.
fn redis_benchmark(
    server: &Redis,
    bytes: usize,
    count: usize,
    connections: usize,
    pipeline: usize,
) -> Result<f64, Error> {
    let output = Command::new("redis-benchmark")
        .args(["-u", &server.config.url, "-t", "set", "--csv", "-r", &USERS.to_string()])
        .args(["-d", &bytes.to_string(), "-n", &count.to_string()])
        .args(["-c", &connections.to_string(), "-P", &pipeline.to_string()])
        .output()
        .map_err(|e| missing("redis-benchmark", &e))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("\"SET\",\"")?.split('"').next()?.parse().ok());
    rate.ok_or_else(|| Error::Other(format!("redis-benchmark says no rate: {text}")))
}
