//! Lays a file, the environment and overrides over the embedded defaults.
//!
//! Each setting is tried on its own, so that one run lists every mistake, not the first.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ConfigError, Validate, is_secret};

/// Environment variables of ours begin with this; `__` stands between section and key.
const ENV_PREFIX: &str = "THALWEG__";
/// The sections of every service and of the command. They share an environment, so each accepts the others' sections
/// there, and nothing else: a mistyped section would be a setting that silently does not hold.
pub const SECTIONS: [&str; 10] =
    ["frame", "kafka", "redis", "privacy", "ingest", "trainer", "model", "scorer", "topics", "operator"];
/// No setting means a longer time; what is computed with it stays far from every bound of numbers.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// Tables whose keys are not ours to know; their values are strings.
const FREE_FORM: [&str; 1] = ["kafka.properties"];

/// One value that somebody set.
struct Setting {
    path: Vec<String>,
    value: Given,
    /// Who set it, for the message.
    origin: String,
}

enum Given {
    /// From a file: it has a type.
    Typed(Value),
    /// From the environment or an override: it takes the type of the default.
    Text(String),
}

/// Reads a configuration: `defaults` < `file` < environment (if `env`) < `overrides` (`section.key`, value).
///
/// Variables for other services' [`SECTIONS`] are passed over: a shared environment may hold them.
///
/// # Errors
/// Every unknown section or key, wrong type, malformed value and failed check, all at once.
pub fn load<C: DeserializeOwned + Validate>(
    defaults: &str,
    file: Option<&Path>,
    overrides: &[(&str, String)],
    env: bool,
) -> Result<C, ConfigError> {
    load_shown(defaults, file, overrides, env).map(|(config, _)| config)
}

/// As [`load`]; beside the configuration what is in force, as TOML without its secrets.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_shown<C: DeserializeOwned + Validate>(
    defaults: &str,
    file: Option<&Path>,
    overrides: &[(&str, String)],
    env: bool,
) -> Result<(C, String), ConfigError> {
    let variables = if env { variables(std::env::vars_os())? } else { Vec::new() };
    load_from(defaults, file, variables, overrides)
}

/// Our variables of an environment; what others put into it is not looked at.
fn variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let ours = all.filter(|(name, _)| name.as_encoded_bytes().starts_with(ENV_PREFIX.as_bytes()));
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in ours {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (name, _) => {
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                problems.push(format!("{name}: the environment variable is not UTF-8; set it again, or take it out"));
            }
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(ConfigError(problems)) }
}

fn load_from<C: DeserializeOwned + Validate>(
    defaults: &str,
    file: Option<&Path>,
    variables: Vec<(String, String)>,
    overrides: &[(&str, String)],
) -> Result<(C, String), ConfigError> {
    let mut tree: Table = defaults.parse().map_err(|error| one(format!("the embedded defaults: {error}")))?;
    let mut problems = Vec::new();
    let mut settings = Vec::new();
    if let Some(file) = file {
        match read(file) {
            Ok(table) => leaves(&table, &tree, &mut Vec::new(), &file.display().to_string(), &mut settings),
            Err(problem) => problems.push(problem),
        }
    }
    for (name, value) in variables {
        match from_env(&name, value, &tree) {
            Ok(setting) => settings.extend(setting),
            Err(problem) => problems.push(format!("{problem} ({name})")),
        }
    }
    settings.extend(overrides.iter().map(|(path, value)| Setting {
        path: split(path),
        value: Given::Text(value.clone()),
        origin: "override".into(),
    }));

    // The defaults alone must be good, or the trials below would blame the wrong setting.
    if let Err(error) = tree.clone().try_into::<C>() {
        return Err(one(format!("the embedded defaults: {}", error.message())));
    }
    for Setting { path, value, origin } in settings {
        let key = path.join(".");
        match place(&tree, &path, value) {
            Ok(candidate) => match candidate.clone().try_into::<C>() {
                Ok(_) => tree = candidate,
                Err(error) => problems.push(format!("{key}: {} ({origin})", error.message())),
            },
            Err(problem) => problems.push(format!("{key}: {problem} ({origin})")),
        }
    }
    let shown = without_secrets(&tree).to_string();
    match tree.try_into::<C>() {
        Ok(config) => {
            problems.extend(config.problems());
            if problems.is_empty() { Ok((config, shown)) } else { Err(ConfigError(problems)) }
        }
        Err(error) => Err(one(error.message().to_owned())),
    }
}

fn one(problem: String) -> ConfigError {
    ConfigError(vec![problem])
}

fn read(file: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read ({error}); name a readable file", file.display()))?;
    // The error's own text quotes the line, which may hold a secret.
    let place = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("line {line}, column {}", before.chars().rev().take_while(|c| *c != '\n').count() + 1)
    };
    text.parse::<Table>()
        .map_err(|error| format!("{}: {}: {}", file.display(), place(&error), error.message().trim_end()))
}

/// Collects what a file sets, one setting for each leaf of the schema.
fn leaves(table: &Table, schema: &Table, path: &mut Vec<String>, origin: &str, settings: &mut Vec<Setting>) {
    for (key, value) in table {
        path.push(key.clone());
        match (value, schema.get(key)) {
            (Value::Table(inner), Some(Value::Table(known))) if !is_free_form(path) => {
                leaves(inner, known, path, origin, settings);
            }
            (Value::Table(inner), _) if is_free_form(path) => {
                for (name, value) in inner {
                    let path = path.iter().cloned().chain([name.clone()]).collect();
                    settings.push(Setting { path, value: Given::Typed(value.clone()), origin: origin.into() });
                }
            }
            _ => {
                settings.push(Setting {
                    path: path.clone(),
                    value: Given::Typed(value.clone()),
                    origin: origin.into(),
                });
            }
        }
        path.pop();
    }
}

