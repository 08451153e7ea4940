//! An application that sends the shop's events to `events` at a pace.

use std::pin::pin;
use std::time::Duration;

use runtime::Context;
use runtime::kafka::{Outgoing, Producer};
use schemas::{Event, Topic};
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::servers::Kafka;
use crate::world::World;

/// Handfuls in a second.
const HANDFULS: usize = 20;

/// An event that Kafka has acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    pub(crate) event: Event,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

pub(crate) struct Sender {
    producer: Producer,
    topic: String,
    world: World,
}

impl Sender {
    pub(crate) fn open(kafka: &Kafka, world: World, ctx: &Context) -> Result<Self, Error> {
        let producer = Producer::connect(&kafka.config, ctx)?;
        Ok(Self { producer, topic: kafka.topics.name(Topic::Events), world })
    }

    /// Sends so many events a second until something is done; `sent` is told the last event of each handful.
    pub(crate) async fn until<T>(
        &mut self,
        per_second: usize,
        mut sent: impl FnMut(Acknowledged),
        done: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / HANDFULS as u32);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = pin!(done);
        loop {
            tokio::select! {
                done = &mut done => return done,
                _ = ticks.tick() => {
                    if let Some(last) = self.handful((per_second / HANDFULS).max(1)).await? {
                        sent(last);
                    }
                }
            }
        }
    }

    async fn handful(&mut self, number: usize) -> Result<Option<Acknowledged>, Error> {
        let events: Vec<Event> = (0..number).map(|_| self.world.event()).collect();
        let mut records = Vec::with_capacity(number);
        for event in &events {
            let value = serde_json::to_vec(event)?;
            records.push(Outgoing {
                key: event.user_id.clone().into(),
                value: Some(value.into()),
                ..Outgoing::default()
            });
        }
        let places = self.producer.send_all(&self.topic, records).await?;
        let last = events.into_iter().zip(places).next_back();
        Ok(last.map(|(event, (partition, offset))| Acknowledged { event, partition, offset }))
    }
}
