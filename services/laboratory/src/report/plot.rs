//! Draws plots as SVG whose colours are variables of the page, so that one drawing serves light and dark.
//!
//! Plotters writes fixed colours; each [`Ink`] is drawn in a colour that stands for it and is replaced by
//! `var(--…)` afterwards. Legends are the page's, above the plot: they cover no point.

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use super::spell;

/// Drawn at twice the size it is shown at, because Plotters rounds to whole units.
const SIZE: (u32, u32) = (1_240, 560);
const TEXT: i32 = 32;
/// The axis of everything that is shown as it happened.
pub const SECONDS: &str = "seconds since the start";

/// A colour of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// The most important line.
    First,
    /// The next, and so on.
    Second,
    /// The third.
    Third,
    /// The fourth.
    Fourth,
    /// The fifth.
    Fifth,
    /// The sixth.
    Sixth,
    /// The seventh.
    Seventh,
    /// The eighth.
    Eighth,
    /// The ninth.
    Ninth,
    /// Names and figures of axes.
    Text,
    /// Lines behind the drawing.
    Grid,
}

impl Ink {
    /// For lines, the most important first.
    pub const LINES: [Self; 9] = [
        Self::First,
        Self::Second,
        Self::Third,
        Self::Fourth,
        Self::Fifth,
        Self::Sixth,
        Self::Seventh,
        Self::Eighth,
        Self::Ninth,
    ];

    /// The page's variable.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::First => "--first",
            Self::Second => "--second",
            Self::Third => "--third",
            Self::Fourth => "--fourth",
            Self::Fifth => "--fifth",
            Self::Sixth => "--sixth",
            Self::Seventh => "--seventh",
            Self::Eighth => "--eighth",
            Self::Ninth => "--ninth",
            Self::Text => "--soft",
            Self::Grid => "--grid",
        }
    }

    const fn stand_in(self) -> RGBColor {
        RGBColor(0xA1, 0xB2, self as u8)
    }
}

/// How figures on an axis read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As it is.
    Number,
    /// A share of 0 to 1.
    Percent,
    /// In the largest unit that fits.
    Bytes,
    /// On a logarithmic axis.
    Millis,
}

impl Unit {
    /// A value on an axis.
    #[must_use]
    pub fn spell(self, value: f64) -> String {
        match self {
            Self::Number if value.abs() < 10.0 && value.fract().abs() > 1e-6 => format!("{value:.1}"),
            Self::Number => spell::count(value.round().max(0.0) as u64),
            Self::Percent => {
                let percent = value * 100.0;
                if percent.fract().abs() > 1e-6 { format!("{percent:.1}") } else { format!("{percent:.0}") }
            }
            Self::Bytes => spell::bytes(value).replace(".0 ", " "),
            Self::Millis if value < 1.0 => format!("{value:.1}"),
            Self::Millis => spell::count(value.round() as u64),
        }
    }
}

/// A line; a point without a value is a gap.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is of.
    pub name: &'static str,
    /// Its colour.
    pub ink: Ink,
    /// Where it goes through, from left to right.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Draws lines from 0 on; `None` when no line has a value.
///
/// # Errors
/// When a value is no number.
pub fn lines(lines: &[Line], x_name: &str, y_name: &str, unit: Unit) -> Result<Option<String>, String> {
    let values = || lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
    let end = lines.iter().flat_map(|line| line.points.iter().map(|(at, _)| *at)).fold(1.0, f64::max);
    let Some(top) = values().reduce(f64::max) else { return Ok(None) };
    let x = 0.0..end;
    let drawn = if unit == Unit::Millis {
        let bottom = values().fold(f64::INFINITY, f64::min).max(0.1);
        let y = logarithmic(bottom * 0.8, (top * 1.3).max(bottom * 10.0));
        draw(x, x_name, &|at| Unit::Number.spell(*at), y, y_name, unit, lines, &[])
    } else {
        // No share is above one, so the axis is not either.
        let y = 0.0..if unit == Unit::Percent { round_up(top).min(1.0).max(top) } else { round_up(top) };
        draw(x, x_name, &|at| Unit::Number.spell(*at), y, y_name, unit, lines, &[])
    };
    drawn.map(Some)
}

/// Draws bars over milliseconds on a logarithmic axis: `(from, to, share)`; `None` when there are none.
///
/// # Errors
/// When a value is no number.
pub fn bars(bars: &[(f64, f64, f64)], x_name: &str, y_name: &str) -> Result<Option<String>, String> {
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(None) };
    let top = bars.iter().map(|(.., share)| *share).fold(0.0, f64::max);
    let x = logarithmic(first.0, last.1);
    let y = 0.0..round_up(top);
    draw(x, x_name, &|ms| Unit::Millis.spell(*ms), y, y_name, Unit::Percent, &[], bars).map(Some)
}

/// A logarithmic axis with [`marks`].
fn logarithmic(
    bottom: f64,
    top: f64,
) -> impl AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>> {
    (bottom..top).log_scale().with_key_points(marks(bottom, top))
}

