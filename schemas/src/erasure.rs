//! Who is to be forgotten: records on the topic `control`, one for each user, and receipts on `audit`.
//!
//! No record holds an id: Kafka compacts late, so that an id would stay readable for days after it was replaced. Users
//! are named by [`UserHash`], and services find them by hashing the ids that they meet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::UserKey;
use crate::audit::Entry;
use crate::checkpoint::{is_time, shown};
use crate::privacy::{Secret, UserHash};
use crate::signature::{Distrust, Trust};

/// What keys of these records begin with; the user's hash follows.
pub const PREFIX: &str = "erase:";

/// The action of a deed that begins an erasure.
pub const BEGUN: &str = "erase";
/// The action of a receipt.
pub const ERASED: &str = "erased";
/// The action of a deed that says that all receipts are in.
pub const DONE: &str = "erase-done";
/// The action of a deed that ends an erasure.
pub const LIFTED: &str = "erase-lift";
/// The actors whose receipts an erasure needs.
pub const ACTORS: [&str; 3] = ["ingest", "scorer", "trainer"];

/// Users that may be erased. Each takes some 400 bytes in every service.
pub const MAX_USERS: usize = 100_000;
/// The longest reason and name, in bytes.
pub const MAX_TEXT: usize = 300;
/// The longest record.
const MAX_BYTES: usize = 4 * 1024;
/// Partitions that one receipt names.
const RECEIPT_PARTITIONS: usize = 50;

/// Value of a record (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Who decided.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// Whether older versions go at once.
    #[serde(default)]
    pub purge: bool,
    /// Which secret the user's hash was made with ([`Secret::mark`]); `None`: with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// When all receipts were in, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<i64>,
    /// Until when the user is erased, milliseconds since 1970; `None`: until told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<i64>,
}

impl Erasure {
    /// The key of a user's record.
    #[must_use]
    pub fn key(user: UserHash) -> String {
        format!("{PREFIX}{user}")
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// When it is not readable, or says what cannot be.
    pub fn read(value: &[u8]) -> Result<Self, String> {
        if value.len() > MAX_BYTES {
            return Err(format!("the erasure on control is longer than {MAX_BYTES} bytes"));
        }
        let erasure: Self = serde_json::from_slice(value)
            .map_err(|error| format!("the erasure on control is not readable: {}", shown(&error.to_string())))?;
        match erasure.problem() {
            None => Ok(erasure),
            Some(problem) => Err(format!("the erasure on control {problem}")),
        }
    }

    /// When the last thing in it was said, milliseconds since 1970.
    #[must_use]
    pub fn said_at(&self) -> i64 {
        [self.done, self.lifted].into_iter().flatten().fold(self.at, i64::max)
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let Self { by, reason, at, purge: _, secret, done, lifted } = self;
        let is_text = |text: &String| (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
        let is_mark = |mark: &String| mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        let rules = [
            (!is_text(by) || !is_text(reason), "names nobody or no reason, or with control characters or at length"),
            (!is_time(*at) || !done.iter().chain(lifted).all(|at| is_time(*at)), "names a time that cannot be"),
            (!secret.iter().all(is_mark), "names a secret that cannot be"),
        ];
        rules.into_iter().find(|(broken, _)| *broken).map(|(_, problem)| problem)
    }
}

/// Every record, as they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erasures {
    users: HashMap<UserHash, Erasure>,
    /// Those whose hashes were made without a secret.
    unkeyed: usize,
}

impl Erasures {
    /// Takes the next record of the topic; a record without a value takes the erasure back. False: nothing changed.
    ///
    /// # Errors
    /// When it is not readable, says what cannot be, or is of one user too many; nothing changed then.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<bool, String> {
        let Some(user) = key.strip_prefix(PREFIX.as_bytes()) else { return Ok(false) }; // for somebody else
        let user = std::str::from_utf8(user).ok().and_then(|user| user.parse().ok());
        let user: UserHash = user.ok_or("the erasure on control names no user")?;
        let new = value.map(Erasure::read).transpose()?;
        if new.is_some() && self.users.len() >= MAX_USERS && !self.users.contains_key(&user) {
            return Err(format!("more than {MAX_USERS} users are erased; this one is not"));
        }
        let without = |erasure: &Option<Erasure>| usize::from(erasure.as_ref().is_some_and(|e| e.secret.is_none()));
        self.unkeyed += without(&new);
        let (changed, before) = match new {
            Some(new) => {
                let before = self.users.insert(user, new);
                (before.as_ref() != self.users.get(&user), before)
            }
            None => {
                let before = self.users.remove(&user);
                (before.is_some(), before)
            }
        };
        self.unkeyed -= without(&before);
        Ok(changed)
    }

