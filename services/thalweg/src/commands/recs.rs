//! `thalweg recs`: a user's slate as services read it, and why each item is there.

pub(super) mod explain;

use std::process::ExitCode;

use laboratory::output;
use laboratory::shown;
use runtime::Context;
use runtime::redis::Redis;
use schemas::{Slate, Timestamp};

use crate::config::Config;
use crate::error::Error;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The user's id.
    user: String,
    /// Print the list as JSON: the user's list, or `hot` if there is none; `hot` has an empty `source`, and stderr says
    /// so.
    #[arg(long)]
    json: bool,
    /// Rank again by the version that made the list, and show the features that moved each item most. Reads the topics
    /// `checkpoints` and `items`.
    #[arg(long)]
    explain: bool,
}

pub(crate) async fn run(args: Args, config: &Config) -> Result<ExitCode, Error> {
    let redis = Redis::connect(&config.redis, &Context::new("thalweg")).await?;
    let keys = config.keys();
    let (own, hot) = (keys.recs(&args.user), keys.hot(None));
    let values = redis.get_many(&[own.clone(), hot.clone()]).await?;
    let mut found = None;
    for (value, key) in values.into_iter().zip([own, hot]) {
        match value {
            Ok(value) => found = found.or(value.map(|value| (value, key))),
            Err(wrong) => {
                output::note(format!("{key} is not Thalweg's: {wrong}; delete it, or use another key prefix"));
            }
        }
    }
    let Some((value, key)) = found else {
        output::note(format!(
            "no list for {} and no `hot` list: is a scorer running with the same key prefix, and is a model live?",
            shown::plain(&args.user)
        ));
        return Ok(ExitCode::FAILURE);
    };
    let slate = Slate::decode(&value)?;
    if key == keys.hot(None) {
        output::note(format!("no list for {}: this is what is hot, which unknown users get", shown::plain(&args.user)));
    }
    if args.explain {
        let user = (key == keys.recs(&args.user)).then_some(args.user.as_str());
        explain::run(user, &slate, &redis, config, args.json).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        output::json(&slate)?;
        return Ok(ExitCode::SUCCESS);
    }
    let through = if slate.source.is_empty() { String::new() } else { format!("  through {}", slate.source) };
    output::line(shown::plain(&format!("{key}  model {}{through}  made {}", slate.model, Timestamp(slate.made_at))));
    let mut rows = vec![["", "item", "score", "from", "because"].map(str::to_owned).to_vec()];
    for (n, entry) in slate.items.iter().enumerate() {
        let because = entry.because.join(", ");
        rows.push(vec![
            (n + 1).to_string(),
            entry.id.clone(),
            format!("{:.3}", entry.score),
            entry.from.clone(),
            because,
        ]);
    }
    output::table(&rows);
    Ok(ExitCode::SUCCESS)
}
