//! `thalweg evaluate`: tests and trains on a recorded log without Kafka, by the code that trainer and scorer run.

use clap::Subcommand;
use laboratory::evaluate::{ader, prequential};

use crate::config::TRAINER;

#[derive(Subcommand, Debug)]
pub(crate) enum How {
    /// One pass in order of events: predicts each interaction, then learns from it; compares with baselines.
    #[command(after_help = "Example: thalweg evaluate prequential clicks.csv.gz \
        --columns user=session_id,item=article_id,time=timestamp --methods popularity,covisitation --json\n\n\
        Cold start by content: thalweg evaluate prequential orders.csv --catalog from-start \
        --columns user=customer,item=sku,time=at,title=name,category=path,brand=brand,price=price")]
    Prequential(Box<prequential::Args>),
    /// The ADER protocol: learns block after block, and predicts each block from the blocks before it.
    #[command(after_help = "Example: thalweg evaluate ader ader-diginetica --report ader.html")]
    Ader(ader::Args),
}

pub(crate) fn run(how: &How) -> Result<(), laboratory::Error> {
    match how {
        How::Prequential(args) => prequential::run(args, &TRAINER),
        How::Ader(args) => ader::run(args, &TRAINER),
    }
}
