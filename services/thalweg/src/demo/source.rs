//! What the demo sends: a synthetic shop, or a recorded log.

use std::collections::HashMap;
use std::iter::Peekable;

use laboratory::log::by_name;
use laboratory::shop::{Action, BadEvent, BadLimits, Fate, Shop, ShopSettings, bad_events};
use runtime::kafka::Outgoing;
use schemas::{Event, Item};

use super::Args;
use crate::error::Error;
use crate::traffic::{self, Pacer};

/// One in so many events of the synthetic shop is followed by a bad or repeated one.
const BAD_EVERY: u64 = 50;
/// The most events sent at once: the traffic never runs further ahead of what it probes.
const MOST: usize = 500;

/// Traffic for the demo.
pub(super) struct Traffic {
    /// Where it comes from, in words.
    pub(super) label: String,
    /// Rows of a log that gave no event, by reason.
    pub(super) skipped: std::collections::BTreeMap<String, u64>,
    /// Events that it gives, beside bad input.
    pub(super) events: u64,
    /// Repeats among what was handed out.
    pub(super) repeats: u64,
    /// Of the items listed so far.
    titles: HashMap<String, String>,
    kind: Kind,
}

enum Kind {
    Shop {
        shop: Box<Shop>,
        bad: Box<dyn Iterator<Item = BadEvent> + Send>,
        /// Events still to come.
        left: u64,
    },
    Log {
        /// What the log says about its items.
        listings: Vec<Item>,
        events: Box<Peekable<Events>>,
    },
}

type Events = Box<dyn Iterator<Item = Event> + Send>;

impl Traffic {
    pub(super) fn open(args: &Args, now: i64) -> Result<Self, Error> {
        if let Some(path) = &args.log {
            let log = tokio::task::block_in_place(|| args.how.open(path))?;
            let name =
                path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned());
            let listings: Vec<Item> = traffic::listings(&log).collect();
            return Ok(Self {
                label: format!("recorded log {name}, {} events of {} users", log.len(), log.users()),
                skipped: by_name(&log.skipped),
                events: log.len() as u64,
                repeats: 0,
                titles: titles(&listings),
                kind: Kind::Log { listings, events: Box::new((Box::new(log.into_events()) as Events).peekable()) },
            });
        }
        let shop = Shop::new(ShopSettings::default(), args.seed, now);
        // Ingest's defaults, which bad events go just over.
        let limits = BadLimits { message_bytes: 65_536, items: 200, future_ms: 3_600_000 };
        let bad = bad_events(args.seed, now, limits);
        let left = args.shop_events()?;
        Ok(Self {
            label: shop.label().to_owned(),
            skipped: std::collections::BTreeMap::new(),
            events: left,
            repeats: 0,
            titles: titles(shop.catalog()),
            kind: Kind::Shop { shop: Box::new(shop), bad: Box::new(bad), left },
        })
    }

    /// The catalog that is there from the beginning.
    pub(super) fn catalog(&self) -> Result<Vec<Outgoing>, Error> {
        match &self.kind {
            Kind::Shop { shop, .. } => shop.catalog().iter().map(traffic::listing).collect(),
            Kind::Log { listings, .. } => listings.iter().map(traffic::listing).collect(),
        }
    }

    /// What people read for an item, when the catalog says it.
    pub(super) fn title(&self, item_id: &str) -> Option<String> {
        self.titles.get(item_id).cloned()
    }

    /// Whether everything was handed out.
    pub(super) fn is_over(&mut self) -> bool {
        match &mut self.kind {
            Kind::Log { events, .. } => events.peek().is_none(),
            Kind::Shop { left, .. } => *left == 0,
        }
    }

    /// The events that are due, which for a shop happen `now`; beside them bad input, and the items that come with
    /// them.
    pub(super) fn due(&mut self, pacer: &mut Pacer, now: i64) -> Result<Slice, Error> {
        let mut slice = Slice::default();
        let titles = &mut self.titles;
        match &mut self.kind {
            Kind::Log { events, .. } => {
                while slice.events.len() < MOST
                    && let Some(event) = events.next_if(|event| pacer.admits(event.ts.0))
                {
                    slice.events.push(event);
                }
            }
            Kind::Shop { shop, bad, left } => {
                while slice.events.len() < MOST && *left > 0 && pacer.admits(now) {
                    let event = loop {
                        match shop.next(now) {
                            Action::Event(event) => break event,
                            Action::NewItem(new) => {
                                titles.insert(new.item_id.clone(), new.title.clone());
                                slice.items.push(traffic::listing(&new)?);
                            }
                        }
                    };
                    slice.events.push(event);
                    *left -= 1;
                    if shop.events().is_multiple_of(BAD_EVERY)
                        && let Some(bad) = bad.next()
                    {
                        self.repeats += u64::from(bad.fate == Fate::Repeat);
                        slice.raw.push(raw(bad));
                    }
                }
            }
        }
        Ok(slice)
    }
}

fn raw(event: BadEvent) -> Outgoing {
    Outgoing { key: event.key.into_bytes().into(), value: Some(event.value.into()), ..Outgoing::default() }
}

fn titles(items: &[Item]) -> HashMap<String, String> {
    let titled = items.iter().filter(|item| !item.title.is_empty());
    titled.map(|item| (item.item_id.clone(), item.title.clone())).collect()
}

/// What is to be sent next.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) events: Vec<Event>,
    /// Bad or repeated events, as bytes.
    pub(super) raw: Vec<Outgoing>,
    pub(super) items: Vec<Outgoing>,
}
