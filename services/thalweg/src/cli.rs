//! The command line: what can be asked, and who answers.
#![allow(rustdoc::broken_intra_doc_links, reason = "clap prints these as help, where [kafka] is a section")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use laboratory::output;
use laboratory::shown;
use laboratory::tune;
use schemas::signature::SECRET;

use crate::commands;
use crate::config::{Config, TRAINER};
use crate::demo;
use crate::error::Error;

#[derive(Parser, Debug)]
#[command(
    name = "thalweg",
    version,
    about = "Runs, watches and examines a Thalweg recommender",
    after_help = "Example: thalweg demo --seconds 60 --report report.json\n\n\
        `thalweg COMMAND --help` shows an example of each command."
)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// What the options of [`Place`] stand under in `--help`, apart from those of the command.
const SERVERS: &str = "Servers";

/// Where Kafka and Redis are.
#[derive(Args, Debug, Clone)]
pub(crate) struct Place {
    /// A TOML file with sections [kafka], [redis], [privacy], [topics] and [operator].
    #[arg(long, global = true, value_name = "FILE", help_heading = SERVERS)]
    config: Option<PathBuf>,
    /// Kafka brokers, host:port, separated by commas.
    #[arg(long, global = true, env = "KAFKA_BROKERS", value_name = "LIST", help_heading = SERVERS)]
    pub(crate) brokers: Option<String>,
    /// Redis, redis://host:port/db.
    #[arg(long, global = true, env = "REDIS_URL", value_name = "URL", hide_env_values = true, help_heading = SERVERS)]
    pub(crate) redis: Option<String>,
    /// Prefix of every topic's name.
    #[arg(long, global = true, value_name = "PREFIX", help_heading = SERVERS)]
    pub(crate) topic_prefix: Option<String>,
    /// Prefix of every Redis key.
    #[arg(long, global = true, value_name = "PREFIX", help_heading = SERVERS)]
    pub(crate) key_prefix: Option<String>,
    /// The file of the key that signs decisions, made by `thalweg keys new`.
    #[arg(long, global = true, value_name = "FILE", help_heading = SERVERS)]
    sign_key: Option<String>,
}

impl Place {
    fn load(&self) -> Result<Config, Error> {
        if self.sign_key.as_ref().is_some_and(|given| given.starts_with(SECRET)) {
            let advice = "name its file, or set THALWEG__OPERATOR__SIGN_KEY";
            return Err(Error::Other(format!(
                "--sign-key: everybody on this machine sees what is written here; {advice}"
            )));
        }
        let given = [
            ("kafka.brokers", &self.brokers),
            ("redis.url", &self.redis),
            ("kafka.topic_prefix", &self.topic_prefix),
            ("redis.key_prefix", &self.key_prefix),
            ("operator.sign_key", &self.sign_key),
        ];
        let given: Vec<(&str, String)> =
            given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect();
        Ok(Config::load(self.config.as_deref(), &given)?)
    }

