use super::*;

fn entry(key: u64) -> Entry {
    Entry::new(key, "i".into(), 0)
}

#[test]
fn a_slot_is_used_again_and_old_versions_keep_theirs() {
    let mut items = Items::new(8, BLOCK);
    let slot = items.insert(entry(1));
    items.set_row(slot, None, |row, _| row.fill(2.0));
    let before = items.clone();
    items.remove(1);
    assert_eq!(items.insert(entry(2)), slot);
    assert!(items.vector(slot).iter().all(|x| *x == 0.0));
    assert!((before.vector(slot)[0] - 8.0_f32.sqrt().recip()).abs() < 1e-6);
    assert_eq!(before.get(1).map(|e| e.key), Some(1));
}

#[test]
fn the_table_grows_by_blocks_and_finds_everything_again() {
    let mut items = Items::new(8, BLOCK);
    for key in 0..1_000 {
        items.insert(entry(key));
    }
    assert_eq!(items.len(), 1_000);
    assert_eq!(items.blocks().len(), 1_000_usize.div_ceil(BLOCK));
    assert!((0..1_000).all(|key| items.get(key).is_some_and(|e| e.key == key)));
}

#[test]
fn every_item_is_found_again_when_the_front_grows_or_shrinks() {
    let mut items = Items::new(8, 2 * BLOCK);
    (0..300).for_each(|key| {
        items.insert(entry(key));
    });
    let slots: Vec<_> = (0..300).map(|key| items.slot(key)).collect();
    for hot in [BLOCK, 5 * BLOCK, 3 * BLOCK] {
        items.set_hot(hot);
        assert_eq!((0..300).map(|key| items.slot(key)).collect::<Vec<_>>(), slots);
        assert_eq!((items.len(), items.hot_len()), (300, hot.min(300)));
        assert_eq!((items.index.hot.len(), items.index.rest.len()), (hot.min(300), 300 - hot.min(300)));
    }
    (0..300).for_each(|key| drop(items.remove(key)));
    assert_eq!(items.len(), 0);
}

#[test]
fn the_items_met_last_stand_in_the_front() {
    let mut items = Items::new(8, BLOCK);
    for key in 0..200_u64 {
        let slot = items.insert(Entry { sightings: 1, ..Entry::new(key, "i".into(), key as i64) });
        items.set_row(slot, None, |row, accumulator| (row[0], row[1], *accumulator) = (1.0, key as f32, 5.0));
        items.promote(slot);
    }
    let in_front = |items: &Items| {
        let mut keys: Vec<u64> = items.front_blocks().flat_map(|b| b.keys().map(|(_, key)| key)).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(in_front(&items), (136..200).collect::<Vec<_>>());
    // One from the back is seen again: it changes places with the one seen longest ago.
    let back = items.slot(7).expect("known");
    items.update(back, |entry| entry.last_ts = 1_000);
    assert_eq!(items.promote(back).1, Some(136));
    let moved = items.slot(7).expect("known");
    assert!((moved as usize) < BLOCK && items.row(moved).accumulator == 5.0);
    assert_eq!(items.row(moved).row[..2], [1.0, 7.0]);
    // A free place in the hot set is taken before anybody has to leave.
    items.remove(7);
    assert_eq!(items.promote(items.slot(136).expect("known")), (moved, None));
    assert_eq!(in_front(&items), (136..200).collect::<Vec<_>>());
    assert_eq!(items.len(), 199);
    assert_eq!((items.index.hot.len(), items.index.rest.len()), (BLOCK, 199 - BLOCK));
    // A new record waits behind everything that was ever met.
    let slot = items.insert(Entry::new(900, "i".into(), 9_000));
    assert_eq!(items.promote(slot), (slot, None));
}
