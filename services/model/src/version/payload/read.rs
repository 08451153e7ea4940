//! A payload, opened: its metadata, its tensors by type, and its dense weights.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use schemas::checkpoint::{Manifest, PayloadKind, shown};
use serde_json::Value;

use super::weights::size_of_steps;
use super::{MANIFEST, METADATA, Metadata};
use crate::error::Error;
use crate::knowledge::Knowledge;
use crate::network::dense::{self, Array, Arrays};
use crate::network::trainable::OptimizerStates;
use crate::settings::Settings;

/// A setting that is read and written no more.
const GONE: &str = "exclude_purchased";

/// The longest header: sixty tensors and the settings take some 8 KB.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Rows of items and their content as one.
pub(super) const SUM: &str = "items.sum";

/// What a payload says about itself, without settings of a later release: whatever changes the meaning of those that we
/// know raises the manifest's `v`. An operator's file is read strictly, for there a name that nobody knows is a slip.
fn known(mut metadata: Value) -> Value {
    if let Some(settings) = metadata.get_mut("settings")
        && let Ok(ours) = serde_json::to_value(Settings::default())
    {
        keep(settings, &ours);
    }
    metadata
}

/// Keeps what `ours` has, too, and what versions of before had.
fn keep(theirs: &mut Value, ours: &Value) {
    let (Value::Object(theirs), Value::Object(ours)) = (theirs, ours) else { return };
    theirs.retain(|name, _| ours.contains_key(name) || name == GONE);
    for (name, theirs) in theirs {
        if let Some(ours) = ours.get(name) {
            keep(theirs, ours);
        }
    }
}

/// A payload's bytes, opened.
#[derive(Debug)]
pub struct Payload<'a> {
    tensors: SafeTensors<'a>,
    pub(crate) metadata: Metadata,
    /// As it lies there, where the payload is an export's.
    pub(super) manifest: Option<String>,
}

impl<'a> Payload<'a> {
    /// Opens a payload.
    ///
    /// # Errors
    /// When the bytes are no safetensors file or carry no metadata of ours.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        // What is read of the header takes several times its size.
        if bytes.first_chunk().is_some_and(|length| u64::from_le_bytes(*length) > MAX_HEADER_BYTES) {
            return Err(Error::Metadata("it is longer than any that Thalweg writes".into()));
        }
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let texts = header.metadata().as_ref();
        let text = texts
            .and_then(|texts| texts.get(METADATA))
            .ok_or_else(|| Error::Metadata("it was not written by Thalweg".into()))?;
        let manifest = texts.and_then(|texts| texts.get(MANIFEST)).cloned();
        let unreadable = |e: serde_json::Error| Error::Metadata(shown(&e.to_string()));
        let metadata = serde_json::from_value(known(serde_json::from_str(text).map_err(unreadable)?));
        let metadata = metadata.map_err(unreadable)?;
        Ok(Self { tensors: SafeTensors::deserialize(bytes)?, metadata, manifest })
    }

    /// Looks whether whoever reads the version will take it, under the manifest that it is to have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, manifest: &Manifest) -> Result<(), Error> {
        match manifest.problem() {
            Some(problem) => Err(Error::Metadata(format!("its manifest {problem}"))),
            None => self.check(Some(manifest)),
        }
    }

    /// Names, types and shapes, for people.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String, Vec<usize>)> {
        let mut all: Vec<_> = self
            .tensors
            .iter()
            .map(|(name, view)| (shown(name), format!("{:?}", view.dtype()), view.shape().to_vec()))
            .collect();
        all.sort();
        all
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'a>, Error> {
        self.tensors.tensor(name).map_err(|_| Error::tensor(name, "is missing"))
    }

    /// The type of a tensor that must be there.
    pub(crate) fn dtype(&self, name: &str) -> Result<Dtype, Error> {
        Ok(self.tensor(name)?.dtype())
    }

    /// What holds the items' rows; a delta may have them and their content as one.
    pub(super) fn name_of_rows(&self) -> &'static str {
        if self.metadata.kind == PayloadKind::Delta && self.holds(SUM) { SUM } else { "items.row" }
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.dtype(name).is_ok()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names().into_iter()
    }

    /// A tensor's values as they lie there.
    pub(super) fn raw<const N: usize>(&self, name: &str, dtype: Dtype) -> Result<&'a [[u8; N]], Error> {
        let (values, rest) = self.data(name, dtype)?.as_chunks::<N>();
        debug_assert!(rest.is_empty(), "safetensors checks lengths against types");
        Ok(values)
    }

    pub(super) fn data(&self, name: &str, dtype: Dtype) -> Result<&'a [u8], Error> {
        let view = self.tensor(name)?;
        if view.dtype() != dtype {
            return Err(Error::tensor(name, format!("is {:?}, not {dtype:?}", view.dtype())));
        }
        Ok(view.data())
    }

    pub(crate) fn column<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        of: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        Ok(self.raw(name, dtype)?.iter().map(|value| of(*value)).collect())
    }

    /// The arrays under a prefix: as they are, or so many steps away from where `before` has them.
    fn arrays(&self, prefix: &str, before: impl Fn() -> Arrays) -> Result<Arrays, Error> {
        let mut known: Option<Arrays> = None;
        let mut arrays = Arrays::new();
        for name in self.tensors.names() {
            let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')) else { continue };
            let array = if self.dtype(name)? == Dtype::I8 {
                let steps = self.column(name, Dtype::I8, i8::from_le_bytes)?;
                let sizes = self.column(&size_of_steps(prefix, path), Dtype::F32, f32::from_le_bytes)?;
                let before = known.get_or_insert_with(&before).get(path);
                let moved = before.and_then(|before| before.moved_by(&steps, &sizes));
                moved.ok_or_else(|| Error::tensor(name, "moves what the version before does not have"))?
            } else {
                let values = self.column(name, Dtype::F32, f32::from_le_bytes)?;
                Array { shape: self.tensor(name)?.shape().to_vec(), values }
            };
            arrays.insert(path.to_owned(), array);
        }
        Ok(arrays)
    }

    /// Dense weights: the encoder's and the ranker's. Where it holds what they moved by, `knowledge` is the version
    /// before.
    pub(crate) fn dense(&self, knowledge: &Knowledge) -> Result<(Arrays, Arrays), Error> {
        let encoder = self.arrays("encoder", || dense::export(knowledge.encoder()))?;
        Ok((encoder, self.arrays("ranker", || dense::export(knowledge.ranker()))?))
    }

    /// The optimisers' states; `None` where those of the version before go on.
    pub(crate) fn optimizers(&self) -> Result<Option<OptimizerStates>, Error> {
        if self.metadata.kind == PayloadKind::Delta && !self.holds("optimizer.encoder") {
            return Ok(None);
        }
        let bytes = |name| Ok::<_, Error>(self.data(name, Dtype::U8)?.to_vec());
        Ok(Some(OptimizerStates { encoder: bytes("optimizer.encoder")?, ranker: bytes("optimizer.ranker")? }))
    }
}

/// Refuses a tensor of another length.
pub(crate) fn same_length(name: &str, got: usize, expected: usize) -> Result<(), Error> {
    if got == expected {
        return Ok(());
    }
    Err(Error::tensor(name, format!("has {got} values, not {expected}")))
}
