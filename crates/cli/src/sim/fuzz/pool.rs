//! Many seeds at a time.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use qcn_consensus::BrokenRule;
use qcn_sim::scenario::random_scenario;

use super::outcome::{Failure, Totals, Until, attempt};

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(200);

/// Runs seeds in order until the end, the limit or the first failure. Seeds that are under way
/// then are finished, and of several failures that of the lowest seed counts: so the outcome
/// does not depend on how many run at a time.
pub fn search(
    seeds: Range<u64>,
    limit: Option<Duration>,
    jobs: usize,
    rule: Option<BrokenRule>,
) -> (Totals, Option<Failure>) {
    let begun = Instant::now();
    let mut totals = Totals::default();
    let mut lowest: Option<Failure> = None;
    let try_one = |seed| {
        let scenario = random_scenario(seed);
        (scenario.network.scheme, attempt(&scenario, rule, Until::FirstViolation))
    };
    let last = each(&seeds, limit, jobs, try_one, |seed, (keys, (result, failure))| {
        totals.seeds += 1;
        totals.schemes.add(keys);
        if let Some(result) = &result {
            totals.add(result);
        }
        let failed = failure.is_some();
        if let Some(failure) = failure
            && lowest.as_ref().is_none_or(|lowest| seed < lowest.seed)
        {
            lowest = Some(failure);
        }
        failed
    });
    totals.range = (seeds.start, last);
    totals.wall_seconds = begun.elapsed().as_secs_f64();
    (totals, lowest)
}

/// Tries seeds in order, many at a time, until the end, the limit, or until `take_in` says that
/// it is enough; those under way then are finished. Gives the first seed that was not tried.
pub fn each<R: Send>(
    seeds: &Range<u64>,
    limit: Option<Duration>,
    jobs: usize,
    attempt: impl Fn(u64) -> R + Sync,
    take_in: impl FnMut(u64, R) -> bool + Send,
) -> u64 {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let bar = progress_bar(seeds, limit.is_some());
    bar.enable_steady_tick(TICK);
    let (next, enough) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let take_in = Mutex::new(take_in);
    let work = || {
        loop {
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if late || enough.load(Ordering::Relaxed) {
                return;
            }
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = attempt(seed);
            let mut take_in = take_in.lock().unwrap_or_else(PoisonError::into_inner);
            enough.fetch_or(take_in(seed, result), Ordering::Relaxed);
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    next.load(Ordering::Relaxed).min(seeds.end)
}

/// A bar on standard error, hidden where that is no terminal. A search that ends by the clock
/// has no length.
fn progress_bar(seeds: &Range<u64>, by_clock: bool) -> ProgressBar {
    if by_clock {
        return spinner("scenarios without a violation");
    }
    let bar = ProgressBar::new(seeds.end - seeds.start);
    let template = "[{bar:36}] {pos} of {len} seeds, {per_sec}, no violation, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A bar that counts without knowing how far.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg}, {elapsed}, {per_sec}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
