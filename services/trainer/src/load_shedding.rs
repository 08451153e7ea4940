//! How the trainer keeps up when more comes than the network can be trained on: it trains on fewer examples. Pure.
//!
//! Every interaction is still tested, counted, paired and remembered; only encoder and ranker see a sample. The sign of
//! overload shows as full batches: more was waiting. One alone is none.

/// Full batches in a row before the first example is left out.
const PATIENCE: u32 = 8;

/// The share of examples trained on.
#[derive(Debug)]
pub(crate) struct LoadShedding {
    full: usize,
    least: f64,
    share: f64,
    in_a_row: u32,
}

impl LoadShedding {
    /// A batch of `full` interactions is full; the share never falls below `least`.
    pub(crate) fn new(full: usize, least: f64) -> Self {
        Self { full, least, share: 1.0, in_a_row: 0 }
    }

    /// The share of the examples to train on in the next batch, of `interactions`.
    pub(crate) fn share(&mut self, interactions: usize) -> f64 {
        if interactions < self.full {
            self.in_a_row = 0;
            self.share = (self.share * 2.0).min(1.0);
        } else {
            self.in_a_row += 1;
            if self.in_a_row > PATIENCE {
                self.share = (self.share / 2.0).max(self.least);
            }
        }
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_full_batch_is_no_overload_and_many_halve_the_share_down_to_the_least() {
        let mut shedding = LoadShedding::new(256, 0.2);
        let shares: Vec<f64> = (0..12).map(|_| shedding.share(256)).collect();
        assert_eq!(shares[..8], [1.0; 8]);
        assert_eq!(shares[8..], [0.5, 0.25, 0.2, 0.2]);
    }

    #[test]
    fn after_an_overload_everything_is_trained_on_again() {
        let mut shedding = LoadShedding::new(256, 0.125);
        (0..40).for_each(|_| {
            shedding.share(256);
        });
        let shares: Vec<f64> = (0..4).map(|_| shedding.share(200)).collect();
        assert_eq!(shares, [0.25, 0.5, 1.0, 1.0]);
        assert!((0..8).all(|_| shedding.share(256) == 1.0), "patience begins anew");
    }

    #[test]
    fn a_least_share_of_one_leaves_nothing_out() {
        let mut shedding = LoadShedding::new(1, 1.0);
        assert!((0..100).all(|_| shedding.share(1) == 1.0));
    }
}
