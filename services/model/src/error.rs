//! What can be wrong with a model, a payload or its settings.

use schemas::checkpoint::shown;

use crate::settings::Shape;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A payload's bytes are no safetensors file.
    #[error("the payload is no safetensors file: {0}")]
    Safetensors(String),
    /// A payload cannot be packed or unpacked.
    #[error("the payload is not packed as it should be: {0}")]
    Packed(std::io::Error),
    /// A tensor that a payload must hold is not there or has another type or shape.
    #[error("tensor `{tensor}` of the payload {problem}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A delta does not build on the version it is applied to.
    #[error("version {version} builds on {parent}, but {live} is here; wait for the next snapshot")]
    Parent {
        /// The delta's version.
        version: String,
        /// What it builds on.
        parent: String,
        /// What it was applied to.
        live: String,
    },
    /// A version of a shop that had items has none.
    #[error("it knows no item, and the live version does")]
    Empty,
    /// It can be used, and yet no honest learner has come to it from the version before.
    #[error("it is doubted: {0}")]
    Doubted(crate::version::integrity::Doubt),
    /// The payload's metadata is not as this program writes it.
    #[error("the payload's metadata is not readable: {0}")]
    Metadata(String),
    /// The settings ask for another network than the version is of.
    #[error(
        "the newest version is of another network: set {0} to go on from it; or, to learn anew from the oldest interaction \
         that is still there, set trainer.anew = true"
    )]
    Shape(Shape),
    /// The version holds vectors and no rows.
    #[error("a scorer holds its version to serve only; `thalweg checkpoints export` reads one that is whole")]
    ServesOnly,
    /// The optimiser's state does not load.
    #[error("the optimiser's state does not load ({0}): set trainer.anew = true to learn anew without it")]
    Optimizer(String),
    /// The device is not known or not compiled in.
    #[error("{0}")]
    Device(String),
}

impl Error {
    /// Says what is wrong with a tensor.
    pub(crate) fn tensor(tensor: &str, problem: impl Into<String>) -> Self {
        Self::Tensor { tensor: shown(tensor), problem: problem.into() }
    }
}

/// Its text may name tensors as a stranger wrote them.
impl From<safetensors::SafeTensorError> for Error {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::Safetensors(shown(&error.to_string()))
    }
}
