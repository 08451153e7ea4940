//! A campaign: traffic without a pause, faults one after another and together, and now and then the oracle's question.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::Topic;
use tests::{Findings, Oracle, Sent, Tail, Traffic, interactions, served, shown, sightings};

use crate::fault::{Fault, Struck, Target};
use crate::field::Field;
use crate::output::note;

/// Faults between two questions to the oracle.
const ROUND: usize = 12;
/// How long everything may take to be right again after a round.
const SETTLED: Duration = Duration::from_secs(120);
/// A round without faults.
const CALM: Duration = Duration::from_secs(60);
/// Between two handfuls of events.
const TICK: Duration = Duration::from_millis(100);
/// Events that an application sends again, of those sent last.
const AGAIN: usize = 50;
/// Users of the shop.
const USERS: u32 = 200;

/// When a campaign ends: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) time: Option<Duration>,
    pub(crate) faults: Option<usize>,
}

/// What a campaign came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    seed: u64,
    seconds: u64,
    faults: BTreeMap<String, usize>,
    events: usize,
    findings: Findings,
    red: Vec<Duration>,
    /// Of each service in a soak, MB, by when it was looked at.
    memory: Vec<(Duration, BTreeMap<String, u64>)>,
}

impl Summary {
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_clean()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.values().sum();
        for (name, times) in &self.faults {
            writeln!(f, "  {name:<30} {times}")?;
        }
        for what in self.findings.wrong.iter().take(20) {
            writeln!(f, "  wrong: {what}")?;
        }
        let red = self.red.iter().max().map_or_else(|| "-".to_owned(), |red| format!("{:.1}", red.as_secs_f64()));
        write!(
            f,
            "seed {}, {} s: faults {faults}, events {}, lost {}, doubled {}, wrong {}, red_within_s {red}",
            self.seed,
            self.seconds,
            self.events,
            self.findings.lost.len(),
            self.findings.doubled.len(),
            self.findings.wrong.len(),
        )
    }
}

/// Runs a campaign of these faults; without any, a soak.
///
/// `cluster`, `signed`: whether the broker is three nodes, and whether everything is signed.
pub(crate) async fn run(
    seed: u64,
    limits: Limits,
    rate: usize,
    (cluster, signed): (bool, bool),
    chosen: &[Fault],
) -> Summary {
    let began = Instant::now();
    let mut summary = Summary { seed, ..Summary::default() };
    note("starting Kafka, Redis and the services …");
    let field = Field::open(cluster, signed).await;
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut traffic = Traffic::new(seed, field.world.ctx.now()).with_users(USERS).with_step(step(rate));
    let mut oracle = Oracle::default();
    let mut tail = Tail::open(&field.world, Topic::Interactions).await;
    let over = |faults: usize| {
        limits.time.is_some_and(|time| began.elapsed() >= time) || limits.faults.is_some_and(|most| faults >= most)
    };

    let mut faults = 0;
    while !over(faults) {
        let most = limits.faults.map_or(ROUND, |most| ROUND.min(most - faults));
        let done = AtomicBool::new(false);
        let falls = async {
            let struck = if chosen.is_empty() {
                tokio::time::sleep(CALM).await;
                Vec::new()
            } else {
                round(&field, chosen, &mut chance, most).await
            };
            done.store(true, Ordering::Relaxed);
            struck
        };
        let (struck, sent) = tokio::join!(falls, flow(&field, &mut traffic, rate, &done));
        oracle.note(&sent);
        oracle.note(&std::mem::take(&mut *field.also_sent.lock().await));
        faults += struck.len();
        for (fault, Struck { red_within, wrong }) in struck {
            *summary.faults.entry(fault.name()).or_default() += 1;
            summary.red.extend(red_within);
            summary.findings.wrong.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", fault.name())));
        }
        let findings = settle(&field, &oracle, &mut tail).await;
        note(format!("{:>5} s: {faults} faults, {} events; {findings}", began.elapsed().as_secs(), oracle.len()));
        if chosen.is_empty() {
            let memory = field.memory().await;
            note(format!("        memory in MB: {memory:?}"));
            summary.memory.push((began.elapsed(), memory));
        }
        let broken = !findings.is_clean();
        summary.findings.extend(findings);
        if broken {
            field.world.print_logs();
            break; // what comes after would be told of again and again
        }
    }
    summary.findings.wrong.extend(grown(&summary.memory));
    summary.events = oracle.len();
    summary.seconds = began.elapsed().as_secs();
    summary
}

