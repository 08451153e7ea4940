//! Rows of items and of the content that they share.

use std::sync::Arc;

use super::{ContentRow, Knowledge};

impl Knowledge {
    /// The sum of an item's content rows over the root of their number; `None` when it has no content.
    pub(crate) fn content_sum(&self, features: &[u64]) -> Option<Vec<f32>> {
        if features.is_empty() {
            return None;
        }
        let mut sum = vec![0.0; self.items.dim()];
        for row in features.iter().filter_map(|feature| self.content.get(feature)) {
            sum.iter_mut().zip(&row.row).for_each(|(s, x)| *s += x);
        }
        #[allow(clippy::cast_precision_loss)] // at most 24
        let scale = (features.len() as f32).sqrt().recip();
        sum.iter_mut().for_each(|s| *s *= scale);
        Some(sum)
    }

    /// Changes an item's own row and accumulator, sets its content sum (`None`: it has none), and renews its unit
    /// vector.
    pub(crate) fn set_row(&mut self, slot: u32, content: Option<&[f32]>, change: impl FnOnce(&mut [f32], &mut f32)) {
        self.items.set_row(slot, content, change);
    }

    /// A content feature comes.
    pub(crate) fn insert_content(&mut self, feature: u64, row: ContentRow) {
        self.content.insert(feature, Arc::new(row));
    }

    /// Changes the row and accumulator of a content feature, where it is known.
    pub(crate) fn train_content(&mut self, feature: u64, change: impl FnOnce(&mut [f32], &mut f32)) {
        if let Some(content) = self.content.get_mut(&feature) {
            let ContentRow { row, accumulator } = Arc::make_mut(content);
            change(row, accumulator);
        }
    }

    /// A content feature goes; whether it was known.
    pub(crate) fn free_content(&mut self, feature: u64) -> bool {
        self.content.remove(&feature).is_some()
    }
}
