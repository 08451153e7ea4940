//! `thalweg release`: which version is served, and the operator's word on it.

mod challengers;
mod compare;
mod log;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use laboratory::output;
use laboratory::shown::plain;
use runtime::Context;
use runtime::redis::Redis;
use schemas::audit::Chain;
use schemas::control::{Action, MAX_TEXT, OPERATOR, Place, Serve};
use schemas::{Manifest, Release, Releases, Timestamp, Topics, VersionId};
use serde_json::{Value, json};
use versions::Control;

use crate::commands::said::said;
use crate::commands::{audit, checkpoints};
use crate::config::Config;
use crate::error::Error;
use log::Versions;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Shows the newest version, the one that is served, and who decided that.
    #[command(after_help = "Example: thalweg release status --json")]
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists what was decided on releases, oldest first.
    #[command(after_help = "Example: thalweg release history --limit 20")]
    History {
        /// Only the newest N decisions.
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Has scorers serve one version until `unpin`; training goes on.
    #[command(after_help = "Example: thalweg release pin 000003-00000120 --expires 2h --reason \"sale weekend\"")]
    Pin {
        /// A version such as 000003-00000120; `thalweg release rollback` lists those that stay.
        version: VersionId,
        #[command(flatten)]
        until: Until,
        #[command(flatten)]
        change: Change,
    },
    /// Lifts a pin or hold: the newest version is served again.
    #[command(after_help = "Example: thalweg release unpin --reason \"sale is over\"")]
    Unpin(Change),
    /// Goes back to a version: later ones are served no more, and training goes on from it. Without VERSION, lists what
    /// there is to go back to.
    #[command(after_help = "Example: thalweg release rollback 000003-00000120 --reason \"bad feed since noon\"")]
    Rollback {
        /// A version such as 000003-00000120.
        version: Option<VersionId>,
        #[command(flatten)]
        change: Change,
    },
    /// Has scorers stay on what is the newest version now, until `resume`; training goes on.
    #[command(after_help = "Example: thalweg release hold --reason \"audit under way\"")]
    Hold {
        #[command(flatten)]
        until: Until,
        #[command(flatten)]
        change: Change,
    },
    /// Lifts a hold or pin: the newest version is served again.
    #[command(after_help = "Example: thalweg release resume --reason \"audit is done\"")]
    Resume(Change),
    /// Makes a challenger the trainer: it goes on, under a claim of its own, with what it has learned.
    #[command(after_help = "Example: thalweg release promote gru --reason \"better for a week\"")]
    Promote {
        /// The challenger's `trainer.name`; `thalweg release status` lists the challengers there are.
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Compares two versions: figures, sizes, and the lists that each makes for the same users.
    #[command(after_help = "Example: thalweg release diff 000003-00000120 latest --user u42")]
    Diff(compare::Args),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Change {
    /// Why; it is kept with the decision.
    #[arg(long)]
    reason: Option<String>,
    /// Who decides [default: $USER].
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Change {
    /// Who decides, and why; `what` it changes, for who did not say why.
    pub(super) fn said(&self, what: &str) -> Result<(String, String), Error> {
        said(self.reason.as_ref(), self.by.as_ref(), &format!("say why by --reason: {what}"), MAX_TEXT)
    }
}

#[derive(clap::Args, Debug)]
pub(crate) struct Until {
    /// End it by itself after so long, such as 30m or 2h.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

pub(crate) async fn run(what: What, config: &Config) -> Result<ExitCode, Error> {
    match what {
        What::Status { json } => status(config, json).await?,
        What::History { limit, json } => return audit::show(config, limit, json, |e| e.subject == "release").await,
        What::Pin { version, until, change } => {
            decide(config, Action::Pin, Some(version), until.expires, change).await?;
        }
        What::Unpin(change) => decide(config, Action::Unpin, None, None, change).await?,
        What::Rollback { version: None, change } => ladder(config, change.json).await?,
        What::Rollback { version, change } => decide(config, Action::Rollback, version, None, change).await?,
        What::Hold { until, change } => decide(config, Action::Hold, None, until.expires, change).await?,
        What::Resume(change) => decide(config, Action::Resume, None, None, change).await?,
        What::Promote { name, change } => challengers::promote(name, change, config).await?,
        What::Diff(args) => compare::run(args, config).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is decided now.
async fn releases(config: &Config, ctx: &Context) -> Result<Releases, Error> {
    let control = Control::open(&config.kafka, "refused", ctx).await?;
    Ok(control.map(|control| control.releases().clone()).unwrap_or_default())
}

async fn status(config: &Config, json: bool) -> Result<(), Error> {
    let ctx = Context::new("thalweg");
    let (releases, versions) = (releases(config, &ctx).await?, log::read(config, false).await?);
    let challengers = challengers::read(config).await?;
    let newest = versions.newest();
    let (wanted, word) = match releases.serve(newest.map_or_else(VersionId::default, |m| m.version), ctx.now()) {
        Serve::Tip => (newest.map(|manifest| manifest.version), None),
        Serve::Version(place, word) => (Some(place.version), Some(word)),
    };
    // Redis is asked last, and whoever has none here still sees what Kafka says.
    let live = live(config, &ctx).await;
    if let Err(error) = &live {
        output::note(format!("what scorers serve is unknown: {}", plain(&error.told())));
    }
    let live = live.ok();
    let name = |version: Option<VersionId>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
    if json {
        let live = live.map_or(Value::Null, |live| json!(live));
        return Ok(output::json(&json!({
            "newest": newest.map(|m| m.version), "to_be_served": wanted, "live": live, "decided": word,
            "operator": releases.operator(), "gate": releases.gate(), "promotion": releases.promotion(),
            "challengers": challengers.iter().map(challengers::Challenger::json).collect::<Vec<_>>(),
        }))?);
    }
    let mut rows = vec![vec!["newest version".to_owned(), newest.map_or_else(|| "none".to_owned(), described)]];
    rows.push(vec!["to be served".to_owned(), format!("{}{}", name(wanted), word.map_or_else(String::new, told))]);
    let live = live.map_or_else(|| "unknown".to_owned(), |live| live.unwrap_or_else(|| "none".to_owned()));
    rows.push(vec!["live in Redis".to_owned(), live]);
    for (who, word) in [("operator's word", releases.operator()), ("gate's word", releases.gate())] {
        rows.push(vec![who.to_owned(), word.map_or_else(|| "none".to_owned(), sentence)]);
    }
    rows.extend(challengers.iter().map(|challenger| challenger.row(&releases)));
    output::table(&rows);
    Ok(())
}

/// The version that scorers say is live; `None` where none is.
async fn live(config: &Config, ctx: &Context) -> Result<Option<String>, Error> {
    let redis = Redis::connect(&config.redis, ctx).await?;
    let fields = redis.hgetall(&config.keys().model()).await?;
    let fields = fields.map_err(|wrong| Error::Other(format!("the key `model` is not Thalweg's: {wrong}")))?;
    Ok(fields.get("version").cloned())
}

fn described(manifest: &Manifest) -> String {
    let quality = manifest.quality.get("model").filter(|quality| quality.tested > 0);
    let hr = quality.map_or_else(String::new, |q| format!(", HR@20 {:.2} % of {}", q.hr20 * 100.0, q.tested));
    format!("{}, made {}{hr}", manifest.version, Timestamp(manifest.made_at))
}

fn told(word: &Release) -> String {
    format!(", by a {} of {}", word.action, plain(&word.by))
}

fn sentence(word: &Release) -> String {
    let Release { action, place, by, reason, at, expires, back: _, rollbacks: _ } = word;
    let place = place.map_or_else(String::new, |place| format!(" {}", place.version));
    let expires = expires.map_or_else(String::new, |end| format!(", until {}", Timestamp(end)));
    format!("{action}{place}, by {} at {}{expires}: {}", plain(by), Timestamp(*at), plain(reason))
}

/// What there is to go back to.
async fn ladder(config: &Config, json: bool) -> Result<(), Error> {
    let (versions, now) = (log::read(config, true).await?, Context::new("thalweg").now());
    let snapshots: Vec<&Manifest> = versions.snapshots().collect();
    if json {
        return Ok(output::json(&snapshots)?);
    }
    let mut rows = vec![["version", "age", "interactions", "items", "HR@20", "tested"].map(str::to_owned).to_vec()];
    for manifest in snapshots {
        let seconds = u64::try_from(now.saturating_sub(manifest.made_at) / 1_000).unwrap_or(0);
        let (hr, tested) = checkpoints::tested(manifest);
        rows.push(vec![
            manifest.version.to_string(),
            humantime::format_duration(Duration::from_secs(seconds)).to_string(),
            manifest.interactions.to_string(),
            manifest.items.map_or_else(|| "-".to_owned(), |items| items.to_string()),
            hr,
            tested.to_string(),
        ]);
    }
    output::table(&rows);
    output::note("go back to one by `thalweg release rollback VERSION --reason …`");
    Ok(())
}

/// Writes the operator's word.
async fn decide(
    config: &Config,
    action: Action,
    wanted: Option<VersionId>,
    expires: Option<Duration>,
    change: Change,
) -> Result<(), Error> {
    let (by, reason) = change.said(&format!("{action} changes what is served"))?;
    let Change { dry_run, json, .. } = change;
    let ctx = Context::new("thalweg");
    let releases = releases(config, &ctx).await?;
    if matches!(action, Action::Unpin | Action::Resume) && releases.pin(ctx.now()).is_none() {
        output::note("nothing is pinned or held; nothing was written");
        return Ok(());
    }
    let (place, epoch, empty) = match (action, wanted) {
        (Action::Unpin | Action::Resume, _) => (None, 0, None),
        (_, wanted) => {
            let versions = log::read(config, wanted.is_some()).await?;
            let asked = || wanted.map_or_else(|| "latest".to_owned(), |version| version.to_string());
            let place = match wanted {
                Some(version) => versions.place(version),
                None => held(&releases, &versions, ctx.now()),
            };
            let missing = || {
                Error::Other(format!(
                    "version {} is not on checkpoints, or what it builds on is not; `thalweg release rollback` lists \
                     what there is",
                    asked()
                ))
            };
            let place = place.ok_or_else(missing)?;
            (Some(place), versions.epoch(), versions.knows_nothing(place.version).map(|why| warning(place, why)))
        }
    };
    let (at, before) = (releases.moment(ctx.now()), releases.operator().and_then(|word| word.back));
    let back = if action == Action::Rollback { place.map(|place| releases.back_to(place, epoch, at)) } else { before };
    let expires = expires.map(|after| ctx.now().saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)));
    let mut word = Release { action, place, back, by, reason, at, expires, rollbacks: Vec::new() };
    if let Some(problem) = word.problem() {
        return Err(Error::Other(format!("it {problem}")));
    }
    if let Some(empty) = &empty {
        output::note(empty);
    }
    if !dry_run {
        if self::releases(config, &ctx).await? != releases {
            let again = "somebody else decided meanwhile: look at `thalweg release status`, and say it again";
            return Err(Error::Other(again.to_owned()));
        }
        if action == Action::Rollback {
            // To read the whole topic takes long: who claimed meanwhile does not know of this, and is to go back, too.
            let claimed = log::read(config, false).await?.epoch().max(epoch);
            word.back = place.map(|place| releases.back_to(place, claimed, at));
        }
        let producer = config.producer(&ctx)?;
        let mut chain = Chain::new(format!("thalweg-{}-{:x}", std::process::id(), at));
        let topics = Topics::new(&config.kafka.topic_prefix);
        versions::decide(&word, OPERATOR, BTreeMap::new(), &mut chain, (&producer, &topics)).await?;
    }
    if json {
        return Ok(output::json(&json!({"written": !dry_run, "release": word, "warning": empty}))?);
    }
    let done = if dry_run { "would be written" } else { "written" };
    output::line(format!("{done}: {}", sentence(&word)));
    if !dry_run {
        output::note("scorers follow within seconds; `thalweg release status` shows when");
    }
    Ok(())
}

/// What comes of serving a version that knows nothing.
fn warning(place: Place, why: &str) -> String {
    format!(
        "warning: version {} {why}: no list can be made by it. Whoever has a list keeps it, and nobody else gets one \
         until another version is served",
        place.version
    )
}

/// What a hold keeps: what is to be served now.
fn held(releases: &Releases, versions: &Versions, now: i64) -> Option<Place> {
    match releases.serve(versions.newest()?.version, now) {
        Serve::Tip => versions.place(versions.newest()?.version),
        Serve::Version(place, _) => Some(place),
    }
}
