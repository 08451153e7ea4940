//! A version: in service, frozen on its way out, and as the payload that carries it.

pub(crate) mod frozen;
mod manifest;
pub(crate) mod payload;
pub(crate) mod served;