    /// Refuses options that `command` would not use; the environment is meant for other commands, too.
    fn refuse(&self, command: &str, options: &[&str], instead: &str) -> Result<(), Error> {
        let given = [
            ("--config", self.config.is_some()),
            ("--topic-prefix", self.topic_prefix.is_some()),
            ("--key-prefix", self.key_prefix.is_some()),
            ("--sign-key", self.sign_key.is_some()),
        ];
        match given.into_iter().find(|(option, given)| *given && options.contains(option)) {
            Some((option, _)) => Err(Error::Other(format!("`thalweg {command}` does not use {option}: {instead}"))),
            None => Ok(()),
        }
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs the whole loop on this machine (broker, ingest, trainer, scorer and traffic) and reports the results.
    #[command(after_help = "Example: thalweg demo --log clicks.csv.gz \
        --columns user=session_id,item=article_id,time=timestamp --rate 1000 --report r.json")]
    Demo(demo::Args),
    /// Sends a recorded log to the topic `events` of a running Thalweg, and its catalog only on request.
    #[command(after_help = "Example: thalweg replay clicks.csv.gz \
        --columns user=session_id,item=article_id,time=timestamp --speed 60x")]
    Replay(commands::replay::Args),
    /// Tests and trains on a recorded log without Kafka: how good would the recommendations have been?
    #[command(after_help = "Example: thalweg evaluate prequential clicks.csv.gz \
        --columns user=session_id,item=article_id,time=timestamp --json")]
    Evaluate {
        #[command(subcommand)]
        how: commands::evaluate::How,
    },
    /// Searches the learner's settings on a recorded log, and writes a config.toml for the trainer.
    #[command(
        long_about = "Searches the learner's settings on a recorded log, and writes a config.toml for the trainer.\n\n\
            The search is by successive halving. All trials, with settings drawn around the starting ones, are tested \
            and trained on a short prefix of the log. The best third of them runs on a prefix three times as long, and \
            the best third of those on the first two thirds of the log. Trials are ranked by HR@20 + MRR@20 of choices \
            by users who acted before, after the first 20 % of the prefix. No trial sees the last third of the log: \
            the winner and the starting settings run over the whole log and are compared there. The winner's settings \
            are written only if the 95 % interval of the gain lies above zero; otherwise the starting ones are \
            written, and the file says so. The same seed and --trials give the same outcome.",
        after_help = "Example: thalweg tune clicks.csv.gz \
            --columns user=session_id,item=article_id,time=timestamp --time 10m --output tuned.toml"
    )]
    Tune(tune::Args),
    /// Creates, checks or extends the topics.
    #[command(after_help = "Example: thalweg topics apply --partitions 8")]
    Topics {
        #[command(subcommand)]
        what: commands::topics::What,
    },
    /// Writes a file of items, such as a product feed, to the catalog.
    #[command(after_help = "Example: thalweg items import products.csv --dry-run")]
    Items {
        #[command(subcommand)]
        what: commands::items::What,
    },
    /// Lists, shows, exports or imports versions of the model.
    #[command(after_help = "Example: thalweg checkpoints export latest model.safetensors")]
    Checkpoints {
        #[command(subcommand)]
        what: commands::checkpoints::What,
    },
    /// Decides which version is served: pin, roll back, hold; and shows who decided what.
    #[command(after_help = "Example: thalweg release rollback 000003-00000120 --reason \"bad feed since noon\"")]
    Release {
        #[command(subcommand)]
        what: commands::release::What,
    },
    /// Shows from whom the trainer learns nothing, because they are faster than people.
    #[command(after_help = "Example: thalweg guard show")]
    Guard {
        #[command(subcommand)]
        what: commands::guard::What,
    },
    /// Forgets a user: their later events are dropped, their lists deleted, and the model goes on without them.
    ///
    /// The output says what stays: sums that the user's events were part of cannot be undone, and topics keep the
    /// events within their retention (`--verify`).
    #[command(after_help = "Example: thalweg erase u42 --reason \"request 1234\"\n         \
        thalweg erase u42 --verify")]
    Erase(commands::erase::Args),
    /// Shows what was done to releases and by whom, and checks that the record of it is whole.
    #[command(after_help = "Example: thalweg audit verify")]
    Audit {
        #[command(subcommand)]
        what: commands::audit::What,
    },
    /// Makes a key to sign with, or shows the public key that others trust.
    #[command(after_help = "Example: thalweg keys new trainer.key")]
    Keys {
        #[command(subcommand)]
        what: commands::keys::What,
    },
    /// Shows a user's recommendations and why each item is there.
    #[command(after_help = "Example: thalweg recs u42 --json")]
    Recs(commands::recs::Args),
    /// Lists refused events, or sends them to `events` again.
    #[command(after_help = "Example: thalweg dead-letters list --reason in_future")]
    DeadLetters {
        #[command(subcommand)]
        what: commands::dead_letters::What,
    },
}

