//! `thalweg recs --explain`: a list ranked again by the version that made it, and what moved each item most.

use laboratory::output;
use laboratory::shown;
use model::{Catalog, Explained, Model, RowEncoding, Seen, UserView};
use runtime::Context;
use runtime::kafka::{Reader, StartAt};
use runtime::redis::Redis;
use schemas::item::{Fold, read};
use schemas::{Slate, Topic, UserKey, VersionId};
use serde_json::{Value, json};
use versions::profile;

use crate::commands::checkpoints;
use crate::config::Config;
use crate::error::Error;

/// Features that are shown of an item; JSON has all.
const SHOWN: usize = 5;

/// Records of one read.
const BATCH: usize = 500;

/// Explains the list of `user`, or what is hot where there is none.
pub(super) async fn run(
    user: Option<&str>,
    slate: &Slate,
    redis: &Redis,
    config: &Config,
    json: bool,
) -> Result<(), Error> {
    let version: VersionId = slate.model.parse().map_err(|_| {
        let made_by = shown::plain(&slate.model).to_string();
        Error::Other(format!("the list was made by {made_by} and not by a model: no feature moved it"))
    })?;
    let (history, ts) = match user {
        Some(user) => history(user, redis, config).await?,
        None => (Vec::new(), slate.event_ts),
    };
    let model = assembled(config, version).await?;
    let catalog = catalog(config).await?;
    let view = UserView {
        user: user.map_or(UserKey::NOBODY, |user| model.user(&config.secret(), user)),
        history: &history,
        ts,
    };
    let explained = tokio::task::block_in_place(|| model.explained(&view, &catalog, slate.items.len()));
    let ids = explained.iter().map(|explained| &explained.entry.id);
    if !ids.eq(slate.items.iter().map(|entry| &entry.id)) {
        output::note("ranked again it is another list than in Redis: what was known of the user or the items changed");
    }
    if json {
        let version = model.version().map(|version| version.to_string());
        let items: Vec<Value> = explained.iter().map(described).collect();
        return Ok(output::json(&json!({"model": version, "items": items}))?);
    }
    output::table(&rows(&explained));
    Ok(())
}

/// What the user did last, oldest first, and the moment of asking, as a scorer has them.
pub(in crate::commands) async fn history(
    user: &str,
    redis: &Redis,
    config: &Config,
) -> Result<(Vec<Seen>, i64), Error> {
    let key = config.keys().user(user);
    let value = redis.get_many(std::slice::from_ref(&key)).await?.pop();
    let unreadable = |why: String| Error::Other(format!("{}: {why}", shown::plain(&key)));
    let value = match value {
        Some(Ok(Some(value))) => value,
        Some(Err(wrong)) => return Err(unreadable(wrong.to_string())),
        _ => return Err(unreadable("it is gone, and with it the history that the list was made from".to_owned())),
    };
    // As long as the scorer that wrote it keeps it.
    let stored = profile::read(&value, usize::MAX).map_err(|error| unreadable(error.to_string()))?;
    let seen = profile::seen(&stored.profile, usize::MAX);
    let ts = seen.last().map_or(stored.profile.last_ts, |seen| seen.ts);
    Ok((seen, ts))
}

/// The version that made the list; where it is gone from the topic, the newest.
async fn assembled(config: &Config, version: VersionId) -> Result<Model, Error> {
    // As a scorer holds it unless `scorer.table` says otherwise.
    let empty = Model::serving("flex", RowEncoding::F32)?;
    if let Some(model) = checkpoints::assembled(config, Some(version), &empty).await? {
        return Ok(model);
    }
    output::note(format!(
        "version {version}, which made the list, is not on the topic any more: this is by the newest"
    ));
    let newest = checkpoints::assembled(config, None, &empty).await?;
    newest.ok_or_else(|| Error::Other("there is no version on the topic: is a trainer running?".to_owned()))
}

/// What the topic `items` says.
pub(in crate::commands) async fn catalog(config: &Config) -> Result<Catalog, Error> {
    let ctx = Context::new("thalweg");
    let mut reader = Reader::open(&config.kafka, &config.topic(Topic::Items), StartAt::Beginning, &ctx).await?;
    let end = reader.end().await?;
    let records = end.values().map(|end| end.0).sum::<i64>();
    let bar = output::bar(u64::try_from(records).unwrap_or(0), "reading items");
    let (mut fold, mut catalog) = (Fold::default(), Catalog::default());
    while let Some(batch) = reader.replay(&end, BATCH).await? {
        for record in batch.records {
            bar.inc(1);
            let (change, _) = fold.take(read(&record.key, record.value.as_deref()));
            if let Some((id, item)) = change {
                catalog.apply(&id, item.as_ref());
            }
        }
    }
    bar.finish_and_clear();
    if !fold.is_empty() {
        catalog.settle();
    }
    Ok(catalog)
}

fn described(explained: &Explained) -> Value {
    let Explained { entry, features, rest } = explained;
    let features: Vec<Value> = features
        .iter()
        .map(|feature| json!({"name": feature.name, "value": feature.value, "adds": feature.adds}))
        .collect();
    json!({"id": entry.id, "score": entry.score, "from": entry.from, "because": entry.because, "rest": rest,
        "features": features})
}

/// A line for each feature shown; the item stands in its first.
fn rows(explained: &[Explained]) -> Vec<Vec<String>> {
    let mut rows = vec![["", "item", "score", "from", "feature", "value", "adds"].map(str::to_owned).to_vec()];
    for (n, Explained { entry, features, .. }) in explained.iter().enumerate() {
        let mut row = vec![(n + 1).to_string(), entry.id.clone(), format!("{:.3}", entry.score), entry.from.clone()];
        for feature in features.iter().take(SHOWN) {
            row.push(feature.name.to_owned());
            row.push(format!("{:.3}", feature.value));
            row.push(format!("{:+.3}", feature.adds));
            rows.push(std::mem::replace(&mut row, vec![String::new(); 4]));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use model::Contribution;
    use schemas::Entry;

    use super::*;

    #[test]
    fn an_item_is_named_once_and_has_a_line_for_each_of_the_features_that_moved_it_most() {
        let features = ["pairs_ahead", "cosine", "age", "idle", "tempo", "linked"];
        let features = features.map(|name| Contribution { name, value: 2.0, adds: -0.5 }).to_vec();
        let entry = Entry { id: "i7".into(), score: 1.25, from: "sequence".into(), because: Vec::new() };
        let table = rows(&[Explained { entry, features, rest: 0.1 }]);
        assert_eq!(table[1], ["1", "i7", "1.250", "sequence", "pairs_ahead", "2.000", "-0.500"]);
        assert_eq!(table[2][..5], ["", "", "", "", "cosine"]);
        assert_eq!(table.len(), 1 + SHOWN);
    }
}
