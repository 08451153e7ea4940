//! Faults of services: killed, ended, frozen beyond their session, killed while the group shares its partitions anew.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tests::Name;

use crate::fault::Struck;
use crate::field::Field;

/// Longer than the sessions of these services (6 s): the group gives their partitions to others meanwhile.
const BEYOND_THE_SESSION: Duration = Duration::from_secs(8);

pub(crate) async fn kill(field: &Field, name: Name, chance: &mut ChaCha8Rng) -> Struck {
    let slot = field.draw(name, chance);
    field.service(slot).await.kill();
    field.start_again(slot).await;
    Struck::default()
}

pub(crate) async fn terminate(field: &Field, name: Name, chance: &mut ChaCha8Rng) -> Struck {
    let slot = field.draw(name, chance);
    let (status, log) = {
        let mut service = field.service(slot).await;
        (service.terminate().await, service.log())
    };
    let last = log.lines().last().unwrap_or_default();
    field.start_again(slot).await;
    // In the middle of other faults it may have to leave work to the next: that is no failure.
    let wrong = match status.code() {
        Some(0) => Vec::new(),
        _ => vec![format!("{name} ended with {status} when asked to: {last}")],
    };
    Struck { wrong, ..Struck::default() }
}

pub(crate) async fn freeze(field: &Field, name: Name, chance: &mut ChaCha8Rng) -> Struck {
    let slot = field.draw(name, chance);
    let service = field.service(slot).await;
    service.signal("STOP");
    tokio::time::sleep(BEYOND_THE_SESSION).await;
    service.signal("CONT");
    Struck::default()
}

/// One more joins, and one that was there before is killed while partitions change hands.
pub(crate) async fn kill_in_rebalance(field: &Field, name: Name, chance: &mut ChaCha8Rng) -> Struck {
    let slot = field.draw(name, chance);
    let mut service = field.service(slot).await;
    let mut guest = field.guest(name).await;
    tokio::time::sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
    service.kill();
    drop(service);
    tokio::time::sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
    field.start_again(slot).await;
    tokio::time::sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
    guest.kill();
    Struck::default()
}

/// The trainer of before wakes up into another's time: one of the two must end. Mostly that is the old one; but where
/// it was frozen before it had claimed an epoch, its claim is the later, and it stays.
pub(crate) async fn replace_frozen_trainer(field: &Field) -> Struck {
    let slot = field.slots(Name::Trainer)[0];
    let mut old = field.service(slot).await;
    old.signal("STOP");
    let next = field.guest(Name::Trainer).await;
    tokio::time::sleep(BEYOND_THE_SESSION).await;
    old.signal("CONT");
    let mut other = std::mem::replace(&mut *old, next);
    drop(old);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        if other.ended().is_some() {
            return Struck::default();
        }
        let mut kept = field.service(slot).await;
        if kept.ended().is_some() {
            std::mem::swap(&mut *kept, &mut other);
            return Struck::default();
        }
        drop(kept);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Struck { wrong: vec!["a trainer that another took over from goes on".to_owned()], ..Struck::default() }
}
