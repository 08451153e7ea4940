//! What Redis answers instead of doing what it was told: whose fault it is, and what to do about it. Pure.
//!
//! Only one answer cannot be an outage: a key that holds another type. It is about that key alone. Everything else,
//! known or not, is waited out: Redis may be full, read-only after a failover, loading, or miss a right that is about
//! to be given, and a service that ends over it would end again at each restart.

use ::redis::{ErrorKind, RedisError};

/// A key holds another type than ours: somebody else's. Other commands of the same pipeline are not concerned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongType(pub(super) String);

/// What became of one command of a pipeline.
pub type Answer<T> = Result<T, WrongType>;

/// Redis' word for it. A script of an older Redis wraps it into a text of its own.
const WRONG_TYPE: &str = "WRONGTYPE";

/// Whether the error is about the type of one key.
pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some(WRONG_TYPE) || error.detail().is_some_and(|detail| detail.contains(WRONG_TYPE))
}

/// Whether Redis answered at all, rather than break off or stay silent.
pub(super) fn is_an_answer(error: &RedisError) -> bool {
    use ErrorKind::{AuthenticationFailed, Extension, Server, UnexpectedReturnType};
    matches!(error.kind(), Server(_) | Extension | UnexpectedReturnType | AuthenticationFailed)
}

/// Redis' own words.
pub(super) fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// What an operator can do about Redis' words.
pub(super) fn advice(said: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match said {
        _ if says(&["OOM"]) => {
            "it is full: raise its maxmemory; a maxmemory-policy that makes room would delete histories of users"
        }
        _ if says(&["READONLY"]) => "it is a replica: redis.url must lead to the primary",
        _ if says(&["NOREPLICAS"]) => "bring its replicas back, or lower its min-replicas-to-write",
        _ if says(&["MISCONF"]) => "it cannot write to its disk: its log says why",
        _ if says(&["NOAUTH", "WRONGPASS", "AuthenticationFailed", "unauthenticated"]) => {
            "correct user and password in redis.url"
        }
        _ if says(&["NOPERM"]) => "give the user of redis.url the right to",
        _ if says(&["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"]) => {
            "this passes by itself, or see its log"
        }
        _ if says(&["MOVED", "ASK", "CROSSSLOT"]) => "it is part of a cluster: redis.url must lead to a single Redis",
        _ => "mend what it says",
    }
}

#[cfg(test)]
mod tests {
    use ::redis::{FromRedisValue, Value, parse_redis_value};

    use super::*;

    /// The error that a line of Redis' protocol is.
    fn error(line: &str) -> RedisError {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an answer");
        let answer: Result<Result<Value, RedisError>, _> = FromRedisValue::from_redis_value(value);
        answer.expect("a result").expect_err("an error")
    }

    #[test]
    fn only_a_key_of_another_type_is_no_outage_whatever_redis_says() {
        for line in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "NOREPLICAS Not enough good replicas to write.",
            "MISCONF Redis is configured to save RDB snapshots",
            "BUSY Redis is busy running a script.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "NOAUTH Authentication required.",
            "NOPERM this user has no permissions",
            "EXECABORT Transaction discarded because of previous errors.",
            "ERR unknown command",
            "SOMETHING that nobody has heard of",
            "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
        ] {
            let error = error(line);
            assert!(is_an_answer(&error) && !is_wrong_type(&error), "{line}");
            assert_eq!(said(&error), line, "its own words");
        }
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation against a key",
        ] {
            assert!(is_wrong_type(&error(line)), "{line}");
        }
    }

    #[test]
    fn the_words_lead_to_advice_even_inside_a_script_of_an_older_redis() {
        assert!(advice("OOM command not allowed").contains("maxmemory"));
        assert!(advice("ERR Error running script: -READONLY You can't write").contains("replica"));
        assert_eq!(advice("SOMETHING new"), "mend what it says");
    }
}
