//! Our records as applications write them.

use runtime::kafka::Outgoing;
use schemas::{Event, Item};

/// An event for the topic `events`.
pub(crate) fn event(event: &Event) -> Outgoing {
    let value = serde_json::to_vec(event).expect("an event is JSON");
    Outgoing { key: event.user_id.clone().into(), value: Some(value.into()), ..Outgoing::default() }
}

/// A catalog record for the topic `items`.
pub(crate) fn item(item: &Item) -> Outgoing {
    let value = serde_json::to_vec(item).expect("an item is JSON");
    Outgoing { key: item.item_id.clone().into(), value: Some(value.into()), ..Outgoing::default() }
}

/// An empty value: the item is delisted.
pub(crate) fn delisting(item_id: &str) -> Outgoing {
    Outgoing { key: item_id.to_owned().into(), ..Outgoing::default() }
}
