//! What a report promises: the contract's JSON keys, an honest verdict, one self-contained page.

use std::path::Path;

use schemas::Reason;

use super::*;

/// Made-up figures of a minute of traffic.
fn sample() -> Report {
    let wobble = |n: u32, scale: f64| ((f64::from(n) * 1.7).sin() + 1.0) * scale;
    let quality = |hr20: f64, mrr20: f64, tested| Quality {
        hr20,
        mrr20,
        tested,
        first_time_hr20: hr20 * 0.75,
        first_time_tested: tested / 2,
    };
    let prequential = |n: u32| {
        let grown = 1.0 - (-f64::from(n) / 18.0).exp();
        let tested = u64::from(n) * 900;
        Prequential {
            model: quality(0.47 * grown, 0.19 * grown, tested),
            covisitation: quality(0.41 * grown, 0.15 * grown, tested),
            popularity: quality(0.13 + wobble(n, 0.01), 0.03, tested),
        }
    };
    let series = (0..=62)
        .map(|n| Point {
            at: f64::from(n),
            events_per_second: 1_000.0 + wobble(n, 15.0) - 15.0,
            lag: [("ingest", 12.0), ("trainer", 260.0), ("scorer", 30.0)]
                .map(|(name, scale)| (name.to_owned(), wobble(n, scale) as u64))
                .into(),
            freshness_ms: (n > 2 && n != 30).then(|| Freshness {
                p50: 17.0 + wobble(n, 2.0),
                p99: 70.0 + wobble(n, 20.0),
                p999: if n == 41 { 910.0 } else { 120.0 + wobble(n, 50.0) },
            }),
            served_hit_rate_20: (n > 4).then(|| 0.42 * (1.0 - (-f64::from(n) / 20.0).exp())),
            prequential: (n > 1).then(|| prequential(n)),
            versions_published: u64::from(n),
            versions_swapped: u64::from(n.saturating_sub(1)),
            delta_bytes: 180_000 + wobble(n, 40_000.0) as u64,
        })
        .collect();
    let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("histogram");
    let mut slow = hdrhistogram::Histogram::<u64>::new(3).expect("histogram");
    for n in 0..20_000u32 {
        let u = (f64::from(n) + 0.5) / 20_000.0;
        let normal = (u / (1.0 - u)).ln() / 1.7;
        histogram.record((17_000.0 * (normal * 0.55).exp()) as u64).expect("records");
        slow.record((1_100_000.0 * (normal * 0.3).exp()) as u64).expect("records");
    }
    let item = |rank: usize, title: &str, from: &str, because: &[&str]| SlateItem {
        id: format!("i{}", 812 + rank * 37),
        title: Some(title.to_owned()),
        score: 1.0 / (rank + 1) as f32,
        from: from.to_owned(),
        because: because.iter().map(|text| (*text).to_owned()).collect(),
    };
    let slate = |user: &str| UserSlate {
        user: user.to_owned(),
        recent: vec!["Verara light running shoe, blue (view)".into(), "Kabek slim running sock, red (cart)".into()],
        model: "000001-00000061".into(),
        source: "events/3@15120".into(),
        items: vec![
            item(0, "Lonto swift running sock, grey", "sequence", &["Verara light running shoe, blue"]),
            item(
                1,
                "Verara bold running shoe, teal",
                "covisitation",
                &["Verara light running shoe, blue", "Kabek slim running sock, red"],
            ),
            item(2, "Solvik folding tent, orange", "popularity", &[]),
            item(3, "Mimar <b>early</b> lantern & lamp", "new", &[]),
        ],
    };
    let reasons = Reason::OF_EVENTS.into_iter().zip([20, 20, 20, 40, 20, 10, 10, 20, 20, 20, 10, 10]);
    let mut report = Report {
        source: "synthetic shop, seed 7".into(),
        machine: "2 × Xeon 2.8 GHz, embedded broker".into(),
        made_at: 1_795_446_000_000,
        seconds: 62.0,
        events_sent: 62_240,
        interactions: 62_000,
        dead_letters: 220,
        dead_letters_by_reason: reasons.map(|(reason, count)| (reason.to_string(), count)).collect(),
        duplicates_dropped: 20,
        events_per_second: 1_003.9,
        freshness_ms: Freshness { p50: 17.2, p99: 84.0, p999: 190.0 },
        model_freshness_ms: ModelFreshness { p50: 1_110.0, p99: 2_300.0 },
        freshness_distribution: buckets(&histogram),
        model_freshness_distribution: buckets(&slow),
        versions_published: 62,
        versions_swapped: 61,
        delta_bytes: Sizes::of((0..61).map(|n| 180_000 + n * 1_300).collect()),
        snapshot_bytes: Sizes::of(vec![2_400_000]),
        served_hit_rate_20: 0.381,
        served_tested: 55_120,
        served_popularity_hit_rate_20: Some(0.142),
        prequential: prequential(62),
        redis_bytes_per_user: 3_412.0,
        users: 4_000,
        series,
        slates: ["u42", "u7", "u1306"].map(slate).into(),
        ..Report::default()
    };
    report.judge();
    report
}

