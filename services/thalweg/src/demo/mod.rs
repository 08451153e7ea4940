//! `thalweg demo`: the whole loop in one process, with traffic, and an honest report of what came of it.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

mod examine;
mod servers;
mod services;
mod source;
mod stage;
mod tally;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use laboratory::LogArgs;
use laboratory::output;
use runtime::Context;
use runtime::kafka::Producer;
use runtime::redis::Redis;
use runtime::telemetry::{MetricsHandle, scrape};
use schemas::{Keys, Topic, Topics};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Place;
use crate::closed_loop::{ClosedLoop, handfuls};
use crate::error::Error;
use crate::probe::Probe;
use crate::report::{self, Report};
use crate::traffic::{self, Pace, PaceArgs, Pacer, TICK};
use servers::Servers;
use services::Services;
use source::Traffic;
use stage::Stage;
use watch::{Manifests, Sampler};

#[derive(clap::Args, Debug)]
// What only a recorded log has.
#[command(
    mut_arg("columns", |arg| arg.requires("log")),
    mut_arg("speed", |arg| arg.requires("log")),
    mut_arg("default_type", |arg| arg.requires("log"))
)]
pub(crate) struct Args {
    /// Send this recorded log instead of the synthetic shop: CSV, JSON lines or Parquet; plain, .gz or .zst.
    #[arg(long, value_name = "FILE", requires = "columns")]
    log: Option<PathBuf>,
    #[command(flatten)]
    how: LogArgs,
    #[command(flatten)]
    pace: PaceArgs,
    /// How many seconds the synthetic shop sends traffic, without --limit.
    #[arg(long, default_value_t = 60, value_name = "N", conflicts_with = "log", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seed of the synthetic shop.
    #[arg(long, default_value_t = 7, conflicts_with = "log")]
    seed: u64,
    /// Partitions of `events` and `interactions`.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Write the report as JSON to this file, and as a page with plots next to it (.html).
    #[arg(long, value_name = "FILE", value_parser = report_file)]
    report: Option<PathBuf>,
    /// Log level of the services: error, warn, info or debug.
    #[arg(long, default_value = "warn", value_name = "LEVEL")]
    log_level: String,
}

/// The page lies beside the JSON and would take its place.
fn report_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("html")) {
        let json = path.with_extension("json");
        return Err(format!("this is where the page goes: name the JSON, such as {}", json.display()));
    }
    Ok(path)
}

impl Args {
    fn pace(&self) -> Pace {
        self.pace.or(Pace::Rate(RATE))
    }

    /// How many events the synthetic shop, which never closes by itself, gives.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a small product
    fn shop_events(&self) -> Result<u64, Error> {
        match (self.how.limit, self.pace()) {
            (Some(limit), _) => Ok(limit as u64),
            (None, Pace::Rate(rate)) => Ok((rate * self.seconds as f64) as u64),
            (None, _) => Err(Error::Other("the synthetic shop has no end: give --limit with --rate max".into())),
        }
    }
}

/// Events per second unless told otherwise.
const RATE: f64 = 500.0;
/// Nothing came to rest for so long: it will not any more.
const STUCK: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: Args, place: Place) -> Result<ExitCode, Error> {
    let metrics = runtime::telemetry::install_metrics();
    runtime::telemetry::init_tracing(&runtime::config::Log {
        level: args.log_level.clone(),
        format: runtime::config::LogFormat::Auto,
    });
    let ctx = Context::new("demo");
    let traffic = Traffic::open(&args, ctx.now())?;
    let signal = |kind| signal(kind).map_err(|error| Error::Other(format!("signals cannot be waited for: {error}")));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    // Dropped in the middle, it takes its servers with it; the codes are what a shell gives for these signals.
    tokio::select! {
        outcome = close_the_loop(args, place, traffic, metrics, ctx) => outcome,
        Some(()) = hangup.recv() => Ok(ExitCode::from(129)),
        Some(()) = interrupt.recv() => Ok(ExitCode::from(130)),
        Some(()) = terminate.recv() => Ok(ExitCode::from(143)),
    }
}

