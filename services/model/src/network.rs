//! What has tensors: the encoder of users, its training, and dense weights as named arrays.

pub(crate) mod dense;
pub(crate) mod encoder;
pub(crate) mod trainable;
