//! A version: in service, frozen on its way out, and as the payload that carries it.

pub(crate) mod frozen;
pub(crate) mod integrity;
mod manifest;
pub(crate) mod payload;
pub(crate) mod served;