/// `THALWEG__KAFKA__BROKERS` → `kafka.brokers`; in a free-form table `_` stands for the dots of a name. `None` for what
/// is not ours or another service's.
fn from_env(name: &str, value: String, schema: &Table) -> Result<Option<Setting>, String> {
    let Some(rest) = name.strip_prefix(ENV_PREFIX) else { return Ok(None) };
    let mut path: Vec<String> = rest.to_lowercase().split("__").map(str::to_owned).collect();
    let section = &*path[0];
    if !schema.contains_key(section) {
        return if SECTIONS.contains(&section) { Ok(None) } else { Err(unknown_section(section, schema)) };
    }
    if path.len() > 2 && is_free_form(&path[..2]) {
        let key = path.split_off(2).join("_").replace('_', ".");
        path.push(key);
    }
    Ok(Some(Setting { path, value: Given::Text(value), origin: name.to_owned() }))
}

fn unknown_section(section: &str, schema: &Table) -> String {
    let known = || schema.keys().map(String::as_str).chain(SECTIONS);
    match known().min_by_key(|name| strsim::damerau_levenshtein(name, section)) {
        Some(nearest) => format!("{section}: no service has this section; did you mean {nearest}?"),
        None => format!("{section}: no service has this section"),
    }
}

/// A copy that may be shown.
fn without_secrets(tree: &Table) -> Table {
    let shown = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Table(inner) => Value::Table(without_secrets(inner)),
            Value::String(secret) if is_secret(key) && !secret.is_empty() => Value::String("***".into()),
            Value::String(url) if key == "url" => Value::String(crate::redis::redacted(url)),
            other => other.clone(),
        };
        (key.clone(), value)
    };
    tree.iter().map(shown).collect()
}

/// Splits `section.key`; what follows a free-form table is one key, dots and all.
fn split(path: &str) -> Vec<String> {
    for table in FREE_FORM {
        if let Some(key) = path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.')) {
            return table.split('.').map(str::to_owned).chain([key.to_owned()]).collect();
        }
    }
    path.split('.').map(str::to_owned).collect()
}

fn is_free_form(path: &[impl AsRef<str>]) -> bool {
    let joined = path.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(".");
    FREE_FORM.contains(&joined.as_str())
}

/// A copy of `tree` with one value replaced.
fn place(tree: &Table, path: &[String], value: Given) -> Result<Table, String> {
    let (key, tables) = path.split_last().ok_or("is empty")?;
    let free_form = is_free_form(tables);
    let mut changed = tree.clone();
    let mut table = &mut changed;
    for name in tables {
        let known = names(table);
        table = match table.get_mut(name) {
            Some(Value::Table(inner)) => inner,
            Some(other) => return Err(format!("{name} is {}, not a section", kind(other))),
            None if free_form => return Err(format!("the defaults lack the table {}", tables.join("."))),
            None => return Err(format!("unknown section {name}; known here: {known}")),
        };
    }
    let value = match (table.get(key), free_form) {
        (_, true) => Value::String(text(value)?),
        (Some(default), false) => fit(default, value).and_then(|value| bounded(default, value))?,
        (None, false) => return Err(format!("unknown key; known here: {}", names(table))),
    };
    table.insert(key.clone(), value);
    Ok(changed)
}

/// Gives `value` the type of the default.
fn fit(default: &Value, value: Given) -> Result<Value, String> {
    let wrong = |found: &str| format!("must be {}, not {found}", kind(default));
    match (default, value) {
        (Value::Float(_), Given::Typed(Value::Integer(whole))) => Ok(Value::Float(whole as f64)),
        (_, Given::Typed(value)) if value.same_type(default) => Ok(value),
        (_, Given::Typed(value)) => Err(wrong(kind(&value))),
        (Value::String(_), Given::Text(text)) => Ok(Value::String(text)),
        (Value::Integer(_), Given::Text(text)) => text.trim().parse().map(Value::Integer).map_err(|_| wrong("a text")),
        (Value::Float(_), Given::Text(text)) => text.trim().parse().map(Value::Float).map_err(|_| wrong("a text")),
        (Value::Boolean(_), Given::Text(text)) => text.trim().parse().map(Value::Boolean).map_err(|_| wrong("a text")),
        (Value::Table(_), Given::Text(_)) => Err("is a section; set its keys one by one".into()),
        (_, Given::Text(text)) => {
            // Lists are written as in the file: ["a", "b"].
            let mut parsed: Table = format!("value = {text}").parse().map_err(|_| wrong("a text"))?;
            let value = parsed.remove("value").ok_or_else(|| wrong("a text"))?;
            if value.same_type(default) { Ok(value) } else { Err(wrong(kind(&value))) }
        }
    }
}

/// Refuses times that are longer than any setting means. A default tells that a text is a time.
fn bounded(default: &Value, value: Value) -> Result<Value, String> {
    let time = |value: &Value| value.as_str().and_then(|text| humantime::parse_duration(text).ok());
    match (time(default), time(&value)) {
        (Some(_), Some(long)) if long > LONGEST => Err("at most 10years".to_owned()),
        _ => Ok(value),
    }
}

fn text(value: Given) -> Result<String, String> {
    match value {
        Given::Text(text) | Given::Typed(Value::String(text)) => Ok(text),
        Given::Typed(Value::Integer(number)) => Ok(number.to_string()),
        Given::Typed(Value::Float(number)) => Ok(number.to_string()),
        Given::Typed(Value::Boolean(flag)) => Ok(flag.to_string()),
        Given::Typed(other) => Err(format!("must be a text, not {}", kind(&other))),
    }
}

fn names(table: &Table) -> String {
    table.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

#[cfg(test)]
mod tests;
