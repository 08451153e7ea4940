//! The start: what can be refused first, then the claim, then what training needs.
#![allow(clippy::disallowed_methods, reason = "waits and measures")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use model::{Comparison, Gate};
use runtime::Context;
use runtime::kafka::{Attendance, Expected, Producer, Watch, admin, contact};
use schemas::audit::Chain;
use schemas::{Erased, Releases, Secret, Topic, Topics, UserKey};
use tokio::task::JoinSet;
use tracing::warn;
use versions::{Control, signing};

use super::erasures::{self, Erasing};
use super::{Carried, Trainer, audit};
use crate::anchor;
use crate::catalog::Catalog;
use crate::challenger::{self, Rival, Settings};
use crate::config::{Config, OnRollback, Role, WhenSuperseded};
use crate::error::Error;
use crate::foreign::Foreign;
use crate::histories::Sorter;
use crate::intake::Intake;
use crate::leadership::{Candidate, Footing, Leadership, Own};
use crate::learning::Learning;
use crate::load_shedding::LoadShedding;
use crate::metrics::{LAG, LAG_SECONDS, VERSIONS_REFUSED};
use crate::publisher::{Places, Publisher};
use crate::restore::furthest;
use crate::schedule::Schedule;
use crate::standing_by;
use crate::survey;
use crate::unpublished::Unpublished;

