//! The best of many scores, a few at a time.

/// Items with their scores, best first.
pub type Ranked = Vec<(u64, f32)>;

/// Collects the `k` best; equal scores by key, so that a replay repeats itself. What is no number is never named.
#[derive(Debug)]
pub(super) struct Best {
    k: usize,
    sorted: Ranked,
}

impl Best {
    pub(super) fn new(k: usize) -> Self {
        Self { k, sorted: Vec::with_capacity(k + 1) }
    }

    /// What a score must reach to matter.
    pub(super) fn least(&self) -> f32 {
        if self.sorted.len() < self.k { f32::NEG_INFINITY } else { self.sorted[self.k - 1].1 }
    }

    pub(super) fn offer(&mut self, key: u64, score: f32) {
        let full = self.sorted.len() == self.k;
        if score.is_nan() || full && self.sorted.last().is_some_and(|last| !before((key, score), *last)) {
            return;
        }
        let at = self.sorted.partition_point(|other| before(*other, (key, score)));
        self.sorted.insert(at, (key, score));
        self.sorted.truncate(self.k);
    }

    pub(super) fn of(k: usize, scored: impl IntoIterator<Item = (u64, f32)>) -> Ranked {
        let mut best = Self::new(k);
        scored.into_iter().for_each(|(key, score)| best.offer(key, score));
        best.sorted
    }

    pub(super) fn into_sorted(self) -> Ranked {
        self.sorted
    }
}

fn before(a: (u64, f32), b: (u64, f32)) -> bool {
    a.1 > b.1 || a.1 == b.1 && a.0 < b.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_equals_by_key() {
        let scored = [(5, 1.0), (4, 3.0), (3, 1.0), (2, f32::NAN), (1, 0.5)];
        assert_eq!(Best::of(3, scored), [(4, 3.0), (3, 1.0), (5, 1.0)]);
        let mut reversed = scored;
        reversed.reverse();
        assert_eq!(Best::of(3, reversed), Best::of(3, scored));
        assert_eq!(Best::of(9, scored).len(), 4);
    }
}