    /// Checks the signature of the next record, its key, value and header, on the topic with this full name, and that
    /// it is not one of before that was written again.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn believed(
        &self,
        trust: &Trust,
        topic: &str,
        (key, value, signature): (&[u8], Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), Distrust> {
        let Some(value) = value else {
            // A deletion has no time, so one of before cannot be told from one of now.
            return if trust.is_required() { Err(Distrust::Unsigned) } else { Ok(()) };
        };
        trust.check(topic, key, value, signature)?;
        let standing = std::str::from_utf8(key).ok().and_then(|key| self.standing(key)).filter(|_| trust.is_on());
        let Ok(new) = Erasure::read(value) else { return Ok(()) }; // which says what is wrong with it
        match standing {
            Some(standing) if new.said_at() <= standing.said_at() && new != *standing => Err(Distrust::Replayed),
            _ => Ok(()),
        }
    }

    /// The record that stands under a key of the topic.
    #[must_use]
    pub fn standing(&self, key: &str) -> Option<&Erasure> {
        self.users.get(&key.strip_prefix(PREFIX)?.parse().ok()?)
    }

    /// How many users have a record.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A user's record.
    #[must_use]
    pub fn get(&self, user: UserHash) -> Option<&Erasure> {
        self.users.get(&user)
    }

    /// Every record, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (UserHash, &Erasure)> {
        self.users.iter().map(|(user, erasure)| (*user, erasure))
    }
}

/// The erasures as a service sees them, which has a secret or none. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Erased {
    secret: Secret,
    erasures: Arc<Erasures>,
}

impl Erased {
    /// Finds users by hashing their ids with `secret`.
    #[must_use]
    pub fn new(secret: Secret, erasures: Arc<Erasures>) -> Self {
        Self { secret, erasures }
    }

    /// The records.
    #[must_use]
    pub fn erasures(&self) -> &Erasures {
        &self.erasures
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether nothing may be made of what a user did that arrived at this time, milliseconds since 1970: it is
    /// before the user's erasure was lifted, or the erasure stands.
    #[must_use]
    pub fn covers(&self, user_id: &str, arrived_at: i64) -> bool {
        if self.erasures.is_empty() {
            return false;
        }
        let covers = |user| {
            let erasure = self.erasures.get(user);
            erasure.is_some_and(|erasure| erasure.lifted.is_none_or(|lifted| arrived_at <= lifted))
        };
        covers(self.secret.hash(user_id))
            || (self.secret.mark().is_some() && self.erasures.unkeyed > 0 && covers(Secret::default().hash(user_id)))
    }

    /// Whether the user is erased now.
    #[must_use]
    pub fn is_erased(&self, user_id: &str) -> bool {
        self.covers(user_id, i64::MAX)
    }

    /// Whether an erasure can be followed here: its hash was made with our secret, or with none.
    #[must_use]
    pub fn knows(&self, erasure: &Erasure) -> bool {
        erasure.secret.as_deref().is_none_or(|mark| self.secret.mark() == Some(mark))
    }

    /// Erasures made with another secret: whom they name cannot be told here.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.erasures.iter().filter(|(_, erasure)| !self.knows(erasure)).count()
    }

    /// Erasures that want a receipt.
    pub fn wanting(&self) -> impl Iterator<Item = (UserHash, &Erasure)> {
        let wants = |erasure: &Erasure| erasure.done.is_none() && erasure.lifted.is_none() && self.knows(erasure);
        self.erasures.iter().filter(move |(_, erasure)| wants(erasure))
    }

