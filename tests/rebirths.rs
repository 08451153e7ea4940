//! Topics that are deleted and made again, that grow, and that somebody else writes to: no event vanishes, none counts
//! twice.

use std::collections::BTreeMap;

use runtime::kafka::{Outgoing, admin};
use schemas::{EventType, Interaction, Kind, Message, Source, Topic};
use tests::{
    Name, PARTITIONS, SOON, Sent, Service, Tail, Traffic, World, click, eventually, ingested_once, interactions,
    latest_manifest, learned_once, none_names, served_once,
};

/// Waits until the newest version was trained on so many events, and on each once.
async fn trained_on(world: &World, events: usize) {
    let mut checkpoints = Tail::open(world, Topic::Checkpoints).await;
    eventually("the newest version was trained on every event", SOON, async || {
        match latest_manifest(&mut checkpoints).await {
            Some(manifest) if manifest.interactions == events as u64 => Ok(()),
            manifest => Err(format!("{:?} of {events}", manifest.map(|manifest| manifest.interactions))),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_deleted_and_made_again_under_a_running_ingest_and_no_event_vanishes() {
    let world = World::new().await;
    let mut traffic = Traffic::new(51, world.ctx.now()).with_users(20);
    let [mut ingest, _trainer, _scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    // The new one grows beyond the old one's end, and stays behind it.
    for events in [400, 100] {
        world.make_again(Topic::Events).await;
        sent.extend(world.send(&traffic.take(events)).await);
        ingested_once(&world, &sent).await;
        served_once(&world, &sent).await;
    }
    trained_on(&world, sent.len()).await;
    ingest.assert_alive();
    assert!(ingest.metric("ingest_lives_total").await.expect("it answers") >= 2.0, "it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_deleted_and_made_again_in_a_restart_and_no_event_vanishes() {
    let world = World::new().await;
    let mut traffic = Traffic::new(52, world.ctx.now()).with_users(20);
    let _scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = Vec::new();
    for events in [200, 300, 100] {
        if !sent.is_empty() {
            world.make_again(Topic::Events).await;
        }
        sent.extend(world.send(&traffic.take(events)).await);
        let mut ingest = world.start(Name::Ingest, &[]).await;
        ingested_once(&world, &sent).await;
        served_once(&world, &sent).await;
        assert!(ingest.terminate().await.success(), "a clean shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interactions_deleted_and_made_again_under_running_services_and_they_go_on() {
    let world = World::new().await;
    let mut traffic = Traffic::new(53, world.ctx.now()).with_users(20);
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(300)).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    world.make_again(Topic::Interactions).await;
    sent.extend(world.send(&traffic.take(200)).await);
    served_once(&world, &sent).await;
    trained_on(&world, sent.len()).await;
    trainer.assert_alive();
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_made_again_with_fewer_partitions_are_read_on_and_leave_nobody_red() {
    let world = World::new().await;
    let [mut ingest, mut trainer, mut scorer] = world.start_all().await;
    for service in [&mut ingest, &mut trainer, &mut scorer] {
        service.ready().await; // it reads what there was before
    }
    for (topic, partitions) in [(Topic::Control, 2), (Topic::Items, 2), (Topic::Interactions, 6), (Topic::Events, 6)] {
        let name = world.topics.name(topic);
        admin::grow(&world.kafka, &[&name], partitions).await.expect("it gets more");
    }
    let all_say = async |what: &str| {
        let readers = [
            (&ingest, Topic::Control),
            (&ingest, Topic::Events),
            (&trainer, Topic::Control),
            (&trainer, Topic::Items),
            (&trainer, Topic::Interactions),
            (&scorer, Topic::Control),
            (&scorer, Topic::Items),
            (&scorer, Topic::Interactions),
        ];
        for (service, topic) in readers {
            let name = world.topics.name(topic);
            eventually(&format!("{what}, says a reader of {name}"), SOON, async || {
                let log = service.log();
                let is_said = log.lines().any(|line| line.contains(what) && line.contains(&name));
                if is_said { Ok(()) } else { Err(format!("{:?}", log.lines().last())) }
            })
            .await;
        }
    };
    all_say("partitions were added").await;
    for topic in [Topic::Control, Topic::Items, Topic::Events, Topic::Interactions] {
        world.make_again(topic).await;
    }
    all_say("made again with fewer partitions").await;
    let lags = ["ingest_lag_messages", "trainer_lag_messages", "scorer_lag_messages"];
    for (service, lag) in [&mut ingest, &mut trainer, &mut scorer].into_iter().zip(lags) {
        eventually("it knows how far behind it is", SOON, async || {
            let lag = service.metric(lag).await?;
            if lag.is_finite() { Ok(()) } else { Err(format!("a lag of {lag}")) }
        })
        .await;
        service.ready().await;
    }
    world.list(&Traffic::catalog()).await;
    let sent = world.send(&Traffic::new(57, world.ctx.now()).with_users(20).take(200)).await;
    served_once(&world, &sent).await;
    trained_on(&world, sent.len()).await;
    [&mut ingest, &mut trainer, &mut scorer].into_iter().for_each(Service::assert_alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_record_on_interactions_with_a_source_offset_of_2_62_silences_nobody_and_ends_nothing() {
    let world = World::new().await;
    let mut traffic = Traffic::new(54, world.ctx.now()).with_users(20);
    let [mut ingest, mut trainer, _scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    let forged = |partition: i32, offset: i64| {
        let interaction = Interaction {
            user_id: "nobody".into(),
            item_id: "i1".into(),
            kind: Kind::View.into(),
            ts: world.ctx.now(),
            arrived_at: world.ctx.now(),
            source: Some(Source { partition, offset, ..Source::default() }),
            ..Interaction::default()
        };
        let value = Some(interaction.encode_to_vec().into());
        Outgoing { partition: Some(partition), key: "nobody".into(), value, ..Outgoing::default() }
    };
    let offsets = [1 << 62, i64::MAX, 1 << 50, -1, i64::MIN];
    let all = (0..PARTITIONS).flat_map(|partition| offsets.map(|offset| forged(partition, offset)));
    world.write(Topic::Interactions, all.collect()).await;
    sent.extend(world.send(&traffic.take(200)).await);
    served_once(&world, &sent).await;
    assert!(ingest.terminate().await.success(), "a clean shutdown");
    world.write(Topic::Interactions, (0..PARTITIONS).map(|partition| forged(partition, 1 << 62)).collect()).await;
    let mut ingest = world.start(Name::Ingest, &[]).await;
    sent.extend(world.send(&traffic.take(200)).await);
    served_once(&world, &sent).await;
    trained_on(&world, sent.len()).await;
    ingest.assert_alive();
    trainer.assert_alive();
    assert!(ingest.metric("ingest_foreign_interactions_total").await.expect("it answers") > 0.0, "it is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_source_far_ahead_silences_nobody() {
    let world = World::new().await;
    let mut traffic = Traffic::new(62, world.ctx.now()).with_users(20);
    let _ingest = world.start(Name::Ingest, &[]).await;
    let mut trainer = world.start(Name::Trainer, &[]).await;
    let mut scorer = world.start(Name::Scorer, &[]).await;
    let mut sent = world.send(&traffic.take(200)).await;
    served_once(&world, &sent).await;
    trained_on(&world, sent.len()).await;
    // Of each user what ingest wrote last, once more and as if it came from far ahead in the same life of `events`.
    let mut tail = Tail::open(&world, Topic::Interactions).await;
    let newest: BTreeMap<String, (i32, Interaction)> = interactions(tail.read().await)
        .into_iter()
        .map(|(partition, interaction)| (interaction.user_id.clone(), (partition, interaction)))
        .collect();
    let users = newest.len() as f64;
    let forged = newest.into_iter().map(|(user, (partition, mut interaction))| {
        let source = interaction.source.take().expect("ingest names it");
        interaction.source = Some(Source { offset: source.offset + 50_000_000, ..source });
        let value = Some(interaction.encode_to_vec().into());
        Outgoing { partition: Some(partition), key: user.into(), value, ..Outgoing::default() }
    });
    world.write(Topic::Interactions, forged.collect()).await;
    sent.extend(world.send(&traffic.take(200)).await);
    served_once(&world, &sent).await;
    trained_on(&world, sent.len()).await;
    trainer.assert_alive();
    scorer.assert_alive();
    let counted = scorer.metric("scorer_foreign_interactions_total").await.expect("it answers");
    assert!(counted >= users, "they are counted: {counted} of {users}");
    assert!(trainer.metric("trainer_unreadable_total").await.expect("it answers") >= users, "by the trainer, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_under_running_services_are_read_and_no_event_vanishes() {
    let world = World::new().await;
    let [_ingest, mut trainer, _scorer] = world.start_all().await;
    let mut sent = world.send(&Traffic::new(55, world.ctx.now()).with_users(20).take(200)).await;
    served_once(&world, &sent).await;
    world.operate(&["topics", "partitions", &(2 * PARTITIONS).to_string()]).await;
    // Users of whom nothing came before, in every partition.
    let at = |partition: i32| {
        click(&format!("new{partition}"), "i1", EventType::View, world.ctx.now(), format!("new-{partition}"))
    };
    let events: Vec<_> = (0..2 * PARTITIONS).map(at).collect();
    let placed = (0..).zip(&events).map(|(partition, event)| {
        let value = serde_json::to_vec(event).expect("an event is JSON");
        let key = event.user_id.clone().into();
        Outgoing { partition: Some(partition), key, value: Some(value.into()), ..Outgoing::default() }
    });
    let places = world.write(Topic::Events, placed.collect()).await;
    sent.extend(events.into_iter().zip(places).map(|(event, (partition, offset))| Sent { event, partition, offset }));
    ingested_once(&world, &sent).await;
    served_once(&world, &sent).await;
    learned_once(&world, &sent).await;
    trainer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn items_made_again_with_fewer_records_and_what_is_not_there_any_more_is_shown_by_nobody() {
    let world = World::new().await;
    let mut traffic = Traffic::new(57, world.ctx.now()).with_users(15);
    world.list(&Traffic::catalog()).await;
    let [_ingest, mut trainer, mut scorer] = world.start_all().await;
    let mut sent = world.send(&traffic.take(600)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    world.make_again(Topic::Items).await;
    let stays: Vec<_> = Traffic::catalog().into_iter().filter(|item| !item.item_id.starts_with("i0")).collect();
    world.list(&stays).await;
    // Whoever goes on and whoever starts show the same.
    let _other = world.start(Name::Scorer, &[]).await;
    eventually("no list names what the new log does not list", SOON, async || {
        sent.extend(world.send(&traffic.take(20)).await);
        none_names(&world, |id| id.starts_with("i0")).await
    })
    .await;
    trainer.assert_alive();
    scorer.assert_alive();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_that_takes_over_deletes_lists_of_categories_that_went_while_nobody_led() {
    let world = World::new().await;
    world.list(&Traffic::catalog()).await;
    let [_ingest, _trainer, mut scorer] = world.start_all().await;
    let sent = world.send(&Traffic::new(58, world.ctx.now()).with_users(15).take(600)).await;
    scorer.ready().await;
    served_once(&world, &sent).await;
    let of_one_category: Vec<_> =
        Traffic::catalog().into_iter().filter(|item| item.item_id.starts_with("i0")).collect();
    let category = of_one_category[0].categories[0].clone();
    let keys = [world.keys.hot(Some(&category)), world.keys.new_items(Some(&category))];
    let lie = async || {
        let lie = world.client().get_many(&keys).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(lie.iter().filter(|value| matches!(value, Ok(Some(_)))).count())
    };
    eventually("the category has its lists", SOON, async || match lie().await? {
        2 => Ok(()),
        few => Err(format!("{few} of 2")),
    })
    .await;
    assert!(scorer.terminate().await.success(), "a clean shutdown");
    for item in of_one_category {
        world.list(&[schemas::Item { available: false, ..item }]).await;
    }
    assert_eq!(lie().await, Ok(2), "nobody deletes them meanwhile");
    let _scorer = world.start(Name::Scorer, &[]).await;
    eventually("they are gone", SOON, async || match lie().await? {
        0 => none_names(&world, |id| id.starts_with("i0")).await,
        some => Err(format!("{some} of 2")),
    })
    .await;
}
