//! `thalweg guard`: the users from whom the trainer learns nothing, because they are faster than people.

use clap::Subcommand;
use laboratory::output;
use schemas::checkpoint::{Guarded, GuardedUser};
use schemas::{Manifest, Timestamp, UserKey};
use serde_json::{Value, json};
use versions::{Step, Version};

use crate::commands::checkpoints::go_through;
use crate::config::Config;
use crate::error::Error;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Shows the users from whom nothing was learned in the last hour of event time, the busiest first. A version names
    /// them by the hash of their id; ask for one by --user.
    #[command(after_help = "Example: thalweg guard show --user u42")]
    Show {
        /// Only this user.
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(what: What, config: &Config) -> Result<(), Error> {
    let What::Show { user, json } = what;
    let manifest = newest(config).await?;
    let Some(guarded) = &manifest.guarded else {
        return Err(Error::Other(format!(
            "whom the trainer guards against is unknown: version {} does not say. Its trainer has \
             model.guard.rate = 0, or is of a release before there was a guard",
            manifest.version
        )));
    };
    match user {
        None => everybody(&manifest, guarded, json),
        Some(id) => one(&manifest, guarded, config.secret().key(&id), json),
    }
}

/// The newest version.
async fn newest(config: &Config) -> Result<Manifest, Error> {
    let mut newest = None;
    for whole in [false, true] {
        let walked = go_through(config, whole, |step| {
            if let Step::Whole(Version { manifest, .. }) = step {
                newest = Some(manifest);
            }
            Ok(true)
        })
        .await?;
        if walked.whole || newest.is_some() {
            break;
        }
    }
    newest.ok_or_else(|| Error::Other("there is no version on checkpoints yet: start the trainer".to_owned()))
}

fn everybody(manifest: &Manifest, guarded: &Guarded, json: bool) -> Result<(), Error> {
    if json {
        let told = json!({"version": manifest.version, "event_ts": manifest.event_ts, "guarded": guarded});
        return Ok(output::json(&told)?);
    }
    if guarded.users == 0 {
        output::note(format!("nobody was guarded against in the hour before {}", Timestamp(manifest.event_ts)));
        return Ok(());
    }
    table(&guarded.most);
    let left_out = (guarded.users as usize).saturating_sub(guarded.most.len());
    if left_out > 0 {
        output::note(format!("{left_out} users with fewer interactions are not listed"));
    }
    Ok(())
}

fn one(manifest: &Manifest, guarded: &Guarded, user: UserKey, json: bool) -> Result<(), Error> {
    let found = guarded.most.iter().find(|known| known.user == user);
    // A version names the busiest alone.
    let unknown = found.is_none() && guarded.users as usize > guarded.most.len();
    if json {
        let is_guarded = if unknown { Value::Null } else { json!(found.is_some()) };
        let told = json!({
            "version": manifest.version, "event_ts": manifest.event_ts, "user": user.to_string(),
            "is_guarded": is_guarded, "guarded": found,
        });
        return Ok(output::json(&told)?);
    }
    match found {
        Some(known) => {
            table(&[*known]);
        }
        None if unknown => output::note(format!(
            "unknown: the version names the {} busiest of {}, and this user, {user}, is not among them",
            guarded.most.len(),
            guarded.users
        )),
        None => output::note(format!(
            "this user, {user}, was not guarded against in the hour before {}",
            Timestamp(manifest.event_ts)
        )),
    }
    Ok(())
}

fn table(users: &[GuardedUser]) {
    let time = |ms: i64| Timestamp(ms).to_string();
    let mut rows = vec![["user (hash)", "interactions", "since", "last"].map(str::to_owned).to_vec()];
    rows.extend(users.iter().map(|GuardedUser { user, since, last, interactions }| {
        vec![user.to_string(), interactions.to_string(), time(*since), time(*last)]
    }));
    output::table(&rows);
}
