//! Slates that have to be made anew although their users did nothing: first come, first served, at a bounded rate.
//! Pure.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Users in line, each once: at most as many as are held in memory, and ten thousand found in Redis.
#[derive(Debug)]
pub(crate) struct SlateQueue {
    line: VecDeque<Arc<str>>,
    waiting: HashSet<Arc<str>>,
    per_second: f64,
    allowance: f64,
    counted: Instant,
}

impl SlateQueue {
    /// Lets `per_second` users through.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let (line, waiting) = (VecDeque::new(), HashSet::new());
        Self { line, waiting, per_second: f64::from(per_second), allowance: 0.0, counted: now }
    }

    /// Puts users in line who are not.
    pub(crate) fn extend(&mut self, users: impl IntoIterator<Item = Arc<str>>) {
        for user in users {
            if self.waiting.insert(Arc::clone(&user)) {
                self.line.push_back(user);
            }
        }
    }

    /// The next users, as many as the rate allows but at most `most`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and a setting
    pub(crate) fn take(&mut self, most: usize, now: Instant) -> Vec<Arc<str>> {
        let since = now.duration_since(self.counted).as_secs_f64();
        self.counted = now;
        // A second's worth at most is saved up.
        self.allowance = (self.allowance + since * self.per_second).min(self.per_second.max(1.0));
        let count = (self.allowance as usize).min(most).min(self.line.len());
        self.allowance -= count as f64;
        let users: Vec<_> = self.line.drain(..count).collect();
        for user in &users {
            self.waiting.remove(user);
        }
        users
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn users(count: usize) -> impl Iterator<Item = Arc<str>> {
        (0..count).map(|n| Arc::from(format!("u{n}")))
    }

    #[test]
    fn a_user_stands_in_line_once() {
        let mut renewals = SlateQueue::new(10, Instant::now());
        renewals.extend(users(3));
        renewals.extend(users(4));
        assert_eq!(renewals.len(), 4);
    }

    #[test]
    fn the_rate_is_kept_and_no_more_than_a_second_is_saved_up() {
        let start = Instant::now();
        let mut renewals = SlateQueue::new(100, start);
        renewals.extend(users(1_000));
        assert_eq!(renewals.take(500, start).len(), 0);
        assert_eq!(renewals.take(500, start + Duration::from_millis(250)).len(), 25);
        assert_eq!(renewals.take(500, start + Duration::from_secs(60)).len(), 100);
        assert_eq!(renewals.take(7, start + Duration::from_secs(61)).len(), 7, "a batch has its own bound");
        assert_eq!(renewals.len(), 1_000 - 132);
    }
}
