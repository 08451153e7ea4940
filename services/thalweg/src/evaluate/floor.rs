//! Floors: figures that must be reached, so that a build or a nightly run fails when quality falls.

use std::str::FromStr;

use serde_json::Value;

use crate::error::Error;

/// A figure of the JSON and the least it may be, in per cent: `hr_20=45`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Floor {
    figure: String,
    least: f64,
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (figure, least) = text.split_once('=').ok_or_else(|| format!("`{text}` is not like hr_20=45"))?;
        let least = least.parse().ok().filter(|least: &f64| least.is_finite());
        let least = least.ok_or_else(|| format!("`{text}` does not end in a number of per cent, such as hr_20=45"))?;
        Ok(Self { figure: figure.to_owned(), least })
    }
}

/// Holds the product's figures against the floors.
///
/// # Errors
/// With every figure that is below its floor, or that is not among the figures.
pub(crate) fn check(floors: &[Floor], figures: &Value) -> Result<(), Error> {
    let miss = |floor: &Floor| match figures[&floor.figure].as_f64() {
        Some(reached) if reached >= floor.least => None,
        Some(reached) => Some(format!("{} is {reached:.2} %, below its floor of {} %", floor.figure, floor.least)),
        None => Some(format!("{} is no figure of this evaluation: --json shows which there are", floor.figure)),
    };
    let misses: Vec<String> = floors.iter().filter_map(miss).collect();
    if misses.is_empty() { Ok(()) } else { Err(Error::Other(misses.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_below_its_floor_is_named_and_what_is_not_passes() {
        let figures = json!({ "hr_20": 45.0, "mrr_20": 15.0 });
        let floors = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("parses")).collect::<Vec<Floor>>();
        assert!(check(&floors(&["hr_20=45", "mrr_20=14.9"]), &figures).is_ok());
        let error = check(&floors(&["hr_20=45.1", "mrr_20=15", "hr_5=1"]), &figures).expect_err("is below");
        assert_eq!(
            error.to_string(),
            "hr_20 is 45.00 %, below its floor of 45.1 %; hr_5 is no figure of this evaluation: --json shows which there are"
        );
        assert!("hr_20".parse::<Floor>().is_err() && "hr_20=much".parse::<Floor>().is_err());
    }
}
