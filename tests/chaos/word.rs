//! Faults around the operator's word: it is said, stands for a moment and is lifted, also while whoever heeds it is
//! killed.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use schemas::VersionId;
use serde_json::Value;
use tests::Name;

use crate::fault::{Fault, Struck};
use crate::field::Field;
use crate::harm::moment;
use crate::service_faults;

/// Kafka may be away: then a word is said again, so often.
const TRIES: usize = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// How long a word may take to be followed while services are killed and other faults fall.
const FOLLOWED: Duration = Duration::from_secs(120);

/// What an operator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Pin,
    Unpin,
    Rollback,
    Hold,
    Resume,
}

impl Word {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Unpin => "unpin",
            Self::Rollback => "rollback",
            Self::Hold => "hold",
            Self::Resume => "resume",
        }
    }

    /// What `model` says of the live version while the word stands.
    const fn state(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Hold => "hold",
            Self::Unpin | Self::Resume | Self::Rollback => "live",
        }
    }

    /// What takes it back.
    const fn lifted_by(self) -> Option<Self> {
        match self {
            Self::Pin => Some(Self::Unpin),
            Self::Hold => Some(Self::Resume),
            Self::Unpin | Self::Rollback | Self::Resume => None,
        }
    }
}

/// Which of the versions that there are to go back to.
#[derive(Debug, Clone, Copy)]
enum Which {
    Newest,
    NewestButOne,
    Oldest,
}

/// Says a word until it is taken; what was written, and the version that was named. A snapshot may go while the word is
/// on its way: so each try looks anew which there are.
async fn say(field: &Field, word: Word, which: Option<Which>, by: &str) -> Result<(Value, Option<String>), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match try_to_say(field, word, which, by).await {
            Ok(said) => return Ok(said),
            Err(why) => last = why,
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(format!("`{}` was not taken in {TRIES} tries: {last}", word.as_str()))
}

async fn try_to_say(
    field: &Field,
    word: Word,
    which: Option<Which>,
    by: &str,
) -> Result<(Value, Option<String>), String> {
    let version = match which {
        Some(which) => Some(version(field, which).await?),
        None => None,
    };
    let mut words = vec!["release", word.as_str()];
    words.extend(version.as_deref());
    words.extend(["--reason", "a fault", "--by", by, "--json"]);
    let said = field.operate(&words).await?;
    // What had to be lifted may have been lifted by a try that was not heard to succeed.
    Ok((serde_json::from_str(&said).unwrap_or_default(), version))
}

/// A version that there is to go back to.
async fn version(field: &Field, which: Which) -> Result<String, String> {
    let ladder = field.operate(&["release", "rollback", "--json"]).await?;
    let ladder: Vec<Value> = serde_json::from_str(&ladder).map_err(|error| format!("{error}: {ladder}"))?;
    let chosen = match which {
        Which::Newest => ladder.last(),
        Which::NewestButOne => ladder.iter().rev().nth(1).or(ladder.last()),
        Which::Oldest => ladder.first(),
    };
    let version = chosen.and_then(|manifest| manifest["version"].as_str());
    version.map(str::to_owned).ok_or_else(|| "there is no snapshot to go back to".to_owned())
}

/// A word that stands for a moment.
pub(crate) async fn release(field: &Field, fault: Fault, chance: &mut ChaCha8Rng) -> Struck {
    let (word, which) = match fault {
        Fault::VersionHeld => (Word::Hold, None),
        Fault::RolledBack => (Word::Rollback, Some(Which::NewestButOne)),
        Fault::OldestPinned => (Word::Pin, Some(Which::Oldest)),
        _ => (Word::Pin, Some(Which::NewestButOne)),
    };
    let mut wrong: Vec<String> = say(field, word, which, "a fault").await.err().into_iter().collect();
    if let Some(lifted_by) = word.lifted_by() {
        tokio::time::sleep(moment(chance)).await;
        wrong.extend(say(field, lifted_by, None, "a fault").await.err());
    }
    Struck { wrong, ..Struck::default() }
}

