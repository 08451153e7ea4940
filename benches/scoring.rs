//! Slates per second of one thread, by size of the catalog and of the micro-batch.

use std::hint::black_box;
use std::time::Duration;

use model::{RowEncoding, Settings, UserView};
use schemas::UserKey;

use crate::error::Error;
use crate::limits;
use crate::measure::{Latencies, Size};
use crate::report::{Figure, Report};
use crate::world::{World, served};

/// Items of a slate, as the scorer's default is.
const SLATE: usize = 20;
const BATCHES: [usize; 3] = [1, 16, 128];

pub(crate) fn run(size: Size, report: &mut Report) -> Result<(), Error> {
    let catalogs = size.pick([1_000, 10_000, 100_000], [1_000, 2_000, 10_000]);
    let hot = Settings::default().retrieval_items;
    let searches: Vec<_> = catalogs.iter().flat_map(|items| BATCHES.map(|n| ((*items).min(hot), n))).collect();
    let limits = limits::ask(size, &[], &searches);
    for items in catalogs {
        let mut world = World::new(items);
        let mut histories = world.histories(1_024);
        let mut learner = world.learner(size.pick(4_096, 256))?;
        let model = served(&mut learner, RowEncoding::F32)?;
        drop(learner);
        let catalog = world.catalog();
        // As it is in a shop: who asks has just chosen something, of which the version does not know yet.
        let asked_at = world.now() + 1;
        histories.iter_mut().filter_map(|history| history.last_mut()).for_each(|last| last.ts = asked_at);
        let ids: Vec<&str> = world.items().iter().map(|item| item.item_id.as_str()).collect();
        let budget = Duration::from_millis(size.pick(2_000, 100));
        for batch in BATCHES {
            let views = |history| UserView { user: UserKey::NOBODY, history, ts: asked_at };
            let users: Vec<UserView<'_>> = histories.iter().map(|history| views(history.as_slice())).collect();
            let mut turns = users.chunks_exact(batch).cycle();
            let slates = Latencies::of(budget, 5, || {
                black_box(turns.next().map(|users| model.slates(users, &catalog, SLATE)));
            });
            let mut turns = ids.chunks_exact(batch).cycle();
            let near = Settings::default().candidates - 1;
            let search = Latencies::of(budget / 2, 3, || {
                black_box(turns.next().map(|ids| model.similar(ids, &catalog, near)));
            });
            #[allow(clippy::cast_precision_loss)] // the size of a micro-batch
            let rate = batch as f64 * 1_000.0 / slates.ms(0.5);
            let share = (search.ms(0.5) / slates.ms(0.5) * 100.0).min(100.0);
            let (p50, p99) = (slates.ms(0.5), slates.ms(0.99));
            let remark = format!("a call p50 {p50:.2} ms, p99 {p99:.2} ms; about {share:.0} % of it is retrieval");
            let what = format!("{} k items, batch of {batch}", items / 1_000);
            report.add(Figure::of(what, rate, "slates/s").remark(remark));
            if let Some(limit) = limits.search_ms(items.min(hot), batch) {
                let figure = Figure::of(format!("  its retrieval, batch of {batch}"), search.ms(0.5), "ms");
                let what = format!("product and top-k in PyTorch {}, {limit:.2} ms", limits.torch);
                report.add(figure.beside(what, search.ms(0.5) / limit));
            }
        }
    }
    Ok(())
}
