//! Runs jobs on one or two threads: taken in order, results in order, none begun once it is time to stop.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::Error;

/// Learners held at once, at most.
const MOST: usize = 2;

/// How many jobs may run at once here.
pub(crate) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

/// Runs `work` on each job. A job that was not begun, because `stop` said so before it, has no result.
///
/// # Errors
/// The first error of a job; none is begun after it.
pub(crate) fn run<J: Sync, R: Send>(
    workers: usize,
    jobs: &[J],
    stop: impl Fn() -> bool + Sync,
    work: impl Fn(&J) -> Result<R, Error> + Sync,
) -> Result<Vec<Option<R>>, Error> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Mutex<Vec<Option<R>>> = Mutex::new(jobs.iter().map(|_| None).collect());
    let toil = || -> Result<(), Error> {
        while !failed.load(Ordering::Relaxed) && !stop() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            let result = work(job).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[number] = Some(result);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(toil)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            thread.join().map_err(|_| Error::Other("a trial's thread panicked".to_owned()))?
        };
        threads.into_iter().map(join).collect::<Vec<_>>().into_iter().collect::<Result<(), Error>>()
    })?;
    Ok(results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs_on_any_number_of_threads() {
        let jobs: Vec<u64> = (0..40).collect();
        for workers in [1, 2, 7] {
            let squares = run(workers, &jobs, || false, |job| Ok(job * job)).expect("runs");
            assert!(squares.iter().zip(&jobs).all(|(square, job)| *square == Some(job * job)));
        }
    }

    #[test]
    fn nothing_is_begun_once_it_is_time_to_stop() {
        let begun = AtomicUsize::new(0);
        let work = |_: &u64| Ok(begun.fetch_add(1, Ordering::Relaxed));
        let results = run(1, &[1, 2, 3, 4], || begun.load(Ordering::Relaxed) >= 2, work).expect("runs");
        assert_eq!(results, [Some(0), Some(1), None, None]);
    }

    #[test]
    fn an_error_ends_the_work_and_is_told() {
        let fail = |job: &u64| if *job == 2 { Err(Error::Other("broken".to_owned())) } else { Ok(*job) };
        assert_eq!(run(2, &[1, 2, 3], || false, fail).expect_err("fails").to_string(), "broken");
    }
}
