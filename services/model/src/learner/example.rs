//! What goes into a micro-batch, and what comes out of it.

use schemas::{Event, Interaction, Kind, Position, Source, UserKey};

use crate::learner::replay::Past;
use crate::memory::history::Seen;
use crate::memory::influence::Influence;
use crate::ranking::order::Rank;
use crate::ranking::query::UserView;

/// An interaction with its place on the topic `interactions`.
#[derive(Debug, Clone)]
pub struct Positioned {
    /// Partition of `interactions`.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// What happened.
    pub interaction: Interaction,
}

impl Positioned {
    /// An event at its place in a stream of one partition, as ingest would have put it on `interactions`.
    #[must_use]
    pub fn in_stream(offset: i64, event: Event) -> Self {
        let interaction = Interaction {
            user_id: event.user_id,
            item_id: event.item_id,
            kind: Kind::from(event.kind).into(),
            ts: event.ts.0,
            session_id: event.session_id.unwrap_or_default(),
            value: event.value,
            shown: event.items,
            event_id: event.event_id.unwrap_or_default(),
            source: Some(Source { partition: 0, offset, ..Source::default() }),
            arrived_at: event.ts.0,
        };
        Self { partition: 0, offset, interaction }
    }
}

/// What became of a micro-batch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Observed {
    /// Interactions applied.
    pub applied: usize,
    /// Interactions that had been applied before (I2).
    pub dropped: usize,
    /// Interactions predicted and trained on.
    pub trained: usize,
    /// Interactions predicted, but left out of training ([`Learner::train_on`](super::Learner::train_on)).
    pub left_out: usize,
    /// Interactions predicted, but learned with weight 0, for their user was faster than `model.guard.rate`.
    pub guarded: usize,
    /// The encoder's loss; 0 when no example had a history.
    pub loss: f32,
}

/// An interaction as it was predicted, before anything was learned from it.
#[derive(Debug, Clone, Copy)]
pub struct Tested<'a> {
    /// Who chose.
    pub user_id: &'a str,
    /// What was chosen.
    pub key: u64,
    /// How it was chosen.
    pub kind: Kind,
    /// Event time, milliseconds since 1970.
    pub ts: i64,
    /// Event time of the user's interaction before: when the list was made.
    pub asked_at: i64,
    /// The user's interactions before it, oldest first.
    pub history: &'a [Seen],
    /// When the item was first met or listed, and how often it was chosen before; `None` when it was not known.
    pub item: Option<(i64, u32)>,
    /// The best [`TESTED_SLATE`] candidates and who named them, best first.
    pub slate: &'a [(u64, &'static str)],
    /// The rank of what was chosen among all candidates; a tie counts against it.
    pub rank: Rank,
    /// The rank by the version that the learner is held against ([`Learner::set_anchor`](super::Learner::set_anchor));
    /// `None` where it was not asked.
    pub anchor: Option<Rank>,
    /// The rank by co-visitation alone.
    pub covisitation: Rank,
    /// The rank by popularity alone.
    pub popularity: Rank,
}

/// How many candidates of a tested interaction are shown.
pub const TESTED_SLATE: usize = 20;

/// A test and training example: who chose what, knowing what.
pub(super) struct Example {
    pub(super) user_id: String,
    /// Key of the user.
    pub(super) user: UserKey,
    pub(super) history: Vec<Seen>,
    pub(super) key: u64,
    pub(super) kind: Kind,
    /// When it was chosen.
    pub(super) ts: i64,
    /// When the slate it is tested against was made: at the user's interaction before. Training on the time of
    /// the choice instead would show the model a gap that no slate can know.
    pub(super) asked_at: i64,
    pub(super) item_id: String,
    /// Its partition of `interactions`, and its place on `events`.
    pub(super) place: (i32, Position),
    /// How much it counts, by its kind.
    pub(super) weight: f32,
    /// What is left of that, where its user repeats a choice or is too fast.
    pub(super) influence: Influence,
    /// How often the item was among the last choices, with this one.
    pub(super) chosen_then: u32,
}

impl Example {
    /// The user when the slate was made.
    pub(super) fn view(&self) -> UserView<'_> {
        UserView { user: self.user, history: &self.history, ts: self.asked_at }
    }

    /// What is kept of it to be replayed.
    pub(super) fn past(&self, length: usize) -> Past {
        let Self { user, key, asked_at, weight, chosen_then, .. } = *self;
        let (history, influence) = (Past::seen_of(&self.history, length), self.influence.example);
        Past { user, history, key, asked_at, weight, influence, chosen_then }
    }
}
