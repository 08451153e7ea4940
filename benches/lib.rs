//! Thalweg's benchmarks: one file for each, and what they share. `README.md` says how to read them.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "measures")]

mod checkpoint;
mod error;
mod freshness;
mod gate;
mod growth;
mod ingest;
mod integrity;
mod limits;
mod log;
mod machine;
mod measure;
pub mod output;
mod promotion;
mod redis_writes;
mod report;
mod rollback;
mod rows;
mod running;
mod scoring;
mod sender;
mod servers;
mod start;
mod swap;
mod takeover;
mod training;
mod world;

pub use error::Error;
pub use measure::Size;
pub use report::Report;

/// One benchmark.
#[derive(Debug)]
pub struct Benchmark {
    /// What it is asked for by.
    pub name: &'static str,
    /// What it measures, in one line.
    pub about: &'static str,
    /// Runs it and adds its figures to the report.
    pub run: fn(Size, &mut Report) -> Result<(), Error>,
}

/// Every benchmark, in the order of the flow.
pub const ALL: [Benchmark; 16] = [
    Benchmark {
        name: "ingest",
        about: "events/s through ingest, beside librdkafka's own consumer on the same topic",
        run: ingest::run,
    },
    Benchmark {
        name: "training",
        about: "examples/s tested and trained on, by size of the micro-batch",
        run: training::run,
    },
    Benchmark {
        name: "growth",
        about: "the time of a training step and the memory of an item as the catalog grows",
        run: growth::run,
    },
    Benchmark {
        name: "gate",
        about: "what the quality gate costs a step, how soon it finds a broken learner, how often it is wrong",
        run: gate::run,
    },
    Benchmark {
        name: "integrity",
        about: "what it costs to hold a version against the one before, at 100,000 items",
        run: integrity::run,
    },
    Benchmark { name: "checkpoint", about: "how long versions take to freeze, encode and apply", run: checkpoint::run },
    Benchmark { name: "log", about: "bytes a second of the log of versions, by what is in them", run: log::run },
    Benchmark {
        name: "start",
        about: "how long a trainer and a scorer take over ten minutes of versions when they start",
        run: start::run,
    },
    Benchmark { name: "rows", about: "bytes and speed with rows in f32, f16 and int8", run: rows::run },
    Benchmark { name: "scoring", about: "slates/s by size of the catalog and of the batch", run: scoring::run },
    Benchmark {
        name: "redis",
        about: "slates written to Redis a second, beside redis-benchmark on the same server",
        run: redis_writes::run,
    },
    Benchmark {
        name: "freshness",
        about: "from event to slate and from interaction to served model, everything on this machine",
        run: freshness::run,
    },
    Benchmark {
        name: "rollback",
        about: "how long it takes from a rollback's decision to the good version in Redis",
        run: rollback::run,
    },
    Benchmark {
        name: "takeover",
        about: "how long it takes from a trainer's SIGKILL to a version of its stand-by",
        run: takeover::run,
    },
    Benchmark {
        name: "promotion",
        about: "what promoting a challenger costs the lists that are written meanwhile",
        run: promotion::run,
    },
    Benchmark { name: "swap", about: "what swapping versions in costs the lists written meanwhile", run: swap::run },
];