#[test]
fn the_json_has_the_keys_of_the_contract() {
    let json = serde_json::to_value(sample()).expect("serialises");
    for pointer in [
        "/events_sent",
        "/interactions",
        "/dead_letters",
        "/lost",
        "/duplicates_dropped",
        "/events_per_second",
        "/freshness_ms/p50",
        "/freshness_ms/p99",
        "/freshness_ms/p999",
        "/model_freshness_ms/p50",
        "/model_freshness_ms/p99",
        "/versions_published",
        "/versions_swapped",
        "/served_hit_rate_20",
        "/prequential/model/hr20",
        "/prequential/popularity/mrr20",
        "/prequential/covisitation/hr20",
        "/redis_bytes_per_user",
    ] {
        assert!(json.pointer(pointer).is_some_and(serde_json::Value::is_number), "{pointer}");
    }
    assert_eq!(serde_json::from_value::<Report>(json).expect("parses"), sample());
}

#[test]
fn the_loop_is_not_closed_when_something_is_lost_or_no_version_went_live() {
    assert!(sample().closed);
    let mut report = Report { lost: 3, versions_swapped: 0, slates_missing: 2, ..sample() };
    report.judge();
    assert!(!report.closed);
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
    assert!(report.verdict().contains("3 records were lost"));
    let mut nothing = Report::default();
    nothing.judge();
    assert!(!nothing.closed && html(&nothing).expect("renders").contains("Nothing was measured."));
}

#[test]
fn more_outcomes_than_records_sent_are_a_problem_of_their_own() {
    let mut report = Report { duplicates_dropped: 22, ..sample() };
    report.judge();
    assert!(!report.closed);
    assert!(report.verdict().contains("2 outcomes more than records sent"), "{}", report.verdict());
}

#[test]
fn the_page_is_self_contained_and_escapes_titles() {
    let page = html(&sample()).expect("renders");
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    std::fs::create_dir_all(&out).and_then(|()| std::fs::write(out.join("sample.report.html"), &page)).expect("writes");
    assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("<script") && !page.contains("url("));
    assert!(!page.contains("<b>early</b>") && page.contains("lantern &#38; lamp"));
    assert_eq!(page.matches("<svg").count(), 10);
    let mut open = Report { lost: 3, ..sample() };
    open.judge();
    assert!(html(&open).expect("renders").contains("<li>3 records were lost"));
}

#[test]
fn the_terminal_shows_every_figure_aligned() {
    let text = terminal(&sample());
    eprintln!("{text}\n{}", live(&sample().series[50], 50_120, Some("000001-00000049")));
    let figures = ["62,240", "17 ms", "p99.9 190 ms", "not_json 20", "38.1 %", "3.4 kB", "The loop closed"];
    assert!(figures.iter().all(|figure| text.contains(figure)), "{text}");
}
