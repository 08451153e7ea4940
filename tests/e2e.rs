//! What Thalweg promises, one file each: the real binaries, a broker and a Redis, good days and bad.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "waits for conditions and measures")]

mod anchor;
mod audit;
mod bad_input;
mod bounds;
mod catalog;
mod challenger;
mod checkpoints;
mod cluster;
mod crashes;
mod documents;
mod downgrade;
mod erasure;
mod erasure_challenger;
mod evictions;
mod import;
mod influence;
mod integrity;
mod items_import;
mod leaps;
mod listing;
mod loop_closes;
mod manual;
mod operator;
mod outages;
mod rebirths;
mod redis_flush;
mod redis_forgot;
mod redis_lists;
mod redis_trouble;
mod refusals;
mod releases;
mod retention;
mod rights;
mod sharing;
mod signatures;
mod slates;
mod stand_by;
mod strangers;
mod transactions;
mod watching;
