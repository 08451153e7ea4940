//! Which network reads a user's history.

use serde::{Deserialize, Serialize};

/// What reads a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A layer of softmax attention, as in `SASRec`.
    #[default]
    Attention,
    /// A sum of the items' own vectors, weighed by attention.
    Pooling,
    /// Pointwise attention, as in HSTU.
    Hstu,
    /// A gated recurrent unit, as in `GRU4Rec`.
    Gru,
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}