/// Scorers and the trainer are killed at random while a word is said and followed; it stands afterwards.
pub(crate) async fn killed_meanwhile(field: &Field, word: Word, chance: &mut ChaCha8Rng) -> Struck {
    let by = format!("{}-{:08x}", word.as_str(), chance.random::<u32>());
    let outcome = said_and_followed(field, word, &by, chance).await;
    let mut wrong: Vec<String> = outcome.err().into_iter().collect();
    if let Some(lifted_by) = word.lifted_by() {
        match say(field, lifted_by, None, &by).await {
            Ok(_) => wrong.extend(follows(field, (lifted_by, &by), |_| true).await.err()),
            Err(why) => wrong.push(why),
        }
    }
    Struck { wrong, ..Struck::default() }
}

async fn said_and_followed(field: &Field, word: Word, by: &str, chance: &mut ChaCha8Rng) -> Result<(), String> {
    match word {
        Word::Unpin => drop(say(field, Word::Pin, Some(Which::Newest), by).await?),
        Word::Resume => drop(say(field, Word::Hold, None, by).await?),
        Word::Pin | Word::Rollback | Word::Hold => {}
    }
    let which = match word {
        Word::Pin => Some(Which::Newest),
        // From the oldest the trainer would learn all that the campaign has sent so far once more.
        Word::Rollback if chance.random_bool(0.5) => Some(Which::NewestButOne),
        Word::Rollback => Some(Which::Newest),
        Word::Unpin | Word::Hold | Word::Resume => None,
    };
    let before = newest(field).await?;
    let (said, ()) = tokio::join!(say(field, word, which, by), kills(field, chance));
    let (said, named) = said?;
    let version = match word {
        Word::Pin => named,
        Word::Hold => said["release"]["version"].as_str().map(str::to_owned),
        Word::Unpin | Word::Rollback | Word::Resume => None,
    };
    let version: Option<VersionId> = version.and_then(|text| text.parse().ok());
    follows(field, (word, by), |live| match word {
        Word::Pin | Word::Hold => Some(live) == version,
        Word::Rollback => live.epoch > before.epoch, // what goes on from there does so under a claim of its own
        Word::Unpin | Word::Resume => true,
    })
    .await
}

/// The newest version, as the operator is told. The first may not be there yet.
async fn newest(field: &Field) -> Result<VersionId, String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        match field.operate(&["release", "status", "--json"]).await {
            Ok(status) => {
                let status: Value = serde_json::from_str(&status).map_err(|error| format!("{error}: {status}"))?;
                match status["newest"].as_str().and_then(|text| text.parse().ok()) {
                    Some(newest) => return Ok(newest),
                    None => last = format!("no version is there: {status}"),
                }
            }
            Err(why) => last = why,
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(last)
}

/// Two to four kills, each at some time during the others' start.
async fn kills(field: &Field, chance: &mut ChaCha8Rng) {
    for _ in 0..chance.random_range(2..5) {
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..1_500))).await;
        let name = if chance.random_bool(0.5) { Name::Trainer } else { Name::Scorer };
        service_faults::kill(field, name, chance).await;
    }
}

/// Waits until `model` says what the word has it say, of a version that is `right`, and the word that stands is this
/// one.
async fn follows(field: &Field, word: (Word, &str), right: impl Fn(VersionId) -> bool) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let last = match stands(field, word, &right).await {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        if began.elapsed() > FOLLOWED {
            return Err(format!("`{}` by {} does not stand after {FOLLOWED:?}: {last}", word.0.as_str(), word.1));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn stands(field: &Field, (word, by): (Word, &str), right: impl Fn(VersionId) -> bool) -> Result<(), String> {
    let model = field.world.model().await?;
    let [state, pinned_by, live] =
        ["state", "pinned_by", "version"].map(|name| model.get(name).map_or("", String::as_str));
    let by_whom = if word.state() == "live" { "" } else { by };
    if state != word.state() || pinned_by != by_whom || !live.parse::<VersionId>().is_ok_and(&right) {
        return Err(format!("{live} is live, as `{state}` by `{pinned_by}`"));
    }
    let status = field.operate(&["release", "status", "--json"]).await?;
    let status: Value = serde_json::from_str(&status).map_err(|error| format!("{error}: {status}"))?;
    let operator = &status["operator"];
    let is_ours = operator["action"] == word.as_str() && operator["by"] == by;
    if is_ours { Ok(()) } else { Err(format!("the operator's word is {operator}")) }
}
