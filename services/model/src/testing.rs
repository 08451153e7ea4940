//! What tests here and in other crates make: a choice as it was tested, and payloads that somebody changed. Always
//! compiled: with a feature of the tests alone, the whole workspace would be compiled once more for them.

use std::collections::{BTreeMap, HashMap};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use schemas::Kind;

use crate::{Rank, Tested};

/// Tensors by name: type, shape and bytes.
pub type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// A choice of which only the ranks are told: by learner, co-visitation and popularity, and by the anchor if
/// that was asked.
#[must_use]
pub fn tested([rank, covisitation, popularity]: [Rank; 3], anchor: Option<Rank>) -> Tested<'static> {
    Tested {
        user_id: "u",
        key: 1,
        kind: Kind::View,
        ts: 0,
        asked_at: 0,
        history: &[],
        item: None,
        slate: &[],
        rank,
        anchor,
        covisitation,
        popularity,
    }
}

/// A payload, not packed, with other metadata and tensors.
///
/// # Panics
/// Where it is none.
pub fn changed(payload: &[u8], change: impl FnOnce(&mut HashMap<String, String>, &mut Tensors)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(payload).expect("is real");
    let mut metadata = header.metadata().clone().expect("has metadata");
    let read = SafeTensors::deserialize(payload).expect("is real");
    let mut tensors: Tensors = read
        .iter()
        .map(|(name, view)| (name.to_owned(), (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut metadata, &mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name, TensorView::new(*dtype, shape.clone(), bytes).expect("fits")));
    safetensors::serialize(views, Some(metadata)).expect("serialises")
}
