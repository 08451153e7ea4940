//! Dice of the synthetic shop: skewed choices that cost O(1) and no table.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A rank below `n`; rank r comes about as often as 1/(r+1), as in Zipf's law: the logarithm of the rank is uniform.
pub(super) fn rank(rng: &mut ChaCha8Rng, n: usize) -> usize {
    let drawn = ((n + 1) as f64).powf(rng.random::<f64>());
    (drawn as usize).clamp(1, n.max(1)) - 1
}

/// An index into `shares`, which sum to 1, by its share.
pub(super) fn by_share(rng: &mut ChaCha8Rng, shares: &[f64]) -> usize {
    let mut left: f64 = rng.random();
    for (index, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return index;
        }
    }
    shares.len() - 1
}

/// Any element, or `None` of nothing.
pub(super) fn any<T: Copy>(rng: &mut ChaCha8Rng, of: &[T]) -> Option<T> {
    (!of.is_empty()).then(|| of[rng.random_range(0..of.len())])
}
