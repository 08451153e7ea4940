//! When the trainer calls itself caught up: once it was, it stays so, for a rush of events is no reason to restart it.

/// The condition `caught-up`.
#[derive(Debug)]
pub(crate) struct CaughtUp {
    ready_lag: i64,
    once: bool,
}

impl CaughtUp {
    /// Caught up at `ready_lag` messages behind or fewer.
    pub(crate) fn new(ready_lag: i64) -> Self {
        Self { ready_lag, once: false }
    }

    /// The condition, with `lag` messages to read.
    pub(crate) fn state(&mut self, lag: i64) -> Result<(), String> {
        self.once |= lag <= self.ready_lag;
        if self.once { Ok(()) } else { Err(format!("{lag} messages behind, ready at {}", self.ready_lag)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_ready_while_far_behind_and_ready_for_good_once_caught_up() {
        let mut caught_up = CaughtUp::new(1_000);
        assert_eq!(caught_up.state(1_001), Err("1001 messages behind, ready at 1000".into()));
        assert_eq!(caught_up.state(1_000), Ok(()));
        assert_eq!(caught_up.state(50_000), Ok(()));
    }
}