async fn close_the_loop(
    args: Args,
    place: Place,
    mut traffic: Traffic,
    metrics: MetricsHandle,
    ctx: Context,
) -> Result<ExitCode, Error> {
    let servers = Servers::start(&place, args.partitions).await?;
    output::note(format!("{}\n{}", traffic.label, servers.label));
    let topics = Topics::new(&servers.kafka.topic_prefix);
    let producer = Producer::connect(&servers.kafka, &ctx)?;
    producer.send_all(&topics.name(Topic::Items), traffic.catalog()?).await?;

    // A log's catalog has records of some of its items; whatever occurs in it may be shown.
    let services = Services::start(&servers, if args.log.is_some() { "false" } else { "auto" })?;
    let manifests = Manifests::default();
    ctx.spawn("manifests", manifests.clone().follow(servers.kafka.clone(), ctx.clone()));
    let spinner = output::spinner();
    spinner.set_message("starting the services");
    services.ready().await?;
    spinner.finish_and_clear();

    let redis = Redis::connect(&servers.redis, &ctx).await?;
    let probe = Probe::new(redis.clone(), Keys::new(&servers.redis.key_prefix));
    let mut stage = Stage { probe, redis, manifests, metrics, services, producer, servers };
    let mut sampler = Sampler::new(stage.metrics.clone(), stage.manifests.clone(), &stage.services);
    let closed_loop = args.pace.closed_loop.then(|| ClosedLoop::new(stage.redis.clone(), stage.keys(), &topics));
    let mut run = Run { closed_loop, ..Run::default() };
    run.send(args.pace(), &mut traffic, &mut stage, &mut sampler).await?;
    let spinner = output::spinner();
    spinner.set_message("waiting until every event is learned from and served");
    run.settle(&stage).await;
    spinner.set_message("counting what lies on the topics and in Redis");

    let mut report = Report {
        source: traffic.label.clone(),
        machine: examine::machine(&stage.servers.label),
        made_at: ctx.now(),
        seconds: run.seconds,
        behind_seconds: run.behind,
        unanswered: run.closed_loop.as_ref().map(ClosedLoop::unanswered),
        problems: run.problems,
        events_sent: run.sent,
        skipped_rows: traffic.skipped.clone(),
        series: std::mem::take(&mut sampler.points),
        ..Report::default()
    };
    examine::fill(&mut report, &stage, &traffic).await?;
    spinner.finish_and_clear();
    ctx.drain();
    if let Err(failure) = stage.services.stop().await {
        report.problems.push(format!("a service did not stop cleanly: {}", runtime::chain(&failure)));
    }
    report.judge();
    output::line(report::terminal(&report));
    if let Some(path) = &args.report {
        write(&report, path)?;
    }
    Ok(if report.closed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(report: &Report, path: &std::path::Path) -> Result<(), Error> {
    std::fs::write(path, serde_json::to_vec_pretty(report)?).map_err(Error::file(path))?;
    let page = path.with_extension("html");
    std::fs::write(&page, report::html(report)?).map_err(Error::file(&page))?;
    output::note(format!("report: {} and {}", path.display(), page.display()));
    Ok(())
}

/// What was sent, how long it took, and what went wrong meanwhile.
#[derive(Default)]
struct Run {
    /// Whoever waits for the lists of what was done before.
    closed_loop: Option<ClosedLoop>,
    sent: u64,
    seconds: f64,
    /// Seconds behind the pace.
    behind: f64,
    problems: Vec<String>,
}

impl Run {
    /// Sends the traffic at its pace, probing each event's slate before it is sent, with a point every second.
    async fn send(
        &mut self,
        pace: Pace,
        traffic: &mut Traffic,
        stage: &mut Stage,
        sampler: &mut Sampler,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let now = || Context::new("demo").now();
        let topics = stage.topics();
        let (events, items) = (topics.name(Topic::Events), topics.name(Topic::Items));
        let bar = output::live_bar(traffic.events);
        let mut pacer = Pacer::new(pace);
        let mut next_point = Duration::from_secs(1);
        while !traffic.is_over() {
            let slice = traffic.due(&mut pacer, now())?;
            if slice.events.is_empty() {
                tokio::time::sleep(TICK).await;
            } else {
                stage.producer.send_all(&items, slice.items).await?;
                let handfuls =
                    if self.closed_loop.is_some() { handfuls(&slice.events) } else { vec![&slice.events[..]] };
                for handful in handfuls {
                    if let Some(closed_loop) = &mut self.closed_loop {
                        closed_loop.wait(handful).await?;
                    }
                    stage.probe.test(handful).await?;
                    let records: Vec<_> = handful.iter().map(traffic::record).collect::<Result<_, _>>()?;
                    let places = stage.producer.send_all(&events, records).await?;
                    if let Some(closed_loop) = &mut self.closed_loop {
                        closed_loop.sent(handful, &places);
                    }
                    self.sent += handful.len() as u64;
                    bar.inc(handful.len() as u64);
                }
                self.sent += slice.raw.len() as u64;
                stage.producer.send_all(&events, slice.raw).await?;
            }
            if started.elapsed() >= next_point {
                next_point += Duration::from_secs(1);
                let version = stage.probe.live_version().await?;
                let point = sampler.sample(&stage.services, self.sent, stage.probe.recent_hit_rate());
                let line = report::live(point, self.sent, version.as_deref());
                let tenth = next_point.as_secs() % 10 == 1;
                bar.set_message(line.clone());
                if !output::is_watched() && tenth {
                    output::note(line);
                }
                if let Some(failure) = stage.services.failure() {
                    self.problems.push(format!("a service ended: {}", runtime::chain(&failure)));
                    break;
                }
            }
        }
        bar.finish_and_clear();
        self.seconds = started.elapsed().as_secs_f64();
        self.behind = pacer.behind();
        if let Some(late) = pacer.late() {
            output::note(late);
        }
        Ok(())
    }

    /// Waits until every record that was sent has come to rest and a version has learned from all.
    async fn settle(&mut self, stage: &Stage) {
        let Stage { manifests, services, metrics, probe, .. } = stage;
        let mut moved = (Instant::now(), [0; 3]);
        loop {
            let page = metrics.render();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counters
            let count = |name: &str| scrape(&page, name) as u64;
            let applied = count(ingest::metrics::INTERACTIONS);
            let judged = applied + count(ingest::metrics::DEAD_LETTERS) + count(ingest::metrics::REPEATED_EVENTS);
            let newest = manifests.all().pop();
            let learned = newest.as_ref().map_or(0, |manifest| manifest.interactions);
            // The scorer says in Redis which version is live; an outage there shows below, as not settled.
            let live = probe.live_version().await.unwrap_or_default();
            let swapped = live == newest.map(|manifest| manifest.version.to_string());
            let scored = count(scorer::metrics::INTERACTIONS) + count(scorer::metrics::REPLAYED);
            if judged >= self.sent && learned >= applied && scored >= applied && swapped {
                return;
            }
            // Traffic that was faster than the trainer leaves it behind; it is waited for while it comes nearer.
            if moved.1 != [judged, scored, learned] {
                moved = (Instant::now(), [judged, scored, learned]);
            }
            if moved.0.elapsed() > STUCK || services.failure().is_some() {
                self.problems.push(format!(
                    "after the traffic had ended, {judged} of {} records were judged, {scored} of {applied} \
                     interactions scored and {learned} learned from, and then nothing moved for {} s",
                    self.sent,
                    moved.0.elapsed().as_secs()
                ));
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
