//! Texts that occur again and again, each held once and known by a number.

use std::collections::HashMap;
use std::sync::Arc;

/// Every distinct text once.
#[derive(Debug, Default)]
pub(super) struct Ids {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Ids {
    pub(super) fn intern(&mut self, id: &str) -> u32 {
        if let Some(number) = self.numbers.get(id) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).expect("memory ends before four billion distinct ids");
        let name: Arc<str> = id.into();
        self.numbers.insert(Arc::clone(&name), number);
        self.names.push(name);
        number
    }

    /// The number of `id`, if it was ever met.
    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// Every text, by number.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    pub(super) fn get(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    pub(super) fn name(&self, number: u32) -> String {
        self.get(number).to_owned()
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
