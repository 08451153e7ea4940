//! A service as a binary: arguments, configuration, log, admin port, signals, exit code.
#![allow(clippy::disallowed_methods, reason = "the task that obeys signals ends with the process")]

use std::error::Error;
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, value_parser};
use serde::de::DeserializeOwned;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::admin::{self, AdminError};
use crate::config::{self, Frame, Validate};
use crate::context::{Context, TaskError};
use crate::telemetry::{init_tracing, install_metrics};

/// How long blocking calls into librdkafka may hold up the exit after the drain.
const LAST_CALLS: Duration = Duration::from_secs(1);
/// How long a probe or a scrape that is under way may.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// A service binary: `--config FILE`, `--check-config`, `--help`, `--version`.
#[derive(Debug)]
pub struct App {
    name: &'static str,
    defaults: &'static str,
}

/// Why the service ended other than by a clean drain.
#[derive(Debug, thiserror::Error)]
enum Failure<E: Error> {
    #[error(transparent)]
    Service(E),
    #[error(transparent)]
    Task(TaskError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("cannot install the signal handlers")]
    Signals(#[source] std::io::Error),
}

impl App {
    /// A service called `name`, with its commented `config.toml` as defaults and schema.
    #[must_use]
    pub fn new(name: &'static str, defaults: &'static str) -> Self {
        Self { name, defaults }
    }

    /// Runs the service until it ends, fails, or is asked to end by SIGTERM or SIGINT.
    ///
    /// The first signal drains within `frame.grace`; the second exits at once. The exit code is 0
    /// after a clean end, 1 after a failure, 2 for a configuration that is refused.
    pub fn run<C, F, Fut, E>(self, service: F) -> ExitCode
    where
        C: DeserializeOwned + Validate + AsRef<Frame>,
        F: FnOnce(C, Context) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Error,
    {
        let arguments = self.command().get_matches();
        let file = arguments.get_one::<PathBuf>("config").map(PathBuf::as_path);
        let (config, shown) = match config::load_shown::<C>(self.defaults, file, &[], true) {
            Ok(loaded) => loaded,
            Err(problems) => {
                let problems = plain(&problems.to_string());
                let _ = writeln!(std::io::stderr(), "{}: the configuration is refused:\n{problems}", self.name);
                return ExitCode::from(2);
            }
        };
        if arguments.get_flag("check-config") {
            // The verdict apart, so that the configuration may go to a file or a `diff`.
            let _ = write!(std::io::stdout(), "{shown}");
            let _ = writeln!(std::io::stderr(), "{}: the configuration is good", self.name);
            return ExitCode::SUCCESS;
        }
        init_tracing(&config.as_ref().log);
        self.start(config, file, service)
    }

    fn start<C, F, Fut, E>(&self, config: C, file: Option<&Path>, service: F) -> ExitCode
    where
        C: AsRef<Frame>,
        F: FnOnce(C, Context) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Error,
    {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                error!(service = self.name, %error, "cannot start threads; raise the limit of processes");
                return ExitCode::FAILURE;
            }
        };
        let frame = config.as_ref().clone();
        let ctx = Context::with_limits(self.name, frame.grace, frame.stall);
        let file = file.map(|file| file.display().to_string());
        info!(service = self.name, version = env!("CARGO_PKG_VERSION"), file, "starting");
        let outcome = runtime.block_on(supervise(&frame, &ctx, || service(config, ctx.clone())));
        runtime.shutdown_timeout(LAST_CALLS);
        match outcome {
            Ok(()) => {
                info!(service = self.name, "ended");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                error!(service = self.name, error = crate::context::chain(&failure), "ended");
                ExitCode::FAILURE
            }
        }
    }

    fn command(&self) -> Command {
        Command::new(self.name)
            .version(env!("CARGO_PKG_VERSION"))
            .about(format!("Thalweg's {}", self.name))
            .after_help(
                "Settings come from the embedded defaults, then FILE, then the environment\n\
                 (THALWEG__SECTION__KEY, for example THALWEG__KAFKA__BROKERS=localhost:9092).",
            )
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("A TOML file laid over the defaults"),
            )
            .arg(
                Arg::new("check-config")
                    .long("check-config")
                    .action(ArgAction::SetTrue)
                    .help("Print what is in force, without secrets, or list every problem; and exit"),
            )
    }
}

