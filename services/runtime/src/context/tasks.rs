//! Named tasks and threads: one that ends early, fails or panics fails the whole service.
#![allow(clippy::disallowed_methods, reason = "this is where tasks and threads are started and watched")]

use std::any::Any;
use std::error::Error;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use thread_priority::ThreadPriority;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::failure::{TaskError, chain};
use super::{Context, Pulse};

/// Of 0 to 99: niceness 3 on Linux. From 5 on the learner falls behind on two busy cores.
const BACKGROUND: u8 = 40;

/// A running thread's result; dropping it leaves the thread running, watched all the same.
#[derive(Debug)]
pub struct Thread<T> {
    name: &'static str,
    result: oneshot::Receiver<Result<T, TaskError>>,
}

impl<T> Thread<T> {
    /// Waits for the thread's result.
    ///
    /// # Errors
    /// [`TaskError::Panicked`]; the service has failed by then.
    pub async fn join(self) -> Result<T, TaskError> {
        let gone = TaskError::Panicked { task: self.name, message: "the thread could not be started".into() };
        self.result.await.unwrap_or(Err(gone))
    }
}

impl Context {
    /// Runs a task that is to last as long as the service.
    ///
    /// If it fails, panics, or ends before the drain, the service drains and fails with it.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let (ctx, task) = (self.clone(), self.watched(name, task));
        self.inner.tasks.spawn(async move {
            match tokio::spawn(task).await {
                Ok(Ok(())) if ctx.draining() => {}
                Ok(Ok(())) => ctx.fail(TaskError::Ended { task: name }),
                Ok(Err(source)) => ctx.fail(TaskError::Failed { task: name, source: Arc::new(source) }),
                Err(join) => match join.try_into_panic() {
                    Ok(panic) => ctx.fail(TaskError::Panicked { task: name, message: message(&*panic) }),
                    Err(_cancelled) => {} // the tokio runtime is going down
                },
            }
        });
    }

    /// Runs one piece of CPU-heavy work on a thread of its own; it may end whenever it is done.
    ///
    /// If it panics, the service drains and fails.
    pub fn spawn_thread<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Thread<T> {
        self.spawn_worker(name, move |pulse| {
            let _busy = pulse.long_work("its only one");
            work()
        })
    }

    /// Runs a loop over work that is handed to it on a thread of its own, which marks each piece by its [`Pulse`].
    ///
    /// If it panics, the service drains and fails.
    pub fn spawn_worker<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(Pulse) -> T + Send + 'static,
    ) -> Thread<T> {
        let (send, result) = oneshot::channel();
        let ctx = self.clone();
        let pulse = self.pulse(name);
        let alive = self.inner.tasks.token();
        let body = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(pulse))).map_err(|panic| {
                let error = TaskError::Panicked { task: name, message: message(&*panic) };
                ctx.fail(error.clone());
                error
            });
            let _ = send.send(outcome); // nobody has to wait for it
            drop(alive);
        };
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
            self.fail(TaskError::Failed { task: name, source: Arc::new(error) });
        }
        Thread { name, result }
    }

    /// [`spawn_thread`](Self::spawn_thread) for work that no slate waits for, such as encoding: it leaves the processor
    /// to what one does.
    ///
    /// With all services on two cores, a slate then waits less than half as long at the 99th percentile, and learning
    /// keeps up (`benches/README.md`).
    pub fn spawn_background<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Thread<T> {
        self.spawn_thread(name, move || {
            step_back(name);
            work()
        })
    }

    /// [`spawn_worker`](Self::spawn_worker) for work that no slate waits for, such as learning.
    pub fn spawn_background_worker<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce(Pulse) -> T + Send + 'static,
    ) -> Thread<T> {
        self.spawn_worker(name, move |pulse| {
            step_back(name);
            work(pulse)
        })
    }

    /// Resolves with the first failure of a task; never, if none fails.
    pub async fn failed(&self) -> TaskError {
        self.inner.failed.cancelled().await;
        self.failure().unwrap_or(TaskError::Ended { task: "unknown" })
    }

    /// Waits until every task and thread has ended; call it after [`drain`](Self::drain).
    ///
    /// # Errors
    /// The first failure of a task.
    pub async fn join(&self) -> Result<(), TaskError> {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.failure().map_or(Ok(()), Err)
    }

    /// The first failure of a task, if there was one.
    #[must_use]
    pub fn failure(&self) -> Option<TaskError> {
        self.inner.failure.get().cloned()
    }

    /// Records the failure that ends the service. Only the first counts.
    fn fail(&self, error: TaskError) {
        error!(service = self.name(), error = chain(&error), "a task is gone");
        let _ = self.inner.failure.set(error);
        self.inner.failed.cancel();
        self.drain();
    }
}

/// Lowers the priority of the thread.
fn step_back(name: &str) {
    let lowered = ThreadPriority::try_from(BACKGROUND).map_err(str::to_owned);
    if let Err(error) = lowered.and_then(|p| p.set_for_current().map_err(|error| format!("{error:?}"))) {
        debug!(name, error, "works at the usual priority");
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn background_work_is_nicer_than_the_rest() {
        // The 19th field, of which the second may hold blanks, in brackets.
        let niceness = || -> Option<i32> {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
            stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
        };
        let ctx = Context::new("test");
        let (usual, background) = (ctx.spawn_thread("usual", niceness), ctx.spawn_background("background", niceness));
        let (usual, background) = (usual.join().await.ok().flatten(), background.join().await.ok().flatten());
        assert!(usual.is_some_and(|usual| usual >= 3) || background == Some(3), "{usual:?} and {background:?}");
    }

    #[tokio::test]
    async fn a_panicking_task_fails_the_service() {
        let ctx = Context::new("test");
        ctx.spawn("worker", async {
            assert_eq!(1, 2, "sums");
            Ok::<_, Infallible>(())
        });
        assert!(matches!(ctx.failed().await, TaskError::Panicked { task: "worker", .. }));
        assert!(ctx.draining());
        assert!(ctx.join().await.is_err());
    }

    #[tokio::test]
    async fn a_task_that_ends_before_the_drain_fails_the_service() {
        let ctx = Context::new("test");
        ctx.spawn("worker", async { Ok::<_, Infallible>(()) });
        assert!(matches!(ctx.failed().await, TaskError::Ended { task: "worker" }));
    }

    #[tokio::test]
    async fn a_task_that_ends_with_the_drain_is_no_failure() {
        let ctx = Context::new("test");
        let until = ctx.clone();
        ctx.spawn("worker", async move {
            until.drained().await;
            Ok::<_, Infallible>(())
        });
        ctx.drain();
        assert!(ctx.join().await.is_ok());
    }

    #[tokio::test]
    async fn a_threads_result_is_returned_and_its_panic_fails_the_service() {
        let ctx = Context::new("test");
        assert_eq!(ctx.spawn_thread("sum", || 1 + 1).join().await.ok(), Some(2));
        let broken = ctx.spawn_thread("broken", || std::panic::resume_unwind(Box::new("boom")));
        let result: Result<(), _> = broken.join().await;
        assert!(result.is_err_and(|error| error.to_string() == "task broken panicked: boom"));
        assert!(ctx.failure().is_some());
    }
}
