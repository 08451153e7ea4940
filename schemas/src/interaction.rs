//! What an interaction may say to those who read it: anybody may write to the topic, and no clock is to be trusted.

use prost::Message;

use crate::event::OLDEST_TS;
use crate::position::began_at;
use crate::proto::{Interaction, Kind, Source};
use crate::{MAX_ID_BYTES, Timestamp};

/// No interaction is newer than its record by more: a producer's clock and a reader's may differ, but not by a day.
const MOST_AHEAD_MS: i64 = 86_400_000;

/// No partition ever holds so many records: at a million a second that takes nine years. What claims more would silence
/// everything behind it.
const MOST_RECORDS: i64 = 1 << 48;

/// 2200-01-01T00:00:00Z in milliseconds: what is later is no time, and sums of such times would overflow.
pub const LATEST_TS: i64 = 7_258_118_400_000;

/// When a record was written to `interactions`, and by whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The partition that it was written to: that of its event.
    pub partition: i32,
    /// The record's time, milliseconds since 1970; below 0 where it has none.
    pub at: i64,
    /// Whether the broker gave it (`LogAppendTime`), and not the writer.
    pub by_broker: bool,
}

/// Why bytes on `interactions` are no interaction: ingest writes none such.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A tombstone, or no message of this type.
    #[error("it does not decode")]
    Undecodable,
    /// Without it an interaction could not be told from its repetition (I2).
    #[error("it names no place on `events` that it comes from")]
    NoSource,
    /// Ingest writes partition p of `events` to partition p of `interactions`, in a life of the topic that has begun.
    #[error("it says that it comes from {0:?}, which is no place that ingest could have read it from")]
    Foreign(Source),
    /// Nobody, or longer than any id that ingest lets through.
    #[error("its `{0}` is empty or over {MAX_ID_BYTES} bytes")]
    Id(&'static str),
    /// No kind, or one of a later release than this.
    #[error("it is of kind {0}, which this release does not know")]
    Kind(i32),
    /// Before the year 2000, or in the future of its own record.
    #[error("its time {0} cannot be")]
    Time(Timestamp),
}

impl Written {
    /// Whether ingest could have read what it wrote here from `source`.
    #[must_use]
    pub fn could_come_from(&self, source: &Source) -> bool {
        let began = i64::from(began_at(source.incarnation)).saturating_mul(1_000);
        let begun = self.at <= 0 || began <= self.at.saturating_add(MOST_AHEAD_MS);
        source.topic == 0 && source.partition == self.partition && (0..MOST_RECORDS).contains(&source.offset) && begun
    }
}

impl Interaction {
    /// When it counts as having happened, milliseconds since 1970: the earlier of what the application says and of when
    /// it arrived. So a clock that is fast gives no weight, and a recorded log keeps its own times.
    ///
    /// Whoever learns from an interaction, ranks by it or orders by it takes this time, trainer and scorer alike.
    #[must_use]
    pub fn effective_ts(&self) -> i64 {
        if self.arrived_at > 0 { self.ts.min(self.arrived_at) } else { self.ts }
    }

