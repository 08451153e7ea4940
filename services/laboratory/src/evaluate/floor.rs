//! Floors: figures that must be reached, so that a build or a nightly run fails when quality falls.

use std::str::FromStr;

use crate::error::Error;

/// A figure and the least it may be, in per cent: `hr_20=45`.
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

/// Says before the run whether there will be figures to hold the floors against.
///
/// # Errors
/// With every floor for what is not among `figures`.
pub(crate) fn known(floors: &[Floor], figures: &[&str]) -> Result<(), Error> {
    let is_unknown = |name: &&str| !figures.contains(name);
    let unknown: Vec<&str> = floors.iter().map(|floor| floor.figure.as_str()).filter(is_unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let (unknown, figures) = (unknown.join(", "), figures.join(", "));
    Err(Error::Other(format!("--floor {unknown}: no figure of this evaluation; take one of {figures}")))
}

/// Holds the product's figures, by their names, against the floors.
///
/// # Errors
/// With every figure that is below its floor, or was not measured.
pub(crate) fn check(floors: &[Floor], figure: impl Fn(&str) -> Option<f64>) -> Result<(), Error> {
    let miss = |floor: &Floor| match figure(&floor.figure) {
        Some(reached) if reached >= floor.least => None,
        Some(reached) => Some(format!("{} is {reached:.2} %, below its floor of {} %", floor.figure, floor.least)),
        None => Some(format!("{} was not measured, so its floor is not reached", floor.figure)),
    };
    let misses: Vec<String> = floors.iter().filter_map(miss).collect();
    if misses.is_empty() { Ok(()) } else { Err(Error::Other(misses.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floors(texts: &[&str]) -> Vec<Floor> {
        texts.iter().map(|text| text.parse().expect("parses")).collect()
    }

    #[test]
    fn a_floor_for_what_is_no_figure_is_refused_with_those_that_there_are() {
        let figures = ["hr_20", "mrr_20"];
        assert!(known(&floors(&["hr_20=45", "mrr_20=15", "hr_20=40"]), &figures).is_ok() && known(&[], &[]).is_ok());
        let error = known(&floors(&["hr_20=45", "recall_10=1", "HR@20=1"]), &figures).expect_err("is refused");
        assert_eq!(
            error.to_string(),
            "--floor recall_10, HR@20: no figure of this evaluation; take one of hr_20, mrr_20"
        );
    }

    #[test]
    fn what_is_below_its_floor_is_named_and_what_is_not_passes() {
        let figures = |name: &str| match name {
            "hr_20" => Some(45.0),
            "mrr_20" => Some(15.0),
            _ => None,
        };
        assert!(check(&floors(&["hr_20=45", "mrr_20=14.9"]), figures).is_ok());
        let error = check(&floors(&["hr_20=45.1", "mrr_20=15", "hr_5=1"]), figures).expect_err("is below");
        assert_eq!(
            error.to_string(),
            "hr_20 is 45.00 %, below its floor of 45.1 %; hr_5 was not measured, so its floor is not reached"
        );
        assert!("hr_20".parse::<Floor>().is_err() && "hr_20=much".parse::<Floor>().is_err());
    }
}
