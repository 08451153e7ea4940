//! What is learned from and scored: the synthetic shop's catalog and stream, the same in every run.

use std::collections::BTreeSet;

use laboratory::shop::{Action, Shop, ShopSettings};
use model::{Catalog, Histories, Learner, Model, Positioned, RowEncoding, Seen, Settings};
use schemas::checkpoint::{Manifest, PayloadKind, VersionId};
use schemas::{Event, Item, Kind, key_of};

use crate::error::Error;

/// When the shop opens: some moment, always the same, milliseconds since 1970.
const OPENING: i64 = 1_760_000_000_000;
/// Events a second, where nobody asks for another pace.
const PACE: i64 = 500;
/// Events before the first measurement, so that most histories are as long as they get.
const PAST: usize = 60_000;

/// A shop with so many items, open.
#[derive(Debug)]
pub(crate) struct World {
    shop: Shop,
    /// Between two events.
    step_ms: i64,
    ts: i64,
    offset: i64,
}

impl World {
    pub(crate) fn new(items: usize) -> Self {
        Self::at(items, PACE)
    }

    /// The same with so many events a second.
    pub(crate) fn at(items: usize, per_second: i64) -> Self {
        let settings = ShopSettings { items, new_item_every: 0, ..ShopSettings::default() };
        Self { shop: Shop::new(settings, 7, OPENING), step_ms: 1_000 / per_second, ts: OPENING, offset: 0 }
    }

    /// The next event, of any kind.
    pub(crate) fn event(&mut self) -> Event {
        self.ts += self.step_ms;
        loop {
            if let Action::Event(event) = self.shop.next(self.ts) {
                return event;
            }
        }
    }

    /// The next `count` interactions that are examples: each is tested and trained on.
    pub(crate) fn examples(&mut self, count: usize) -> Vec<Positioned> {
        let mut examples = Vec::with_capacity(count);
        while examples.len() < count {
            let event = self.event();
            if Kind::from(event.kind).is_positive() {
                self.offset += 1;
                examples.push(Positioned::in_stream(self.offset, event));
            }
        }
        examples
    }

    /// A learner that knows the catalog, remembers a past and has trained on the last `trained` of it.
    pub(crate) fn learner(&mut self, trained: usize) -> Result<Learner, Error> {
        self.learner_with(Settings::default(), trained)
    }

    /// The same, with settings.
    pub(crate) fn learner_with(&mut self, settings: Settings, trained: usize) -> Result<Learner, Error> {
        let mut learner = Learner::new(settings)?;
        self.list(&mut learner);
        self.live_through(&mut learner, trained);
        Ok(learner)
    }

    /// Gives a learner the catalog.
    pub(crate) fn list(&self, learner: &mut Learner) {
        for item in self.shop.catalog() {
            learner.catalog(&item.item_id, Some(item), OPENING);
        }
    }

    /// Gives a learner a past, and trains it on `trained` examples.
    pub(crate) fn live_through(&mut self, learner: &mut Learner, trained: usize) {
        self.examples(PAST).iter().for_each(|positioned| learner.remember(&positioned.interaction));
        self.examples(trained).chunks(128).for_each(|batch| {
            learner.observe(batch);
        });
    }

    /// The catalog as a scorer holds it.
    pub(crate) fn catalog(&self) -> Catalog {
        let mut catalog = Catalog::default();
        for item in self.shop.catalog() {
            catalog.apply(&item.item_id, Some(item));
        }
        catalog
    }

    /// More items than the shop has, alike but never sold; from number `from`, without end.
    pub(crate) fn shelf_warmers(&self, from: usize) -> impl Iterator<Item = Item> + '_ {
        self.shop
            .catalog()
            .iter()
            .cycle()
            .zip(from..)
            .map(|(item, n)| Item { item_id: format!("w{n}"), ..item.clone() })
    }

    pub(crate) fn items(&self) -> &[Item] {
        self.shop.catalog()
    }

    /// When the last event happened.
    pub(crate) fn now(&self) -> i64 {
        self.ts
    }

    /// Histories of `count` users after some shopping, as a scorer keeps them.
    pub(crate) fn histories(&mut self, count: usize) -> Vec<Vec<Seen>> {
        let settings = Settings::default();
        let mut histories = Histories::new(settings.max_users, settings.remembered);
        let mut users = BTreeSet::new();
        for Positioned { interaction, .. } in self.examples(PAST) {
            let seen = Seen { key: key_of(&interaction.item_id), kind: interaction.kind(), ts: interaction.ts };
            histories.push(&interaction.user_id, seen);
            users.insert(interaction.user_id);
        }
        users.iter().cycle().take(count).map(|user| histories.as_of(user, i64::MAX).to_vec()).collect()
    }
}

/// A version as it travels: its manifest and payload. `number` counts versions from 1; a delta builds on the one
/// before.
pub(crate) fn version(learner: &mut Learner, kind: PayloadKind, number: u32) -> Result<(Manifest, Vec<u8>), Error> {
    let frozen = learner.freeze(kind)?;
    let payload = frozen.encode()?;
    let id = |sequence| VersionId { epoch: 1, sequence };
    let (_, manifest) = versions::split(id(number), Some(id(number - 1)), &frozen, &payload, OPENING);
    Ok((manifest, payload))
}

/// What a scorer serves that holds vectors in `table`: the learner's version, by way of its payload.
pub(crate) fn served(learner: &mut Learner, table: RowEncoding) -> Result<Model, Error> {
    let (manifest, payload) = version(learner, PayloadKind::Snapshot, 1)?;
    Ok(Model::serving("flex", table)?.apply(&manifest, &payload)?)
}