impl Trainer {
    /// Restores, claims an epoch and reads the catalog; `None` when asked to drain meanwhile, when another was faster
    /// and this one is to stand by, or when a challenger is the trainer by now.
    pub(crate) async fn start(
        config: &Config,
        Carried { attendance, epoch: led, promotion, past }: Carried,
        watch: &Watch,
        ctx: &Context,
    ) -> Result<Option<Self>, Error> {
        let topics = Topics::new(&config.kafka.topic_prefix);
        let [events, interactions] = [Topic::Events, Topic::Interactions].map(|topic| topics.name(topic));
        contact(ctx, async || admin::check_partitions(&config.kafka, &[&events, &interactions]).await).await?;
        let challenges = config.trainer.role == Role::Challenger;
        if challenges {
            contact(ctx, || challenger::make_topic(config)).await?;
        }
        let Some(control) = Control::open(&config.kafka, VERSIONS_REFUSED, ctx).await? else { return Ok(None) };
        if challenges && challenger::made(&control, config) {
            return Ok(None);
        }
        // What is decided is about the trainer's versions.
        let releases = if challenges { Releases::default() } else { control.releases().clone() };
        let back = releases.back().map(|(back, _)| back);
        let secret = Secret::new(&config.privacy.secret);
        let erased = erasures::erased(&control, &Erased::new(secret.clone(), Arc::default()));
        let candidate = match &promotion {
            None => Candidate::read(config, &releases, watch, ctx).await?,
            Some(_) => Candidate::promoted(config, watch, ctx).await?,
        };
        let Some(mut candidate) = candidate else { return Ok(None) };
        let stands_by = config.trainer.when_superseded == WhenSuperseded::StandBy;
        if stands_by && led.is_some_and(|led| candidate.epoch() > led) {
            return Ok(None); // another claimed while we went back
        }
        // All that can be refused comes before the claim: a trainer that cannot go on must not end one that can.
        if let Err(error) = Learning::check(&config.model, candidate.model(), ctx).await {
            let unfit = matches!(error, Error::Model(model::Error::Shape(_) | model::Error::Optimizer(_)));
            if !(config.trainer.anew && unfit) {
                return Err(error);
            }
            warn!(%error, "trainer.anew: the newest version cannot be gone on from; learning anew from the oldest interaction");
            candidate.begin_anew(config)?;
        }
        let Some(intake) = Intake::open(config, &super::through(candidate.model()), ctx).await? else {
            return Ok(None);
        };
        let mut catalog = Catalog::open(config, ctx).await?;
        let signer = signing::signing_key("trainer.sign_key", &config.trainer.sign_key.0, &config.kafka);
        let signer = signer.map_err(Error::SignKey)?.map(Arc::new);
        let stamp = signer.clone().map(|signer| signing::stamp(signer, &config.kafka));
        let producer = Producer::connect(&config.kafka, ctx)?.stamped(stamp);

        // Who is promoted takes over from whoever leads.
        let yields = stands_by && promotion.is_none();
        if yields && attendance.is_none() && standing_by::is_taken(config, ctx).await {
            return Ok(None);
        }
        let claimed = candidate.claim(back, yields, config, (&producer, signer), ctx).await?;
        let Some(leadership) = claimed else { return Ok(None) };
        let Leadership { epoch, model, ledger, log, trainer, bookmarks, rolled_back, start, trust, refusals } =
            leadership;
        // Not before: who may not begin is not seen. And not later, for who stands by looks here. The trainer before us
        // leaves as it reads our claim. Should its last commit come after our first, tools show what it had learned
        // until our next version, and letters about the catalog may be written again at the next start; nothing else
        // is read back.
        let (interactions, items) = (intake.stream().topic(), catalog.stream().topic());
        let attendance = match attendance {
            Some(attendance) => attendance,
            None => Attendance::join(&config.kafka, &config.trainer.group(), &[interactions, items], ctx)?,
        };
        let mut survey = JoinSet::new();
        if start > 0 {
            survey.spawn(survey::before(start, config.clone(), ctx.clone()));
        }
        let mut skip = BTreeMap::new();
        if config.trainer.on_rollback == OnRollback::Skip {
            skip = model.manifest().map(|manifest| manifest.untrained.clone()).unwrap_or_default();
            furthest(&mut skip, &rolled_back);
        }
        furthest(&mut skip, &past.spoiled);
        let newest = Arc::new(model.sample().clone());
        let learning_the_past = model.manifest().is_none();
        if learning_the_past {
            ctx.set("model", Err("learning what was there at the start; the first version comes behind it".to_owned()));
        }
        let sorter = Sorter::new(super::through(&model));
        let shedding = LoadShedding::new(config.trainer.max_batch, config.trainer.train_at_least);
        // A version that was gone back to is good by that.
        let returned = back.map(|back| back.to).filter(|to| model.version() == Some(to.version));
        let good = returned.or_else(|| model.manifest()?.good).filter(|_| promotion.is_none());
        let mut rules = config.trainer.gate.rules();
        let Settings { sample, window, error, .. } = config.trainer.challenger;
        // Of a challenger nobody serves a version: it is held against what is live, and there is nothing to go back to.
        let contest = challenges.then(|| {
            rules.sample = 0;
            (Comparison::new(error, window), sample)
        });
        let (tip, tested) = (model.version(), rules.sample > 0);
        let gate = Gate::new(rules, good.map(|good| good.version));
        let made_at = model.manifest().map(|manifest| manifest.made_at);
        let erasing = Erasing::new(erased, made_at, challenges);
        let known = (model, secret);
        let (learning, alarms) = Learning::start(config.model.clone(), known, shedding, gate, contest, ctx).await?;
        // The version may be from before an erasure, be it that it was gone back to.
        let gone: Vec<UserKey> = erasing.erased.keys(made_at.unwrap_or(0)).collect();
        if !gone.is_empty() {
            learning.forget(erasing.erased.clone(), gone).await?;
        }
        if erasing.wants_purge() {
            learning.forget_good().await?;
        }
        // Beside all that follows: the start does not wait for it.
        let anchor = good.filter(|_| tested && !erasing.wants_purge());
        let anchor = anchor::read(anchor, tip, config, ctx);
        learning.follow(intake.life()).await?;
        if !catalog.read_whole(&learning, &producer, &attendance).await? {
            return Ok(None);
        }
        let mut rival = None;
        if challenges {
            rival = Rival::follow(config, watch, ctx).await?;
            if rival.is_none() {
                return Ok(None);
            }
        }
        let topic = config.log();
        control.watched(watch);
        let caught_up = Some((config.trainer.ready_lag, config.trainer.max_behind));
        let gauges = Some([LAG, LAG_SECONDS]);
        watch.follow(intake.stream(), Expected { topic: "interactions", caught_up, gauges });
        watch.follow(catalog.stream(), Expected { topic: "items", caught_up: None, gauges: None });
        Ok(Some(Self {
            chain: Chain::new(trainer.clone()),
            settings: audit::changed(&config.model),
            own: Own { epoch, trainer, at: None },
            footing: (Footing::default(), Instant::now()),
            learning_the_past,
            config: config.trainer.clone(),
            kafka: config.kafka.clone(),
            events,
            sorter,
            told_foreign: false,
            life: intake.life(),
            intake,
            catalog,
            attendance,
            log,
            learning,
            anchor,
            schedule: Schedule::new(&config.trainer, epoch),
            ledger,
            foreign: Foreign::default(),
            trust,
            refusals,
            repeated: None,
            hurried: None,
            bookmarks,
            control,
            back,
            good,
            candidate: None,
            places: Places::default(),
            sample: newest,
            alarms,
            said: None,
            rival,
            promotion,
            erasing,
            past,
            skip,
            survey,
            publisher: Publisher { producer, topic, ctx: ctx.clone() },
            publications: JoinSet::new(),
            unpublished: Unpublished::new(config.trainer.max_model_age),
            ctx: ctx.clone(),
        }))
    }
}