/// How long background work may still take at the end.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Parses, runs, and turns an error into one line and an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) if !help.use_stderr() => help.exit(),
        Err(error) => {
            output::note(error.to_string().trim_end()); // with what was written, and nothing in it that steers a terminal
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(format!("error: the runtime does not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LAST_CALLS); // something may be left where a signal ended a demo
    match outcome {
        Ok(code) => output::failure().map_or(code, |error| {
            output::note(format!("error: the output is not whole: {error}; print it to where there is room"));
            ExitCode::FAILURE
        }),
        Err(Error::Config(problems)) => {
            output::note(format!("error: the configuration is refused:\n{problems}")); // a problem, a line
            ExitCode::FAILURE
        }
        Err(error) => {
            output::note(format!("error: {}", shown::plain(&error.told())));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let place = cli.place;
    if let Command::Demo(args) = cli.command {
        // It brings its own servers, or is told where they are.
        place.refuse("demo", &["--config", "--sign-key"], "leave it out")?;
        return demo::run(args, place).await;
    }
    let servers = ["--config", "--topic-prefix", "--key-prefix", "--sign-key"];
    let settings = "leave it out; the learner's settings are given by --settings";
    if let Command::Evaluate { how } = cli.command {
        place.refuse("evaluate", &servers, settings)?;
        tokio::task::block_in_place(|| commands::evaluate::run(&how))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Tune(args) = cli.command {
        place.refuse("tune", &servers, settings)?;
        tokio::task::block_in_place(|| tune::run(&args, &TRAINER))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Keys { what } = &cli.command {
        place.refuse("keys", &servers, "leave it out; a key belongs to no server")?;
        commands::keys::run(what)?;
        return Ok(ExitCode::SUCCESS);
    }
    runtime::telemetry::init_tracing(&runtime::config::Log {
        level: "warn".into(),
        format: runtime::config::LogFormat::Auto,
    });
    let config = place.load()?;
    match cli.command {
        Command::Replay(args) => commands::replay::run(args, &config).await?,
        Command::Topics { what } => return commands::topics::run(what, &config).await,
        Command::Items { what } => commands::items::run(what, &config).await?,
        Command::Checkpoints { what } => commands::checkpoints::run(what, &config).await?,
        Command::Release { what } => return commands::release::run(what, &config).await,
        Command::Guard { what } => commands::guard::run(what, &config).await?,
        Command::Erase(args) => return commands::erase::run(args, &config).await,
        Command::Audit { what } => return commands::audit::run(what, &config).await,
        Command::Recs(args) => return commands::recs::run(args, &config).await,
        Command::DeadLetters { what } => commands::dead_letters::run(what, &config).await?,
        Command::Demo(_) | Command::Evaluate { .. } | Command::Tune(_) | Command::Keys { .. } => {} // answered above
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn without(command: &clap::Command) -> Vec<String> {
            let mut below: Vec<String> = command.get_subcommands().flat_map(without).collect();
            if !command.get_after_help().is_some_and(|help| help.to_string().contains("Example: thalweg ")) {
                below.push(command.get_name().to_owned());
            }
            below
        }
        assert_eq!(without(&Cli::command()), [""; 0]);
    }

    fn help(path: &[&str]) -> String {
        let line = ["thalweg"].iter().chain(path).chain(&["--help"]);
        // Options wrap at the terminal's width.
        let help = Cli::try_parse_from(line).expect_err("help is shown").to_string();
        help.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_options_for_servers_stand_apart() {
        for path in [&["evaluate", "prequential"][..], &["tune"], &["demo"], &["topics", "check"]] {
            let help = help(path);
            let (own, servers) = help.split_once("Servers:").expect("has a heading");
            for option in ["--config <FILE>", "--brokers <LIST>", "--redis <URL>", "--topic-prefix", "--key-prefix"] {
                assert!(servers.contains(option) && !own.contains(option), "{path:?}: {help}");
            }
        }
    }

    #[test]
    fn the_help_names_words_for_types_that_are_known() {
        let help = help(&["replay"]);
        for word in ["click", "page_view", "detail", "add_to_cart", "basket", "buy", "order", "wishlist", "show"] {
            assert!(help.contains(word) && laboratory::log::event_type(word).is_ok(), "{word}: {help}");
        }
    }

    #[test]
    fn the_help_for_floors_names_every_figure() {
        let help = help(&["evaluate", "prequential"]);
        for figure in laboratory::evaluate::prequential::figures() {
            assert!(help.contains(figure), "{figure}: {help}");
        }
        assert!(help.contains("after the first 20 % of the stream"), "{help}");
    }

    #[test]
    fn options_that_contradict_each_other_are_refused_and_named() {
        let refusal = |line: &str| Cli::try_parse_from(line.split(' ')).expect_err(line).to_string();
        let log = "thalweg demo --log x.csv --columns user=u,item=i";
        for (line, named) in [
            (&*format!("{log} --rate 5 --speed 60x"), "'--rate <N>' cannot be used with '--speed <SPEED>'"),
            ("thalweg replay x.csv --rate max --speed 60x", "'--rate <N>' cannot be used with '--speed <SPEED>'"),
            (&*format!("{log} --seconds 5"), "'--log <FILE>' cannot be used with '--seconds <N>'"),
            ("thalweg demo --speed 60x", "--log <FILE>"),
            ("thalweg demo --columns user=u,item=i", "--log <FILE>"),
            ("thalweg demo --type purchase", "--log <FILE>"),
            ("thalweg demo --seconds 0", "0 is not in 1.."),
            ("thalweg demo --report r.html", "r.json"),
            ("thalweg demo --rate 0", "such as 500, or max"),
            ("thalweg dead-letters replay --all --limit 5", "cannot be used with"),
            ("thalweg dead-letters replay --from 7", "PARTITION:OFFSET"),
            ("thalweg dead-letters list --reason nope", "empty, too_large, not_json"),
        ] {
            let text = refusal(line);
            assert!(text.contains(named), "{line}: {text}");
        }
        for speed in ["--speed 60x", "--rate max", "--rate 1000"] {
            Cli::try_parse_from(format!("{log} {speed}").split(' ')).expect("is good");
        }
    }
}
