//! What PyTorch takes for the same work, asked of `limits.py`; nothing where there is no PyTorch.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::json;

use crate::measure::Size;
use crate::output::note;

/// Which Python to ask, where it is not `python3`.
const PYTHON: &str = "THALWEG_TORCH_PYTHON";

/// Milliseconds, as `limits.py` measured them just now.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Limits {
    /// PyTorch's version; empty where nothing was measured.
    pub(crate) torch: String,
    train_ms: BTreeMap<String, f64>,
    search_ms: BTreeMap<String, f64>,
}

impl Limits {
    /// One step of the network on a micro-batch.
    pub(crate) fn train_ms(&self, batch: usize) -> Option<f64> {
        self.train_ms.get(&batch.to_string()).copied()
    }

    /// The search for the nearest of `items` to each of `queries`.
    pub(crate) fn search_ms(&self, items: usize, queries: usize) -> Option<f64> {
        self.search_ms.get(&format!("{items}x{queries}")).copied()
    }
}

/// Asks for the steps of micro-batches and the searches of `(items, queries)`.
pub(crate) fn ask(size: Size, train: &[usize], search: &[(usize, usize)]) -> Limits {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("limits.py");
    let question = json!({ "seconds": size.pick(2.0, 0.2), "train": train, "search": search });
    let answer = Command::new(&python).arg(script).arg(question.to_string()).output();
    let limits = answer.ok().filter(|answer| answer.status.success());
    limits.and_then(|answer| serde_json::from_slice(&answer.stdout).ok()).unwrap_or_else(|| {
        note(format!(
            "  no limit beside: `{python}` has no PyTorch (`pip install torch numpy`, or name one by {PYTHON})"
        ));
        Limits::default()
    })
}