    /// Keys under which a version that was made at this time, milliseconds since 1970, may know what is to be
    /// forgotten.
    pub fn keys(&self, made_at: i64) -> impl Iterator<Item = UserKey> {
        let holds = move |erasure: &Erasure| erasure.lifted.is_none_or(|lifted| made_at <= lifted);
        self.erasures.iter().filter(move |(_, erasure)| holds(erasure)).map(|(user, _)| user.key())
    }
}

/// What one process has given receipts for. An instance answers for the partitions that are its own, again for those
/// that become its own later; a trainer for none in particular.
#[derive(Debug, Default)]
pub struct Given {
    receipts: HashMap<(UserHash, i64), BTreeSet<i32>>,
    /// The erasures and partitions that this was asked for last: until others come, nothing more is due.
    settled: Option<(Arc<Erasures>, Vec<i32>)>,
}

impl Given {
    /// The receipts to be given now: for each user the partitions not answered for so far, in portions that a record
    /// of the audit holds. They count as given. It is asked with every batch, and looks only where something changed.
    pub fn due(&mut self, erased: &Erased, ours: &[i32]) -> Vec<(UserHash, BTreeMap<String, f64>)> {
        let same = |(erasures, of): &(Arc<Erasures>, Vec<i32>)| Arc::ptr_eq(erasures, &erased.erasures) && of == ours;
        if self.settled.as_ref().is_some_and(same) {
            return Vec::new();
        }
        self.settled = Some((Arc::clone(&erased.erasures), ours.to_vec()));
        let wanting: BTreeSet<_> = erased.wanting().map(|(user, erasure)| (user, erasure.at)).collect();
        self.receipts.retain(|wanted, _| wanting.contains(wanted));
        let mut due = Vec::new();
        for wanted in wanting {
            let given = self.receipts.entry(wanted).or_default();
            let new: Vec<i32> = ours.iter().copied().filter(|partition| given.insert(*partition)).collect();
            due.extend(new.chunks(RECEIPT_PARTITIONS).map(|partitions| {
                (wanted.0, partitions.iter().map(|partition| (format!("partition {partition}"), 1.0)).collect())
            }));
        }
        due
    }
}

/// The receipts of one erasure, as `audit` holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// Partitions of `events` whose ingest drops the user's events.
    pub ingest: BTreeSet<i32>,
    /// Partitions of `interactions` whose scorer has forgotten the user.
    pub scorer: BTreeSet<i32>,
    /// The version of a trainer that has forgotten the user.
    pub trainer: Option<crate::VersionId>,
}

impl Receipts {
    /// Takes the next record of the audit, whoever it is about.
    pub fn take(&mut self, entry: &Entry, user: &str) {
        if entry.subject != user {
            return;
        }
        let partitions =
            || entry.evidence.keys().filter_map(|name| name.strip_prefix("partition ")?.parse::<i32>().ok());
        match (entry.action.as_str(), entry.actor.as_str()) {
            (BEGUN, _) => *self = Self::default(), // what was given before is for an erasure of before
            (ERASED, "ingest") => self.ingest.extend(partitions()),
            (ERASED, "scorer") => self.scorer.extend(partitions()),
            (ERASED, "trainer") => self.trainer = entry.version.max(self.trainer),
            _ => {}
        }
    }

    /// What is missing, in words, where `events` and `interactions` have so many partitions; empty: nothing is.
    #[must_use]
    pub fn missing(&self, events: usize, interactions: usize) -> Vec<String> {
        let lacks = |given: &BTreeSet<i32>, partitions: usize| {
            (0..partitions).filter(|n| i32::try_from(*n).is_ok_and(|n| !given.contains(&n))).count()
        };
        let mut missing = Vec::new();
        for (service, topic, lacking) in [
            ("ingest", "events", lacks(&self.ingest, events)),
            ("scorer", "interactions", lacks(&self.scorer, interactions)),
        ] {
            if lacking > 0 {
                missing.push(format!("{service} for {lacking} partitions of {topic}"));
            }
        }
        if self.trainer.is_none() {
            missing.push("trainer".to_owned());
        }
        missing
    }
}

#[cfg(test)]
mod tests;
