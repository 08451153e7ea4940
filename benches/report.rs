//! The figures: collected, and shown as one table or as JSON.

use serde::Serialize;

use crate::machine;
use crate::measure::Samples;
use crate::output::{note, spell};

/// Everything measured in one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Processor and cores.
    pub machine: String,
    /// When it began, milliseconds since 1970.
    pub began_at: i64,
    /// Whether it was a smoke test.
    pub quick: bool,
    /// The system's load before the first measurement: what others wanted of the cores.
    pub load_before: Option<f64>,
    /// The same after the last one: our own work is in it.
    pub load_after: Option<f64>,
    /// How long it took.
    pub seconds: f64,
    /// The figures, in order.
    pub figures: Vec<Figure>,
    /// The benchmark that adds figures now.
    #[serde(skip)]
    pub section: &'static str,
}

/// One figure: the median of repetitions, and the limit it is measured beside.
#[derive(Debug, Default, Serialize)]
pub struct Figure {
    /// Which benchmark.
    pub benchmark: &'static str,
    /// What was measured.
    pub what: String,
    /// The median.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The least and the most of the repetitions, where there were several.
    pub range: Option<(f64, f64)>,
    /// What it is compared with, and `value` as a multiple of that.
    pub beside: Option<(String, f64)>,
    /// What else there is to know.
    pub remark: String,
}

impl Figure {
    /// A single value.
    pub(crate) fn of(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, ..Self::default() }
    }

    /// The median of repetitions.
    pub(crate) fn median(what: impl Into<String>, samples: &Samples, unit: &'static str) -> Self {
        Self { range: Some((samples.least(), samples.most())), ..Self::of(what, samples.median(), unit) }
    }

    pub(crate) fn beside(self, what: impl Into<String>, ratio: f64) -> Self {
        Self { beside: Some((what.into(), ratio)), ..self }
    }

    pub(crate) fn remark(self, remark: impl Into<String>) -> Self {
        Self { remark: remark.into(), ..self }
    }

    fn cells(&self) -> [String; 7] {
        let range = self.range.map_or_else(String::new, |(least, most)| format!("{} … {}", spell(least), spell(most)));
        let (ratio, beside) =
            self.beside.as_ref().map_or_else(Default::default, |(what, ratio)| (format!("{ratio:.2} ×"), what.clone()));
        let value = format!("{} {}", spell(self.value), self.unit);
        [self.benchmark.to_owned(), self.what.clone(), value, range, ratio, beside, self.remark.clone()]
    }
}

impl Report {
    /// Begins a run: looks at the machine.
    #[must_use]
    pub fn begin(quick: bool) -> Self {
        Self {
            machine: machine::describe(),
            began_at: runtime::Context::new("bench").now(),
            quick,
            load_before: machine::load(),
            load_after: None,
            seconds: 0.0,
            figures: Vec::new(),
            section: "",
        }
    }

    /// Adds a figure, and says it at once.
    pub(crate) fn add(&mut self, figure: Figure) {
        let figure = Figure { benchmark: self.section, ..figure };
        let said: Vec<String> = figure.cells().into_iter().skip(1).filter(|cell| !cell.is_empty()).collect();
        note(format!("  {}", said.join(", ")));
        self.figures.push(figure);
    }

    /// Ends the run.
    #[allow(clippy::cast_precision_loss)] // milliseconds of minutes
    pub fn end(&mut self) {
        self.load_after = machine::load();
        self.seconds = (runtime::Context::new("bench").now() - self.began_at) as f64 / 1_000.0;
    }

    /// The table, with what has to be known to read it.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a count of cores
    pub fn table(&self) -> String {
        let heading = ["benchmark", "what", "median", "least … most", "ratio", "beside", "remark"].map(str::to_owned);
        let rows: Vec<[String; 7]> = std::iter::once(heading).chain(self.figures.iter().map(Figure::cells)).collect();
        let width = |n: usize| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..7).map(width).collect();
        let mut text = format!("{}, {} s\n", self.machine, spell(self.seconds));
        if let Some(load) = self.load_before.filter(|load| *load > 0.25 * machine::cores() as f64) {
            text += &format!("The machine was busy with other work: load {load:.1} before the first measurement.\n");
        }
        if self.quick {
            text += "A smoke test: these figures mean little.\n";
        }
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text += &format!("\n{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text
    }
}