/// 1, 2 and 5 of every power of ten between two ends; powers only when there are many.
fn marks(bottom: f64, top: f64) -> Vec<f64> {
    let (first, last) = (bottom.log10().floor() as i32, top.log10().ceil() as i32);
    let steps: &[f64] = if (top / bottom).log10() > 3.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let marks = (first..=last).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    marks.filter(|mark| (bottom..=top).contains(mark)).collect()
}

/// The next of 1, 2, 2.5, 5 times a power of ten, with a little air above the data.
fn round_up(top: f64) -> f64 {
    if top <= 0.0 {
        return 1.0;
    }
    let top = top * 1.05;
    let power = 10f64.powf(top.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|edge| *edge >= top).unwrap_or(10.0 * power)
}

#[expect(clippy::too_many_arguments, reason = "two axes of three, and what is drawn between them")]
fn draw<X, Y>(
    x: X,
    x_name: &str,
    x_spell: &dyn Fn(&f64) -> String,
    y: Y,
    y_name: &str,
    y_unit: Unit,
    lines: &[Line],
    bars: &[(f64, f64, f64)],
) -> Result<String, String>
where
    X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
{
    let told = |error: &dyn std::fmt::Display| format!("cannot draw `{y_name}`: {error}");
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(64)
            .x_label_area_size(88)
            .y_label_area_size(140)
            .build_cartesian_2d(x, y)
            .map_err(|error| told(&error))?;
        let text = ("sans-serif", TEXT).into_font().color(&Ink::Text.stand_in());
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(Ink::Grid.stand_in().stroke_width(2))
            .light_line_style(TRANSPARENT)
            .axis_style(Ink::Text.stand_in().stroke_width(2))
            .label_style(text.clone())
            .axis_desc_style(text)
            .x_labels(8)
            .y_labels(6)
            .x_label_formatter(x_spell)
            .y_label_formatter(&|value| y_unit.spell(*value))
            .x_desc(x_name)
            .y_desc(y_name)
            .draw()
            .map_err(|error| told(&error))?;
        let ink = Ink::First.stand_in();
        chart
            .draw_series(
                bars.iter().map(|(from, to, share)| Rectangle::new([(*from, 0.0), (*to, *share)], ink.filled())),
            )
            .map_err(|error| told(&error))?;
        // The first line is the one that matters: it lies on top and is the thickest.
        for (at, line) in lines.iter().enumerate().rev() {
            let style = line.ink.stand_in().stroke_width(if at == 0 { 6 } else { 4 });
            for run in runs(&line.points) {
                let dot = (run.len() == 1).then(|| Circle::new(run[0], 5, line.ink.stand_in().filled()));
                chart.draw_series(dot).map_err(|error| told(&error))?;
                chart.draw_series([PathElement::new(run, style)]).map_err(|error| told(&error))?;
            }
        }
        area.present().map_err(|error| told(&error))?;
    }
    Ok(for_the_page(&svg))
}

/// The stretches of a line between its gaps.
fn runs(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    let known =
        |stretch: &[(f64, Option<f64>)]| stretch.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect();
    points.split(|(_, value)| value.is_none()).filter(|stretch| !stretch.is_empty()).map(known).collect()
}

/// Colours become variables; the size becomes the page's.
fn for_the_page(svg: &str) -> String {
    let (width, height) = SIZE;
    let mut page = svg.replace(&format!("width=\"{width}\" height=\"{height}\" viewBox"), "viewBox");
    for ink in Ink::LINES.into_iter().chain([Ink::Text, Ink::Grid]) {
        let RGBColor(r, g, b) = ink.stand_in();
        page = page.replace(&format!("#{r:02X}{g:02X}{b:02X}"), &format!("var({})", ink.variable()));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_nothing_was_known() {
        let points = [(0.0, None), (1.0, Some(2.0)), (2.0, None), (3.0, Some(4.0)), (4.0, Some(5.0))];
        assert_eq!(runs(&points), [vec![(1.0, 2.0)], vec![(3.0, 4.0), (4.0, 5.0)]]);
    }

    #[test]
    fn every_colour_is_a_variable_of_the_page() {
        let line = Line { name: "model", ink: Ink::First, points: vec![(0.0, Some(0.1)), (9.0, Some(0.4))] };
        let svg = lines(&[line], SECONDS, "HR@20, %", Unit::Percent).expect("draws").expect("has points");
        assert!(svg.contains("var(--first)") && svg.contains("var(--grid)") && !svg.contains('#'), "{svg}");
        assert!(lines(&[], SECONDS, "nothing", Unit::Number).expect("draws").is_none());
    }

    #[test]
    fn an_axis_ends_on_a_round_figure_above_the_data() {
        assert_eq!(marks(0.8, 30.0), [1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!((round_up(0.0), round_up(0.41), round_up(970.0)), (1.0, 0.5, 1_500.0));
    }
}
