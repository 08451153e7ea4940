//! A thread for CPU-heavy work behind a bounded channel, so that async code never waits for a processor.

use runtime::{Context, Pulse};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;

type Job = Box<dyn FnOnce() + Send>;

/// Runs one piece of work after the other; ends when dropped.
#[derive(Debug)]
pub struct Worker {
    name: &'static str,
    jobs: mpsc::Sender<Job>,
}

impl Worker {
    /// Starts the thread; if it panics, the service drains and fails.
    #[must_use]
    pub fn start(name: &'static str, ctx: &Context) -> Self {
        let (jobs, queue) = mpsc::channel(1); // who has more work waits
        ctx.spawn_worker(name, |pulse| attend(queue, &pulse, false));
        Self { name, jobs }
    }

    /// The same for work that no slate waits for.
    #[must_use]
    pub fn in_background(name: &'static str, ctx: &Context) -> Self {
        let (jobs, queue) = mpsc::channel(1);
        ctx.spawn_background_worker(name, |pulse| attend(queue, &pulse, true));
        Self { name, jobs }
    }

    /// Runs `work` there and waits for its result.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let (answer, result) = oneshot::channel();
        let job = Box::new(move || {
            let _ = answer.send(work()); // who asked may be gone
        });
        self.jobs.send(job).await.map_err(|_| Error::Stopped(self.name))?;
        result.await.map_err(|_| Error::Stopped(self.name))
    }
}

/// `long`: how long a piece takes depends on how much there is, such as a snapshot.
fn attend(mut queue: mpsc::Receiver<Job>, pulse: &Pulse, long: bool) {
    while let Some(job) = queue.blocking_recv() {
        let _busy = if long { pulse.long_work("a job") } else { pulse.work("a job") };
        job();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_comes_back_and_a_panic_is_an_error_not_a_hang() {
        let ctx = Context::new("test");
        let worker = Worker::start("sums", &ctx);
        assert_eq!(worker.run(|| 1 + 1).await.ok(), Some(2));
        let broken: Result<(), _> = worker.run(|| std::panic::resume_unwind(Box::new("boom"))).await;
        assert!(broken.is_err());
        ctx.failed().await;
    }
}
