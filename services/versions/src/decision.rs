//! Writes a decision on what is served: first to `audit`, then to `control`, so that nothing is decided that the audit
//! lacks. What is only told goes to `audit` alone.

use std::collections::BTreeMap;

use runtime::kafka::{KafkaError, Outgoing, Producer};
use schemas::audit::{Chain, Deed};
use schemas::control::{PROMOTE, Promotion};
use schemas::{Release, Topic, Topics};

/// Writes `word` under `key`, one of [`schemas::control::OPERATOR`] and [`schemas::control::GATE`]; `evidence` are the
/// numbers that it was decided on.
///
/// # Errors
/// Kafka refuses.
pub async fn decide(
    word: &Release,
    key: &str,
    evidence: BTreeMap<String, f64>,
    chain: &mut Chain,
    (producer, topics): (&Producer, &Topics),
) -> Result<(), KafkaError> {
    note(deed_of(word, evidence), word.at, chain, (producer, topics)).await?;
    let value = serde_json::to_vec(word).expect("a decision has nothing that JSON has not");
    say(key.to_owned(), value, (producer, topics)).await
}

/// What the audit says of a decision.
#[must_use]
pub fn deed_of(word: &Release, evidence: BTreeMap<String, f64>) -> Deed {
    Deed {
        actor: word.by.clone(),
        action: word.action.to_string(),
        subject: "release".to_owned(),
        version: word.place.map(|place| place.version),
        reason: word.reason.clone(),
        evidence,
    }
}

/// Writes that a challenger is to be the trainer, or is, `now` in milliseconds since 1970; `evidence` are the numbers
/// that it was decided on.
///
/// # Errors
/// Kafka refuses.
pub async fn promote(
    promotion: &Promotion,
    evidence: BTreeMap<String, f64>,
    now: i64,
    chain: &mut Chain,
    (producer, topics): (&Producer, &Topics),
) -> Result<(), KafkaError> {
    note(deed_of_promotion(promotion, evidence), now, chain, (producer, topics)).await?;
    say_promotion(promotion, (producer, topics)).await
}

/// What the audit says of a promotion.
#[must_use]
pub fn deed_of_promotion(promotion: &Promotion, evidence: BTreeMap<String, f64>) -> Deed {
    let answered = promotion.epoch.is_some();
    Deed {
        actor: if answered { format!("challenger {}", promotion.name) } else { promotion.by.clone() },
        action: if answered { "promoted" } else { "promote" }.to_owned(),
        subject: "release".to_owned(),
        version: None,
        reason: format!("{}: {}", promotion.name, promotion.reason),
        evidence,
    }
}

/// Writes a promotion to `control`, and nothing to the audit.
///
/// # Errors
/// Kafka refuses.
pub async fn say_promotion(promotion: &Promotion, (producer, topics): (&Producer, &Topics)) -> Result<(), KafkaError> {
    let value = serde_json::to_vec(promotion).expect("a promotion has nothing that JSON has not");
    say(PROMOTE.to_owned(), value, (producer, topics)).await
}

/// Writes a deed to `audit`, `at` in milliseconds since 1970.
///
/// # Errors
/// Kafka refuses.
pub async fn note(
    deed: Deed,
    at: i64,
    chain: &mut Chain,
    (producer, topics): (&Producer, &Topics),
) -> Result<(), KafkaError> {
    let (writer, entry) = chain.next(deed, at);
    producer.send_all(&topics.name(Topic::Audit), [record(writer, entry)]).await?;
    Ok(())
}

/// Writes to `control` as it is what was decided before.
///
/// # Errors
/// Kafka refuses.
pub async fn say(key: String, value: Vec<u8>, (producer, topics): (&Producer, &Topics)) -> Result<(), KafkaError> {
    producer.send_all(&topics.name(Topic::Control), [record(key, value)]).await?;
    Ok(())
}

fn record(key: String, value: Vec<u8>) -> Outgoing {
    Outgoing { partition: Some(0), key: key.into(), value: Some(value.into()), ..Outgoing::default() }
}
