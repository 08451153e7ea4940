//! `thalweg release diff`: two versions side by side.

use laboratory::output;
use laboratory::shown::plain;
use model::{Model, RowEncoding, UserView};
use runtime::Context;
use runtime::redis::Redis;
use schemas::Entry;
use schemas::keys::Kind;
use serde_json::json;

use crate::commands::checkpoints;
use crate::commands::recs::explain;
use crate::config::Config;
use crate::error::Error;

/// Users whose lists are shown where none is named.
const PROBES: usize = 3;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A version such as 000003-00000120, or `latest`.
    before: String,
    /// The version to compare it with.
    after: String,
    /// A user whose lists are compared; may be given several times [default: some users of Redis].
    #[arg(long, value_name = "ID")]
    user: Vec<String>,
    /// Places of each list.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    places: u16,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A user's lists by both versions.
struct Probe {
    user: String,
    lists: [Vec<Entry>; 2],
}

impl Probe {
    fn shared(&self) -> usize {
        let [before, after] = &self.lists;
        before.iter().filter(|entry| after.iter().any(|other| other.id == entry.id)).count()
    }
}

pub(super) async fn run(args: Args, config: &Config) -> Result<(), Error> {
    let models = [assembled(&args.before, config).await?, assembled(&args.after, config).await?];
    let probes = match probe(&args, &models, config).await {
        Ok(probes) => probes,
        Err(error) => {
            output::note(format!("no lists are compared: {}", plain(&error.told())));
            Vec::new()
        }
    };
    let names = models.each_ref().map(|model| model.version().map(|version| version.to_string()).unwrap_or_default());
    let figures = models.each_ref().map(figures);
    if args.json {
        let [before, after] = figures
            .each_ref()
            .map(|figures| json!(figures.iter().cloned().collect::<std::collections::BTreeMap<_, _>>()));
        let lists: Vec<_> = probes
            .iter()
            .map(|probe| json!({"user": probe.user, "shared": probe.shared(), "before": probe.lists[0], "after": probe.lists[1]}))
            .collect();
        let sides = [json!({"version": names[0], "figures": before}), json!({"version": names[1], "figures": after})];
        return Ok(output::json(&json!({"before": sides[0], "after": sides[1], "lists": lists}))?);
    }
    let mut rows = vec![vec![String::new(), names[0].clone(), names[1].clone()]];
    let [before, after] = &figures;
    for (name, value) in before {
        let other = after.iter().find(|(other, _)| other == name).map_or("-", |(_, value)| value);
        rows.push(vec![name.clone(), value.clone(), other.to_owned()]);
    }
    output::table(&rows);
    for probe in &probes {
        let places = usize::from(args.places);
        output::line(format!("\n{}: {} of {places} items in both lists", plain(&probe.user), probe.shared()));
        let mut rows = vec![vec![String::new(), names[0].clone(), names[1].clone()]];
        let cell =
            |entry: Option<&Entry>| entry.map_or_else(String::new, |e| format!("{} {:.3} {}", e.id, e.score, e.from));
        for n in 0..places {
            rows.push(vec![(n + 1).to_string(), cell(probe.lists[0].get(n)), cell(probe.lists[1].get(n))]);
        }
        output::table(&rows);
    }
    Ok(())
}

async fn assembled(asked: &str, config: &Config) -> Result<Model, Error> {
    let wanted = checkpoints::wanted(asked)?;
    let empty = Model::serving("flex", RowEncoding::F32)?;
    let model = checkpoints::assembled(config, wanted, &empty).await?;
    model.ok_or_else(|| checkpoints::missing(asked))
}

fn figures(model: &Model) -> Vec<(String, String)> {
    let Some(manifest) = model.manifest() else { return Vec::new() };
    let mut figures = vec![
        ("kind".to_owned(), format!("{:?}", manifest.kind).to_lowercase()),
        ("bytes".to_owned(), manifest.bytes.to_string()),
        ("items".to_owned(), model.knowledge().items().to_string()),
        ("interactions".to_owned(), manifest.interactions.to_string()),
        ("made at".to_owned(), schemas::Timestamp(manifest.made_at).to_string()),
    ];
    for (method, quality) in manifest.quality.iter().filter(|(_, quality)| quality.tested > 0) {
        figures.push((format!("HR@20 of {method}"), format!("{:.2} %", quality.hr20 * 100.0)));
        figures.push((format!("MRR@20 of {method}"), format!("{:.2} %", quality.mrr20 * 100.0)));
        figures.push((format!("tests of {method}"), quality.tested.to_string()));
    }
    figures
}

/// Lists by both versions for the same users, with the catalog and the histories of now.
async fn probe(args: &Args, models: &[Model; 2], config: &Config) -> Result<Vec<Probe>, Error> {
    let redis = Redis::connect(&config.redis, &Context::new("thalweg")).await?;
    let keys = config.keys();
    let mut users = args.user.clone();
    if users.is_empty() {
        let found = redis.keys(&keys.user("*"), PROBES).await?;
        let users_of = |key: &String| match keys.kind(key.as_bytes()) {
            Some(Kind::User(user)) => Some(user.to_owned()),
            _ => None,
        };
        users = found.iter().filter_map(users_of).collect();
    }
    let catalog = explain::catalog(config).await?;
    let mut probes = Vec::new();
    for user in users {
        let (history, ts) = explain::history(&user, &redis, config).await?;
        let list = |model: &Model| {
            let view = UserView { user: model.user(&config.secret(), &user), history: &history, ts };
            let explained = model.explained(&view, &catalog, usize::from(args.places));
            explained.into_iter().map(|explained| explained.entry).collect()
        };
        let lists = tokio::task::block_in_place(|| models.each_ref().map(list));
        probes.push(Probe { user, lists });
    }
    Ok(probes)
}
