//! Events per second through ingest, beside librdkafka's own consumer on the same topic.
//!
//! Four ways over the same events: only consumed; consumed and validated; copied to another topic batch by batch with
//! no work between; the whole service, which writes interactions that the broker acknowledges. Each is timed from its
//! first batch: joining a group is not counted.

use std::time::{Duration, Instant};

use ::ingest::validator::{Origin, Validator};
use runtime::Context;
use runtime::kafka::{Outgoing, Producer, Reader, Record, StartAt};
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
    copied: Samples,
    ingest: Samples,
    validated_to_consumer: Samples,
    ingest_to_consumer: Samples,
    ingest_to_copied: Samples,
}

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    block_on(async {
        let mut rates = Rates::default();
        let mut label = String::new();
        let count = size.pick(600_000, 40_000);
        for n in 0..size.pick(6, 2) {
            let kafka = Kafka::fresh().await?;
            let ctx = Context::new("bench");
            let bytes = produce(&kafka, count, &ctx).await?;
            let consumed = read(&kafka, &ctx, |_| ()).await?;
            let validated = validate(&kafka, &ctx).await?;
            let copied = copy(&kafka, &ctx).await?;
            let whole = ingest(&kafka, count, &ctx).await?;
            note(format!(
                "  {consumed:.0} consumed, {validated:.0} validated, {copied:.0} copied, {whole:.0} ingested"
            ));
            if n > 0 {
                rates.add(consumed, validated, copied, whole); // the first warms up
            }
            label = format!("{}, {bytes} B an event", kafka.label);
        }
        rates.tell(&label, report);
        Ok(())
    })
}

impl Rates {
    fn add(&mut self, consumed: f64, validated: f64, copied: f64, whole: f64) {
        self.consumer.push(consumed);
        self.validated.push(validated);
        self.copied.push(copied);
        self.ingest.push(whole);
        self.validated_to_consumer.push(validated / consumed);
        self.ingest_to_consumer.push(whole / consumed);
        self.ingest_to_copied.push(whole / copied);
    }

    fn tell(&self, label: &str, report: &mut Report) {
        let unit = "events/s";
        let beside = "librdkafka's consumer";
        report.add(Figure::median("librdkafka's consumer, nothing decoded", &self.consumer, unit).remark(label));
        let figure = Figure::median("consumed and validated", &self.validated, unit);
        report.add(figure.beside(beside, self.validated_to_consumer.median()));
        report.add(Figure::median("copied to a topic, no work between", &self.copied, unit));
        let figure = Figure::median("ingest: validated, written, acknowledged", &self.ingest, unit);
        report.add(figure.beside(beside, self.ingest_to_consumer.median()));
        let figure = Figure::median("ingest, as above", &self.ingest, unit);
        report.add(figure.beside("copied, no work between", self.ingest_to_copied.median()));
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

/// Counts records from the first batch on, which is not counted itself.
#[derive(Default)]
struct Count {
    seen: usize,
    first: Option<(usize, Instant)>,
}

impl Count {
    fn add(&mut self, records: usize) {
        self.seen += records;
        if self.seen > 0 {
            self.first.get_or_insert((self.seen, Instant::now()));
        }
    }

    fn rate(&self) -> f64 {
        self.first.map_or(0.0, |(before, began)| per_second(self.seen - before, began.elapsed()))
    }
}

/// Opens `events` at its beginning, with the number of its records.
async fn open(kafka: &Kafka, ctx: &Context) -> Result<(Reader, usize), Error> {
    let reader = Reader::open(&kafka.config, &kafka.topics.name(Topic::Events), StartAt::Beginning, ctx).await?;
    let total: i64 = reader.end().await?.values().map(|next| next.0).sum();
    Ok((reader, usize::try_from(total).unwrap_or_default()))
}

/// Reads all of `events`; events per second.
async fn read(kafka: &Kafka, ctx: &Context, mut with: impl FnMut(&Record)) -> Result<f64, Error> {
    let (mut reader, total) = open(kafka, ctx).await?;
    let mut count = Count::default();
    while count.seen < total {
        let Some(batch) = reader.next_batch(BATCH, PATIENCE).await? else { break };
        batch.records.iter().for_each(&mut with);
        count.add(batch.records.len());
    }
    Ok(count.rate())
}

/// Writes every batch to another topic and waits for its acknowledgement, as ingest does; events per second.
async fn copy(kafka: &Kafka, ctx: &Context) -> Result<f64, Error> {
    let producer = Producer::connect(&kafka.config, ctx)?;
    let (mut reader, total) = open(kafka, ctx).await?;
    let mut count = Count::default();
    while count.seen < total {
        let Some(batch) = reader.next_batch(BATCH, PATIENCE).await? else { break };
        let records = batch.records.len();
        let same = |record: Record| Outgoing {
            partition: Some(record.partition),
            key: record.key,
            value: record.value,
            ..Outgoing::default()
        };
        producer.send_all(&kafka.copy, batch.records.into_iter().map(same)).await?;
        count.add(records);
    }
    Ok(count.rate())
}

async fn validate(kafka: &Kafka, ctx: &Context) -> Result<f64, Error> {
    let config: ::ingest::Config = runtime::config::load(::ingest::DEFAULTS, None, &[], false)?;
    let validator = Validator::new(config.ingest.limits());
    let now = ctx.now();
    let mut refused = 0;
    let rate = read(kafka, ctx, |record| {
        let origin =
            Origin { partition: record.partition, offset: record.offset, incarnation: 0, arrived_at: record.timestamp };
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

    let output = Reader::open(&kafka.config, &kafka.topics.name(Topic::Interactions), StartAt::End, ctx).await?;
    let (mut first, mut last, mut moved) = (None, 0, Instant::now());
    while last < count {
        let end: i64 = output.end().await?.values().map(|next| next.0).sum();
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
