//! Dense weights as named arrays, so that a payload holds them and Python can read them.
//!
//! A snapshot holds them whole, in f32. A delta holds what they moved by, in a few steps of one size for each row. The
//! rest counts as moved for the next delta, so versions stay within half a step of the learner.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::Error;

/// A named array: shape and values in row order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// Arrays by dotted path: `query.weight`.
pub(crate) type Arrays = BTreeMap<String, Array>;

/// Reads a module's weights.
pub(crate) fn export<M: Module>(module: &M) -> Arrays {
    struct Export {
        path: Vec<String>,
        arrays: Arrays,
    }
    impl ModuleVisitor for Export {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let shape = tensor.dims().to_vec();
            let values = tensor.into_data().try_into_vec::<f32>().expect("weights are f32 on every device we open");
            self.arrays.insert(self.path.join("."), Array { shape, values });
        }
    }
    let mut export = Export { path: Vec::new(), arrays: Arrays::new() };
    module.visit(&mut export);
    export.arrays
}

impl Array {
    /// Values of a row: of one axis all of them.
    pub(crate) fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }

    /// The array that lies so many steps away; `None` where the lengths do not fit.
    pub(crate) fn moved_by(&self, steps: &[i8], sizes: &[f32]) -> Option<Self> {
        let width = self.width();
        let fits = steps.len() == self.values.len() && sizes.len() == self.values.len().div_ceil(width);
        let each = self.values.iter().zip(steps).enumerate();
        let values = each.map(|(n, (value, step))| value + f32::from(*step) * sizes[n / width]);
        fits.then(|| Self { shape: self.shape.clone(), values: values.collect() })
    }
}

/// Builds a module whose random weights depend on `seed` alone. Burn's generator belongs to the whole process and
/// weights are drawn when first looked at, so both happen here, one module at a time.
pub(crate) fn seeded<M: Module>(device: &Device, seed: u64, build: impl FnOnce() -> M) -> M {
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let module = build();
    export(&module);
    module
}

/// Gives a module the weights of `arrays`, and every parameter an id derived from its path: the
/// optimiser's state is keyed by id and must find its parameter again after a restart.
///
/// # Errors
/// When an array is missing or has another shape.
pub(crate) fn import<M: Module>(module: M, mut arrays: Arrays) -> Result<M, Error> {
    let mut mapper = Import { path: Vec::new(), arrays: &mut arrays, problem: None };
    let module = module.map(&mut mapper);
    match mapper.problem {
        Some(problem) => Err(problem),
        None => Ok(module),
    }
}

struct Import<'a> {
    path: Vec<String>,
    arrays: &'a mut Arrays,
    problem: Option<Error>,
}

impl ModuleMapper for Import<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The parameter's own value is never looked at: weights that nobody drew yet would be drawn now, outside
        // `seeded`, from a generator that another thread may be using.
        let name = self.path.join(".");
        let expected = param.lazy_shape();
        let Some(array) = self.arrays.remove(&name) else {
            self.problem.get_or_insert_with(|| Error::tensor(&name, "is missing"));
            return param;
        };
        if array.shape[..] != expected[..] {
            let problem = format!("has shape {:?}, not {expected:?}", array.shape);
            self.problem.get_or_insert_with(|| Error::tensor(&name, problem));
            return param;
        }
        let value = Tensor::<D>::from_data(TensorData::new(array.values, expected), &param.lazy_device());
        param.transform_for_load(value, ParamId::from(schemas::key_of(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::encoder::Encoder;
    use crate::settings::Settings;

    #[test]
    fn weights_that_are_read_leave_the_generator_alone() {
        let (device, settings) = (Device::flex(), Settings { dim: 8, heads: 2, ..Settings::default() });
        let drawn = |before: &dyn Fn()| {
            let build = || {
                before();
                Encoder::new(&settings, &device)
            };
            export(&seeded(&device, 3, build))
        };
        let weights = drawn(&|| ());
        let reads = || {
            import(Encoder::new(&settings, &device), weights.clone()).expect("the same shapes");
        };
        assert!(drawn(&reads) == weights, "reading weights drew some");
    }
}
