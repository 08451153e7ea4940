//! Events per second through ingest, beside librdkafka's own consumer on the same topic.
//!
//! Three ways over the same events: only consumed; consumed and validated; the whole service, which also writes
//! interactions that the broker acknowledges. Each begins with the first batch: joining a group is not counted.

use std::time::{Duration, Instant};

use ::ingest::validator::{Origin, Validator};
use runtime::Context;
use runtime::kafka::{From, Outgoing, Producer, Reader, Record};
use schemas::Topic;

use crate::error::Error;
use crate::measure::{Samples, Size, block_on, per_second};
use crate::output::note;
use crate::report::{Figure, Report};
use crate::servers::Kafka;
use crate::world::World;

/// Records in a batch, as ingest's default is.
const BATCH: usize = 2_000;
/// How often the end of `interactions` is looked at while ingest runs.
const LOOK: Duration = Duration::from_millis(20);
/// Nothing new for so long is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Rates {
    consumer: Samples,
    validated: Samples,
    ingest: Samples,
    validated_share: Samples,
    ingest_share: Samples,
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    block_on(async {
        let mut rates = Rates::default();
        let mut label = String::new();
        for n in 0..size.pick(6, 2) {
            let kafka = Kafka::fresh().await?;
            let ctx = Context::new("bench");
            let bytes = produce(&kafka, size.pick(400_000, 40_000), &ctx).await?;
            let consumer = read(&kafka, &ctx, |_| ()).await?;
            let validated = validate(&kafka, &ctx).await?;
            let whole = ingest(&kafka, size.pick(400_000, 40_000), &ctx).await?;
            note(format!("  {consumer:.0} consumed, {validated:.0} validated, {whole:.0} through ingest"));
            if n > 0 {
                rates.add(consumer, validated, whole); // the first warms up
            }
            label = format!("{}, {} B an event", kafka.label, bytes);
        }
        rates.tell(&label, report);
        Ok(())
    })
}

impl Rates {
    fn add(&mut self, consumer: f64, validated: f64, whole: f64) {
        self.consumer.push(consumer);
        self.validated.push(validated);
        self.ingest.push(whole);
        self.validated_share.push(validated / consumer);
        self.ingest_share.push(whole / consumer);
    }

    fn tell(&self, label: &str, report: &mut Report) {
        let beside = "librdkafka's consumer";
        report.add(Figure::median("librdkafka's consumer, nothing decoded", &self.consumer, "events/s").remark(label));
        let figure = Figure::median("consumed and validated", &self.validated, "events/s");
        report.add(figure.beside(beside, self.validated_share.median()));
        let figure = Figure::median("ingest: validated, written, acknowledged, committed", &self.ingest, "events/s");
        report.add(figure.beside(beside, self.ingest_share.median()));
    }
}

/// Fills `events`; the mean size of an event.
async fn produce(kafka: &Kafka, count: usize, ctx: &Context) -> Result<usize, Error> {
    let producer = Producer::connect(&kafka.config, ctx)?;
    let topic = kafka.topics.name(Topic::Events);
    let (mut world, mut bytes) = (World::new(3_000), 0);
    for start in (0..count).step_by(10_000) {
        let records: Result<Vec<Outgoing>, Error> = (start..count.min(start + 10_000))
            .map(|_| {
                let event = world.event();
                let value = serde_json::to_vec(&event)?;
                bytes += value.len();
                Ok(Outgoing { key: event.user_id.into(), value: Some(value.into()), ..Outgoing::default() })
            })
            .collect();
        producer.send_all(&topic, records?).await?;
    }
    Ok(bytes / count)
}

/// Reads all of `events`; events per second.
async fn read(kafka: &Kafka, ctx: &Context, mut with: impl FnMut(&Record)) -> Result<f64, Error> {
    let mut reader = Reader::open(&kafka.config, &kafka.topics.name(Topic::Events), From::Beginning, ctx).await?;
    let total: i64 = reader.end().await?.values().sum();
    let total = usize::try_from(total).unwrap_or_default();
    let (mut started, mut count, mut counted) = (None, 0, 0);
    while count < total {
        let Some(batch) = reader.next_batch(BATCH, Duration::from_secs(1)).await? else { break };
        batch.records.iter().for_each(&mut with);
        count += batch.records.len();
        match started {
            None if count > 0 => started = Some(Instant::now()),
            _ => counted += batch.records.len(),
        }
    }
    Ok(per_second(counted, started.map_or(Duration::MAX, |started| started.elapsed())))
}

async fn validate(kafka: &Kafka, ctx: &Context) -> Result<f64, Error> {
    let config: ::ingest::Config = runtime::config::load(::ingest::DEFAULTS, None, &[], false)?;
    let validator = Validator::new(config.ingest.limits());
    let now = ctx.now();
    let mut refused = 0;
    let rate = read(kafka, ctx, |record| {
        let origin = Origin { partition: record.partition, offset: record.offset, arrived_at: record.timestamp };
        refused += usize::from(validator.judge(record.value.as_deref(), origin, now).is_err());
    });
    let rate = rate.await?;
    if refused == 0 { Ok(rate) } else { Err(Error::Other(format!("{refused} good events were refused"))) }
}

/// Runs the service until all `count` events have become interactions; events per second.
async fn ingest(kafka: &Kafka, count: usize, ctx: &Context) -> Result<f64, Error> {
    let settings = [
        ("kafka.brokers", kafka.config.brokers.clone()),
        ("kafka.topic_prefix", kafka.config.topic_prefix.clone()),
        ("ingest.group", format!("{}ingest", kafka.config.topic_prefix)),
        ("frame.admin.listen", String::new()),
    ];
    let config: ::ingest::Config = runtime::config::load(::ingest::DEFAULTS, None, &settings, false)?;
    let (root, service) = (Context::new("bench-ingest"), Context::new("ingest"));
    root.spawn("ingest", ::ingest::run(config, service.clone()));

    let output = Reader::open(&kafka.config, &kafka.topics.name(Topic::Interactions), From::End, ctx).await?;
    let (mut first, mut last, mut moved) = (None, 0, Instant::now());
    while last < count {
        let end: i64 = output.end().await?.values().sum();
        let written = usize::try_from(end).unwrap_or_default();
        if written > last {
            (last, moved) = (written, Instant::now());
            first.get_or_insert((written, moved));
        }
        if let Some(failure) = root.failure() {
            return Err(failure.into());
        }
        if moved.elapsed() > PATIENCE {
            return Err(Error::Other(format!("ingest wrote {last} of {count} interactions and then nothing more")));
        }
        tokio::time::sleep(LOOK).await;
    }
    service.drain();
    root.drain();
    root.join().await?;
    Ok(first.map_or(0.0, |(before, began)| per_second(last - before, moved - began)))
}
