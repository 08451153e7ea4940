//! The synthetic shop's users: what each likes, and how that drifts.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::catalog::Catalog;
use super::chance::{by_share, rank};

/// How many shelves a user cares for.
const FAVOURITES: usize = 4;

/// How often each of them is where a visit begins.
const SHARES: [f64; FAVOURITES] = [0.5, 0.25, 0.15, 0.1];

/// How often somebody loyal to a brand insists on it.
const LOYALTY: f64 = 0.5;

#[derive(Debug, Clone)]
struct Person {
    /// Shelves, dearest first.
    favourites: [usize; FAVOURITES],
    /// The brand somebody is loyal to.
    brand: Option<usize>,
    visiting: bool,
}

/// Every user there is.
#[derive(Debug, Clone)]
pub(super) struct People {
    people: Vec<Person>,
}

impl People {
    pub(super) fn new(count: usize, catalog: &Catalog, rng: &mut ChaCha8Rng) -> Self {
        let person = |_| {
            let favourites = std::array::from_fn(|_| catalog.popular_shelf(rng));
            let brand = rng.random_bool(0.4).then(|| catalog.brand_of(catalog.on_shelf(favourites[0], rng)));
            Person { favourites, brand, visiting: false }
        };
        Self { people: (0..count.max(1)).map(person).collect() }
    }

    /// Somebody who is not in the shop comes in; the active ones more often. With everybody inside, nobody does.
    pub(super) fn enter(&mut self, drift: f64, catalog: &Catalog, rng: &mut ChaCha8Rng) -> Option<u32> {
        let count = self.people.len();
        let first = if rng.random_bool(0.5) { rank(rng, count) } else { rng.random_range(0..count) };
        let number = (0..count).map(|step| (first + step) % count).find(|number| !self.people[*number].visiting)?;
        let person = &mut self.people[number];
        person.visiting = true;
        if rng.random_bool(drift) {
            // A new love comes first, the rest move back, the last is forgotten.
            person.favourites.rotate_right(1);
            person.favourites[0] = catalog.popular_shelf(rng);
        }
        Some(number as u32)
    }

    pub(super) fn leave(&mut self, number: u32) {
        self.people[number as usize].visiting = false;
    }

    /// An item to the user's taste.
    pub(super) fn fancy(&self, number: u32, catalog: &Catalog, rng: &mut ChaCha8Rng) -> u32 {
        let person = &self.people[number as usize];
        let shelf = person.favourites[by_share(rng, &SHARES)];
        let mut item = catalog.on_shelf(shelf, rng);
        if let Some(brand) = person.brand.filter(|_| rng.random_bool(LOYALTY)) {
            for _ in 0..4 {
                if catalog.brand_of(item) == brand {
                    break;
                }
                item = catalog.on_shelf(shelf, rng);
            }
        }
        item
    }

    /// Whether the item is on one of the user's shelves.
    pub(super) fn likes(&self, number: u32, item: u32, catalog: &Catalog) -> bool {
        self.people[number as usize].favourites.contains(&catalog.shelf_of(item))
    }
}