    /// Reads a record of `interactions`, within what ingest would have written.
    ///
    /// # Errors
    /// When it is no interaction: whoever reads it counts it and goes on.
    pub fn read(value: Option<&[u8]>, written: Written) -> Result<(Self, Source), Malformed> {
        let mut interaction = value.and_then(|value| Self::decode(value).ok()).ok_or(Malformed::Undecodable)?;
        let source = interaction.source.filter(|source| source.partition >= 0 && source.offset >= 0);
        let source = source.ok_or(Malformed::NoSource)?;
        if !written.could_come_from(&source) {
            return Err(Malformed::Foreign(source));
        }
        for (name, id) in [("user_id", &interaction.user_id), ("item_id", &interaction.item_id)] {
            if id.is_empty() || id.len() > MAX_ID_BYTES {
                return Err(Malformed::Id(name));
            }
        }
        if matches!(Kind::try_from(interaction.kind), Err(_) | Ok(Kind::Unspecified)) {
            return Err(Malformed::Kind(interaction.kind));
        }
        let latest = if written.at > 0 { written.at.saturating_add(MOST_AHEAD_MS) } else { LATEST_TS }.min(LATEST_TS);
        interaction.arrived_at = match interaction.arrived_at {
            at if written.by_broker && at >= OLDEST_TS && written.at > 0 => at.min(written.at),
            at if !written.by_broker && (OLDEST_TS..=latest).contains(&at) => at,
            _ => written.at.clamp(0, LATEST_TS), // 0 is none
        };
        let ts = interaction.effective_ts();
        if !(OLDEST_TS..=latest).contains(&ts) {
            return Err(Malformed::Time(Timestamp(interaction.ts)));
        }
        interaction.ts = interaction.ts.min(latest); // what comes out of here holds no time that could overflow
        Ok((interaction, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const BY_BROKER: Written = Written { partition: 3, at: NOW, by_broker: true };
    const BY_WRITER: Written = Written { partition: 3, at: NOW, by_broker: false };

    fn view(ts: i64, arrived_at: i64) -> Interaction {
        Interaction {
            user_id: "u".into(),
            item_id: "i".into(),
            kind: Kind::View.into(),
            ts,
            arrived_at,
            source: Some(Source { partition: 3, offset: 7, ..Source::default() }),
            ..Interaction::default()
        }
    }

    fn read(interaction: &Interaction, written: Written) -> Result<Interaction, Malformed> {
        Interaction::read(Some(&interaction.encode_to_vec()), written).map(|(interaction, _)| interaction)
    }

    #[test]
    fn a_record_time_in_seconds_or_of_the_first_days_of_clocks_is_no_time_of_arrival() {
        for arrived_at in [1, NOW / 1_000, OLDEST_TS - 1] {
            for written in [BY_BROKER, BY_WRITER] {
                assert_eq!(read(&view(NOW, arrived_at), written).map(|read| read.effective_ts()), Ok(NOW));
            }
        }
    }

    #[test]
    fn an_event_counts_at_the_earlier_of_its_own_time_and_its_arrival() {
        assert_eq!(view(NOW + 3_540_000, NOW).effective_ts(), NOW, "a clock that is 59 minutes fast");
        assert_eq!(view(NOW - 5, NOW).effective_ts(), NOW - 5);
        assert_eq!(view(1_500_000_000_000, NOW).effective_ts(), 1_500_000_000_000, "a recorded log has its own times");
        assert_eq!(view(NOW, 0).effective_ts(), NOW, "an arrival that nobody knows decides nothing");
    }

    #[test]
    fn a_place_that_ingest_could_not_have_read_from_is_foreign() {
        let life = |seconds| crate::position::incarnation(seconds, 7);
        let ours = Source { partition: 3, offset: 7, topic: 0, incarnation: life(1_699_999_000) };
        let foreign = [
            Source { offset: 1 << 62, ..ours },
            Source { offset: i64::MAX, ..ours },
            Source { partition: 2, ..ours },
            Source { topic: 1, ..ours },
            Source { incarnation: u64::MAX, ..ours },
            Source { incarnation: life(1_700_200_000), ..ours },
        ];
        for source in foreign {
            let interaction = Interaction { source: Some(source), ..view(NOW, NOW) };
            assert_eq!(read(&interaction, BY_BROKER), Err(Malformed::Foreign(source)));
        }
        for source in
            [Source { offset: -1, ..ours }, Source { offset: i64::MIN, ..ours }, Source { partition: -1, ..ours }]
        {
            let interaction = Interaction { source: Some(source), ..view(NOW, NOW) };
            assert_eq!(read(&interaction, BY_BROKER), Err(Malformed::NoSource));
        }
        assert!(read(&Interaction { source: Some(ours), ..view(NOW, NOW) }, BY_BROKER).is_ok());
    }

    #[test]
    fn what_ingest_writes_is_read_as_it_was_written() {
        for written in [BY_BROKER, BY_WRITER, Written { partition: 3, at: -1, by_broker: false }] {
            let interaction = view(NOW - 10, NOW - 5);
            assert_eq!(read(&interaction, written), Ok(interaction));
        }
    }

    #[test]
    fn whoever_writes_to_interactions_cannot_claim_a_time_that_was_not_yet() {
        let forged = view(i64::MAX, i64::MAX);
        assert_eq!(read(&forged, BY_BROKER).expect("is read").effective_ts(), NOW, "the broker knows when");
        // A writer's clock is no proof, but bounds what it may say; an arrival that cannot be is the record's.
        assert_eq!(read(&forged, BY_WRITER).expect("is read").effective_ts(), NOW);
        assert_eq!(read(&forged, BY_WRITER).expect("is read").ts, NOW + MOST_AHEAD_MS, "sums of it do not overflow");
        let without = Written { partition: 3, at: -1, by_broker: false };
        assert_eq!(read(&forged, without), Err(Malformed::Time(Timestamp(i64::MAX))));
        assert_eq!(read(&view(NOW, i64::MIN), BY_WRITER).expect("is read").arrived_at, NOW);
    }

    #[test]
    fn what_ingest_would_not_write_is_no_interaction() {
        let good = || view(NOW, NOW);
        let long = || "x".repeat(MAX_ID_BYTES + 1);
        let at = |partition, offset| Some(Source { partition, offset, ..Source::default() });
        let cases = [
            (Interaction { user_id: String::new(), ..good() }, Malformed::Id("user_id")),
            (Interaction { user_id: long(), ..good() }, Malformed::Id("user_id")),
            (Interaction { item_id: String::new(), ..good() }, Malformed::Id("item_id")),
            (Interaction { item_id: long(), ..good() }, Malformed::Id("item_id")),
            (Interaction { kind: 0, ..good() }, Malformed::Kind(0)),
            (Interaction { kind: -7, ..good() }, Malformed::Kind(-7)),
            (Interaction { kind: 99, ..good() }, Malformed::Kind(99)),
            (Interaction { source: None, ..good() }, Malformed::NoSource),
            (Interaction { source: at(-1, 7), ..good() }, Malformed::NoSource),
            (Interaction { source: at(0, -7), ..good() }, Malformed::NoSource),
            (view(i64::MIN, NOW), Malformed::Time(Timestamp(i64::MIN))),
            (view(0, NOW), Malformed::Time(Timestamp(0))),
        ];
        for (interaction, why) in cases {
            assert_eq!(read(&interaction, BY_BROKER), Err(why));
        }
        assert_eq!(Interaction::read(None, BY_BROKER), Err(Malformed::Undecodable));
        assert_eq!(Interaction::read(Some(b"\xff\xff"), BY_BROKER), Err(Malformed::Undecodable));
    }
}