/// What a file or a variable holds, as a terminal may show it: nothing of it is a command, and nothing turns the
/// direction of reading.
fn plain(text: &str) -> String {
    let steers = |c: char| {
        let turns =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && c != '\n')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

/// Runs the service between its admin port, its signals and its tasks.
async fn supervise<Fut, E>(frame: &Frame, ctx: &Context, service: impl FnOnce() -> Fut) -> Result<(), Failure<E>>
where
    Fut: Future<Output = Result<(), E>>,
    E: Error,
{
    let terminate = signal(SignalKind::terminate()).map_err(Failure::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(Failure::Signals)?;
    let signals = tokio::spawn(obey(terminate, interrupt, ctx.clone()));
    let port = admin::open(&frame.admin.listen, ctx, install_metrics()).await?;

    let outcome = tokio::select! {
        outcome = ctx.watched("the service's loop", service()) => outcome.map_err(Failure::Service),
        () = ctx.grace_over() => {
            let grace = frame.grace;
            warn!(
                service = ctx.name(), ?grace,
                "left uncommitted: in-flight work was not done within frame.grace; it is done after the restart"
            );
            Ok(())
        }
    };
    ctx.drain();
    tokio::select! {
        _ = ctx.join() => {} // a failure is looked up below
        () = ctx.grace_over() => warn!(service = ctx.name(), "tasks or connections are still open; leaving them"),
    }
    if let Some(port) = port {
        let _ = tokio::time::timeout(LAST_ANSWERS, port.drain()).await; // who is slower than that is left
    }
    signals.abort();
    // A task's failure is the cause; the service's own error is often its echo.
    ctx.failure().map_or(outcome, |failure| Err(Failure::Task(failure)))
}

/// The first signal drains; the second exits at once, with work undone.
async fn obey(mut terminate: Signal, mut interrupt: Signal, ctx: Context) {
    for first in [true, false] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if first {
            info!(service = ctx.name(), grace = ?ctx.grace(), "asked to end; finishing in-flight work");
            ctx.drain();
        }
    }
    warn!(service = ctx.name(), "asked to end again; exiting at once");
    std::process::exit(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Admin, Log, LogFormat};
    use std::convert::Infallible;

    fn frame(grace: Duration) -> Frame {
        Frame {
            admin: Admin { listen: String::new() },
            log: Log { level: "info".into(), format: LogFormat::Auto },
            grace,
            stall: Duration::from_secs(60),
        }
    }

    #[tokio::test]
    async fn a_panicking_task_makes_run_return_an_error() {
        let frame = frame(Duration::from_secs(5));
        let ctx = Context::with_grace("test", frame.grace);
        let outcome: Result<(), Failure<Infallible>> = supervise(&frame, &ctx, || async {
            ctx.spawn::<_, Infallible>("worker", async { std::panic::resume_unwind(Box::new("boom")) });
            ctx.drained().await;
            Ok(())
        })
        .await;
        let line = crate::context::chain(&outcome.expect_err("the task panicked"));
        assert_eq!(line, "task worker panicked: boom");
    }

    #[tokio::test]
    async fn work_that_outlasts_the_grace_is_left_uncommitted_and_is_no_failure() {
        let frame = frame(Duration::from_millis(50));
        let ctx = Context::with_grace("test", frame.grace);
        let outcome: Result<(), Failure<Infallible>> = supervise(&frame, &ctx, || async {
            ctx.drain();
            std::future::pending().await
        })
        .await;
        assert!(outcome.is_ok(), "nothing is lost: {outcome:?}");
    }

    #[test]
    fn a_refused_configuration_steers_no_terminal() {
        let refused = "x.toml: `\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}`\nüber: unknown";
        assert_eq!(plain(refused), "x.toml: `\\u{1b}]0;owned\\u{7}\\u{9b}31m\\u{202e}`\nüber: unknown");
    }

    #[test]
    fn the_command_line_is_well_formed() {
        App::new("test", "").command().debug_assert();
    }
}
