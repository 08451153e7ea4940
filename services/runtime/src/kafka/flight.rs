//! Records on their way through librdkafka, and what became of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as ClientError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use tokio::sync::Notify;

use super::acks::Outstanding;
use super::link::{Link, log};
use crate::lock::lock;

/// Partition and offset of what is written.
pub(super) type Place = (i32, i64);

/// Records that were handed over together.
#[derive(Debug)]
pub(super) struct Flight {
    /// Records that are not reported yet.
    left: AtomicUsize,
    reports: Mutex<Reported>,
    pub(super) landed: Notify,
}

#[derive(Debug)]
struct Reported {
    places: Vec<Option<Place>>,
    /// Why some were not written.
    error: Option<ClientError>,
}

/// What librdkafka carries along with a record.
pub(super) struct Ticket {
    pub(super) flight: Arc<Flight>,
    pub(super) index: usize,
}

impl Flight {
    pub(super) fn new(records: usize) -> Self {
        let reports = Reported { places: vec![None; records], error: None };
        Self { left: AtomicUsize::new(records), reports: Mutex::new(reports), landed: Notify::new() }
    }

    pub(super) fn report(&self, index: usize, report: Result<Place, ClientError>) {
        let mut reports = lock(&self.reports);
        match report {
            Ok(place) => reports.places[index] = Some(place),
            // The first tells why, unless it is only an echo of what befell another.
            Err(error) if reports.error.as_ref().is_none_or(is_echo) => reports.error = Some(error),
            Err(_) => {}
        }
        drop(reports);
        self.took_off(1);
    }

    /// So many records were not handed over.
    pub(super) fn took_off(&self, without: usize) {
        if self.left.fetch_sub(without, Ordering::AcqRel) == without {
            self.landed.notify_one();
        }
    }

    /// Where each record is, `None` where it is not known to be written, and why.
    pub(super) fn outcome(&self) -> (Vec<Option<Place>>, Option<ClientError>) {
        let mut reports = lock(&self.reports);
        (std::mem::take(&mut reports.places), reports.error.take())
    }
}

/// Whether the record was given up only because its client gave up another.
pub(super) fn is_echo(error: &ClientError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::PurgeQueue | Code::PurgeInflight | Code::Fatal | Code::GaplessGuarantee)
    )
}

/// Receives the delivery reports, on librdkafka's polling thread.
pub(super) struct Reports {
    pub(super) link: Arc<Link>,
    pub(super) outstanding: Arc<Outstanding>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.link.heard(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let report = match result {
            Ok(message) => {
                self.link.up();
                self.outstanding.acknowledged();
                Ok((message.partition(), message.offset()))
            }
            Err((error, _)) => Err(error.clone()),
        };
        ticket.flight.report(ticket.index, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_and_not_its_echo_and_each_record_has_its_place_or_none() {
        let flight = Flight::new(4);
        let failed = |code| Err(ClientError::MessageProduction(code));
        flight.report(2, failed(Code::PurgeQueue));
        flight.report(1, failed(Code::TopicAuthorizationFailed));
        flight.report(3, failed(Code::MessageSizeTooLarge));
        flight.report(0, Ok((0, 7)));
        let (places, error) = flight.outcome();
        assert_eq!(places, [Some((0, 7)), None, None, None]);
        assert_eq!(error.and_then(|error| error.rdkafka_error_code()), Some(Code::TopicAuthorizationFailed));
    }

    #[tokio::test]
    async fn what_is_not_handed_over_is_not_waited_for() {
        let flight = Flight::new(3);
        flight.report(0, Ok((0, 7)));
        flight.took_off(2);
        flight.landed.notified().await;
    }
}
