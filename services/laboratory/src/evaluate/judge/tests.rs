//! What the judge promises, on streams that can be judged by hand.

use model::baselines;

use super::*;

const HOUR: i64 = 3_600_000;

/// Names the same items whatever happens.
struct Fixed(Ranked);

impl Baseline for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        vec![self.0.clone(); asks.len()]
    }

    fn learn(&mut self, _choices: &[Choice<'_>]) {}
}

/// Names what it was shown: on a stream without repeats it hits nothing, unless it was shown the answer.
struct Parrot;

impl Baseline for Parrot {
    fn name(&self) -> &'static str {
        "parrot"
    }

    fn rank(&mut self, asks: &[Ask<'_>]) -> Vec<Ranked> {
        let repeat =
            |ask: &Ask<'_>| (0_u8..).zip(ask.history.iter().rev()).map(|(n, s)| (s.key, -f32::from(n))).collect();
        asks.iter().map(repeat).collect()
    }

    fn learn(&mut self, _choices: &[Choice<'_>]) {}
}

fn view(user: &str, key: u64, ts: i64) -> Happened {
    Happened { user: user.to_owned(), key, kind: Kind::View, ts }
}

/// What an honest product that never hits would show of a stream, one event a micro-batch.
fn honest(stream: &[Happened]) -> Vec<MicroBatch> {
    let mut histories = HashMap::<String, Vec<Seen>>::new();
    stream
        .iter()
        .map(|event| {
            let history = histories.entry(event.user.clone()).or_default();
            let shown =
                Shown { key: event.key, rank: None, list: vec![], source: None, known: true, history: history.clone() };
            history.push(Seen { key: event.key, kind: event.kind, ts: event.ts });
            MicroBatch { happened: vec![event.clone()], shown: vec![shown], joins: None }
        })
        .collect()
}

fn judged(stream: &[Happened], baselines: Vec<Box<dyn Baseline>>) -> Judged {
    let mut judge = Judge::new(stream.len() as u64, 128, baselines);
    honest(stream).into_iter().try_for_each(|batch| judge.follow(batch)).expect("honest");
    judge.finish()
}

fn figure(judged: &Judged, method: &str, part: &str, name: &str) -> f64 {
    let tallies: Vec<_> = if part == "overall" { judged.overall().collect() } else { judged.after().collect() };
    tallies
        .iter()
        .find(|(found, _)| *found == method)
        .expect("known")
        .1
        .figures(judged.known)
        .get(name)
        .expect("a figure")
}

#[test]
fn only_who_acted_before_is_tested_and_the_first_fifth_is_left_out() {
    // Ten events. User a: 1 (untested), 2, 3, 1; user b: 2 (untested), 1; user c once; user d: 3 (untested), 1, 1.
    let stream: Vec<_> =
        [("a", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 1), ("c", 9), ("d", 3), ("d", 1), ("a", 1), ("d", 1)]
            .into_iter()
            .zip(0..)
            .map(|((user, key), n)| view(user, key, n * HOUR))
            .collect();
    let fixed = Fixed(vec![(1, 5.0), (2, 4.0)]);
    let judged = judged(&stream, vec![Box::new(fixed)]);
    // Tested: a2 (second place), a3 (miss), b1, d1, a1, d1 (first place each). a2 is the second event: left out after.
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} is not {b}");
    close(figure(&judged, "fixed", "overall", "hr_20"), 100.0 * 5.0 / 6.0);
    close(figure(&judged, "fixed", "overall", "mrr_20"), 100.0 * 4.5 / 6.0);
    close(figure(&judged, "fixed", "after", "hr_20"), 100.0 * 4.0 / 5.0);
    close(figure(&judged, "fixed", "after", "mrr_20"), 100.0 * 4.0 / 5.0);
    close(figure(&judged, PRODUCT, "after", "hr_20"), 0.0);
    // Items 1, 2, 3, 9 are known at the end; 1 and 2 were shown. All are younger than a day.
    close(figure(&judged, "fixed", "after", "coverage_20"), 50.0);
    close(figure(&judged, "fixed", "after", "new_share_20"), 100.0);
    let (_, hr, _) = judged.differences().next().expect("one baseline");
    close(hr.interval().expect("enough").difference, -0.8);
    // Parts of the stream hold each test once.
    assert_eq!(judged.windows.iter().map(|window| window.tests).sum::<u64>(), 6);
    assert_eq!(judged.windows.last().map(|window| window.to), Some(10));
}

#[test]
fn a_baselines_tie_counts_against_it() {
    let stream: Vec<_> = (0..40).map(|n| view("a", 7, n * HOUR)).collect();
    let tied = |own: f32| {
        let others = (100..120).map(|key| (key, 1.0));
        let judged = judged(&stream, vec![Box::new(Fixed([(7, own)].into_iter().chain(others).collect()))]);
        figure(&judged, "fixed", "overall", "hr_20")
    };
    assert_eq!(tied(1.0), 0.0);
    assert_eq!(tied(f32::NAN), 0.0);
    assert_eq!(tied(1.1), 100.0);
}

/// Sixty users choose five items each, and no item is ever chosen twice.
fn unique() -> Vec<Happened> {
    (0..300).map(|n| view(&format!("u{}", n % 60), schemas::key_of(&format!("i{n}")), n * HOUR / 10)).collect()
}

#[test]
fn on_a_stream_without_repeats_nobody_hits_anything() {
    let mut all: Vec<Box<dyn Baseline>> = vec![Box::new(Parrot)];
    for name in baselines::NAMES {
        all.extend(baselines::baseline(name, "flex", 7).expect("flex opens"));
    }
    let judged = judged(&unique(), all);
    for (method, tally) in judged.overall() {
        assert_eq!(tally.tests(), 240);
        assert_eq!(tally.figures(judged.known).hr_20, 0.0, "{method} knew what it could not know");
    }
}

#[test]
fn a_label_in_a_baselines_history_shows_as_hits_on_a_stream_without_repeats() {
    // The check above is worth something only if it fails for whom it must: plant the leak, and see it fail.
    let mut judge = Judge::new(300, 128, Vec::new());
    let mut steps = judge.steps(&unique());
    let hits = |steps: &[Step]| {
        let lists = compete(&mut Parrot, steps);
        let hit = |(step, list): &(&Step, &Ranked)| rank_of(step.key, list.iter().copied()).is_some();
        steps.iter().zip(&lists).filter(hit).count()
    };
    assert_eq!(hits(&steps), 0);
    for step in &mut steps {
        step.history.push(Seen { key: step.key, kind: Kind::View, ts: step.ts });
    }
    assert_eq!(hits(&steps), 240);
}

#[test]
fn a_product_that_is_shown_the_label_is_no_longer_judged() {
    let stream = unique();
    let mut batches = honest(&stream);
    let shown = &mut batches[200].shown[0];
    let label = Seen { key: shown.key, kind: Kind::View, ts: stream[200].ts };
    shown.history.push(label);
    let mut judge = Judge::new(stream.len() as u64, 128, Vec::new());
    let followed = batches.into_iter().map(|batch| judge.follow(batch)).collect::<Vec<_>>();
    assert!(followed[..200].iter().all(Result::is_ok));
    let error = followed[200].as_ref().expect_err("a leak").to_string();
    assert!(error.contains("a leak: the history shown for event 200"), "{error}");
}

#[test]
fn a_baseline_that_joins_late_says_by_its_tests_that_it_did() {
    let stream: Vec<_> = (0..100).map(|n| view("a", 7, n * HOUR)).collect();
    let mut judge = Judge::new(100, 128, Vec::new());
    for (n, mut batch) in honest(&stream).into_iter().enumerate() {
        batch.joins = (n == 20).then(|| -> Box<dyn Baseline> { Box::new(Fixed(vec![(7, 1.0)])) });
        judge.follow(batch).expect("honest");
    }
    let judged = judge.finish();
    let whole: Vec<_> = judged.overall().map(|(name, tally)| (name, tally.tests())).collect();
    assert_eq!(whole, [(PRODUCT, 99), ("fixed", 80)]);
    assert_eq!(figure(&judged, "fixed", "after", "hr_20"), 100.0);
    assert_eq!(judged.after().map(|(_, tally)| tally.tests()).collect::<Vec<_>>(), [80, 80]);
}
