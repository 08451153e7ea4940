//! Deltas that wait for the next snapshot, which would make them needless: of a long log only the last one and the
//! deltas behind it count.

use crate::walk::Version;

/// So many bytes of deltas may wait.
const HELD_BYTES: usize = 256 << 20;

/// Deltas in the order of the log.
#[derive(Debug)]
pub struct Held {
    versions: Vec<Version>,
    bytes: usize,
    most: usize,
}

impl Default for Held {
    fn default() -> Self {
        Self::at_most(HELD_BYTES)
    }
}

impl Held {
    /// So many bytes of payloads may wait.
    #[must_use]
    pub fn at_most(bytes: usize) -> Self {
        Self { versions: Vec::new(), bytes: 0, most: bytes }
    }

    /// Holds one more. Beyond the bound none waits any longer: all of them come back, to be applied.
    #[must_use]
    pub fn push(&mut self, delta: Version) -> Vec<Version> {
        self.bytes += delta.payload.len();
        self.versions.push(delta);
        if self.bytes > self.most { self.take() } else { Vec::new() }
    }

    /// All that wait, in their order; none does afterwards.
    #[must_use]
    pub fn take(&mut self) -> Vec<Version> {
        self.bytes = 0;
        std::mem::take(&mut self.versions)
    }

    /// Lets go of all that wait: a snapshot came that made them needless.
    pub fn clear(&mut self) {
        self.bytes = 0;
        self.versions.clear();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Bytes of those that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::versions;

    #[test]
    fn beyond_the_bound_all_that_waited_come_back_in_their_order() {
        let deltas: Vec<Version> = versions().into_iter().skip(1).collect();
        let two = deltas[0].payload.len() + deltas[1].payload.len();
        let mut held = Held::at_most(two);
        assert!(held.push(deltas[0].clone()).is_empty() && held.push(deltas[1].clone()).is_empty());
        assert_eq!((held.len(), held.bytes()), (2, two));
        let due: Vec<u32> = held.push(deltas[2].clone()).iter().map(|delta| delta.manifest.version.sequence).collect();
        assert_eq!((due, held.is_empty(), held.bytes()), (vec![2, 3, 4], true, 0));
    }
}