/// Milliseconds between two events at so many a second.
fn step(rate: usize) -> i64 {
    i64::try_from(1_000 / rate.clamp(1, 1_000)).unwrap_or(1)
}

/// The services that hold more at the end of a soak than after its first third, by more than a tenth and 16 MB.
fn grown(memory: &[(Duration, BTreeMap<String, u64>)]) -> Vec<String> {
    let Some((end, last)) = memory.last() else { return Vec::new() };
    let Some((_, first)) = memory.iter().find(|(at, _)| *at >= *end / 3) else { return Vec::new() };
    let grew = |(service, now): (&String, &u64)| {
        let then = *first.get(service)?;
        (*now > then + then / 10 + 16)
            .then(|| format!("{service} grew from {then} MB to {now} MB in two thirds of the time"))
    };
    last.iter().filter_map(grew).collect()
}

/// Events until the round is done; the last handful is sent to its end.
async fn flow(field: &Field, traffic: &mut Traffic, rate: usize, done: &AtomicBool) -> Vec<Sent> {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    while !done.load(Ordering::Relaxed) {
        ticks.tick().await;
        sent.extend(field.world.send(&traffic.take((rate / 10).max(1))).await);
        *field.recent.lock().await = sent[sent.len().saturating_sub(AGAIN)..].to_vec();
    }
    sent
}

/// Faults, some alone and some together.
async fn round(field: &Field, chosen: &[Fault], chance: &mut ChaCha8Rng, most: usize) -> Vec<(Fault, Struck)> {
    let mut struck = Vec::new();
    while struck.len() < most {
        let handful = handful(chosen, chance, most - struck.len());
        let alone = handful.len() == 1;
        let names: Vec<String> = handful.iter().map(|fault| fault.name()).collect();
        note(format!("        {}", names.join(" + ")));
        let mut chances: Vec<ChaCha8Rng> = handful.iter().map(|_| ChaCha8Rng::seed_from_u64(chance.random())).collect();
        let falls = handful.iter().zip(&mut chances).map(|(fault, chance)| fault.strike(field, chance, alone));
        let outcomes = futures_util::future::join_all(falls).await;
        struck.extend(handful.into_iter().zip(outcomes));
        tokio::time::sleep(Duration::from_millis(chance.random_range(0..2_000))).await;
    }
    struck
}

/// One to three faults with targets of their own.
fn handful(chosen: &[Fault], chance: &mut ChaCha8Rng, most: usize) -> Vec<Fault> {
    let size = [1, 1, 2, 2, 3][chance.random_range(0..5)].min(most);
    let mut handful: Vec<Fault> = Vec::new();
    for _ in 0..20 {
        let fault = chosen[chance.random_range(0..chosen.len())];
        let targets: Vec<Target> = handful.iter().flat_map(|fault| fault.targets()).copied().collect();
        if fault.targets().iter().all(|target| !targets.contains(target)) {
            handful.push(fault);
        }
        if handful.len() == size {
            break;
        }
    }
    handful
}

/// Waits until everything is ready and right; else what is not.
async fn settle(field: &Field, oracle: &Oracle, tail: &mut Tail) -> Findings {
    let began = Instant::now();
    let mut wrong = Findings::default();
    loop {
        wrong.wrong.extend(field.revive().await);
        let mut findings = oracle.interactions(&interactions(tail.read().await));
        let missing = field.missing().await;
        findings.wrong.extend(missing.iter().map(|(service, why)| format!("{service} is not ready: {why}")));
        for found in [served(&field.world, oracle).await, shown(&field.world, oracle).await] {
            match found {
                Ok(found) => findings.extend(found),
                Err(error) => drop(findings.wrong.insert(error)),
            }
        }
        if findings.is_clean() {
            break;
        }
        if began.elapsed() > SETTLED || !findings.doubled.is_empty() {
            wrong.extend(findings);
            return wrong;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    if let Err(error) = learned(field, oracle, began).await {
        wrong.wrong.insert(error);
    }
    wrong
}

/// Waits until the newest version counts every event once.
async fn learned(field: &Field, oracle: &Oracle, began: Instant) -> Result<(), String> {
    loop {
        let findings = match sightings(&field.world).await {
            Ok(counted) => oracle.sightings(&counted),
            Err(error) => Findings { wrong: [error].into(), ..Findings::default() },
        };
        if findings.is_clean() {
            return Ok(());
        }
        if began.elapsed() > SETTLED {
            return Err(format!("the newest version: {findings}"));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
