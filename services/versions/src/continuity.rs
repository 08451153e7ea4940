//! Holds each version against the one that it follows, and puts aside what is doubted. Pure.
//!
//! Nobody is locked out by a doubt. A version that was put aside is taken for real once another snapshot agrees with it
//! that was made at least [`CONFIRMS_AFTER_MS`] later, while nothing else went on from the tip. And where nobody went
//! on from the tip, the next snapshot is held against what the tip replaced as well: a stranger's version that was
//! sound in every part is put right by the trainer's next.

use model::{Doubt, Model, Probe, Sample};
use schemas::VersionId;
use schemas::checkpoint::{Claim, PayloadKind};

/// A snapshot that was made so much later than one that was put aside may confirm it. A forger's come at once.
const CONFIRMS_AFTER_MS: i64 = 30_000;

/// What is known of the versions before the next.
#[derive(Debug, Default)]
pub struct Continuity {
    /// Whether lists are compared, too.
    asks: bool,
    /// Some users' lists by the tip.
    probe: Probe,
    /// What the tip replaced, while nobody went on from it.
    replaced: Option<Sample>,
    aside: Option<Aside>,
    /// The log was begun again: what comes next follows nothing.
    begins: bool,
}

/// How a version follows the tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// As a version follows another, or as the first.
    On,
    /// It follows what the tip had replaced, and the tip was none of the chain.
    InPlaceOf,
}

/// A version that was put aside.
#[derive(Debug)]
struct Aside {
    version: VersionId,
    doubt: Doubt,
    /// When the first was made of those that agree with it.
    made_at: i64,
    sample: Sample,
    probe: Option<Probe>,
}

impl Aside {
    /// Whether a version follows it.
    fn agrees(&self, next: &Model, probe: Option<&Probe>) -> bool {
        next.sample().doubt(&self.sample).is_none()
            && self.probe.as_ref().zip(probe).is_none_or(|(then, now)| then.agrees(now))
    }
}

impl Continuity {
    /// From now on compares what versions would show some users, besides what they are made of. Whoever catches up
    /// serves none of the versions in between, and need not ask.
    pub fn ask_from(&mut self, tip: &Model) {
        (self.asks, self.probe) = (true, Probe::draw(tip));
    }

    /// The version that is aside, and why.
    #[must_use]
    pub fn aside(&self) -> Option<(VersionId, Doubt)> {
        self.aside.as_ref().map(|aside| (aside.version, aside.doubt))
    }

    /// Whether `next` may become the tip after `tip`. `claim` is that of its epoch, where it is known; `free`: it
    /// follows another version, because somebody went back. Takes milliseconds.
    ///
    /// # Errors
    /// What is doubted; the version is aside then.
    pub fn judge(&mut self, tip: &Model, next: &Model, claim: Option<&Claim>, free: bool) -> Result<Follows, Doubt> {
        let Some(manifest) = next.manifest() else { return Ok(Follows::On) };
        let anew = claim.is_some_and(|claim| claim.anew && claim.epoch == manifest.version.epoch);
        let other = tip.version().is_none_or(|tip| tip.epoch != manifest.version.epoch);
        if self.begins || tip.version().is_none() || other && (anew || free) {
            self.begin(next);
            return Ok(Follows::On);
        }
        let is_snapshot = manifest.kind == PayloadKind::Snapshot;
        let (doubt, probe) = match next.sample().doubt(tip.sample()) {
            Some(doubt) => (Some(doubt), None),
            None => self.ask(tip, next),
        };
        let Some(doubt) = doubt else {
            self.accept(tip, next, probe);
            return Ok(Follows::On);
        };
        if is_snapshot && self.puts_right(next) {
            self.begin(next);
            return Ok(Follows::InPlaceOf);
        }
        let agrees = self.aside.as_ref().filter(|aside| aside.agrees(next, probe.as_ref()));
        let first = agrees.map_or(manifest.made_at, |aside| aside.made_at);
        if is_snapshot && manifest.made_at.saturating_sub(first) >= CONFIRMS_AFTER_MS {
            self.begin(next);
            return Ok(Follows::On);
        }
        // A repeated one does not become older, and one that agrees does not become younger.
        if self.aside.as_ref().is_none_or(|aside| aside.version != manifest.version) {
            let (version, sample) = (manifest.version, next.sample().clone());
            self.aside = Some(Aside { version, doubt, made_at: first, sample, probe });
        }
        Err(doubt)
    }

    /// What the versions of before were, nobody knows any more.
    pub fn forget(&mut self) {
        *self = Self { asks: self.asks, begins: true, ..Self::default() };
    }

    fn ask(&self, tip: &Model, next: &Model) -> (Option<Doubt>, Option<Probe>) {
        if !self.asks {
            return (None, None);
        }
        match self.probe.next(next, next.sample().is_close_to(tip.sample())) {
            Ok(probe) => (None, Some(probe)),
            Err((doubt, probe)) => (Some(doubt), Some(probe)),
        }
    }

    /// Whether it follows what the tip replaced.
    fn puts_right(&self, next: &Model) -> bool {
        self.replaced.as_ref().is_some_and(|replaced| next.sample().follows(replaced))
    }

    fn accept(&mut self, tip: &Model, next: &Model, probe: Option<Probe>) {
        let is_snapshot = next.manifest().is_some_and(|manifest| manifest.kind == PayloadKind::Snapshot);
        self.replaced = is_snapshot.then(|| tip.sample().clone());
        self.aside = None;
        // Users of long ago are nobody's measure: a snapshot draws others.
        self.probe = match probe {
            Some(probe) if !is_snapshot => probe,
            Some(_) => Probe::draw(next),
            None => Probe::default(),
        };
    }

    fn begin(&mut self, next: &Model) {
        let probe = if self.asks { Probe::draw(next) } else { Probe::default() };
        *self = Self { asks: self.asks, probe, ..Self::default() };
    }
}

#[cfg(test)]
mod tests;
