//! The synthetic shop's catalog: items on shelves, what is like what, and what goes with what.

use std::collections::{BTreeMap, VecDeque};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use schemas::{Item, Timestamp};

use super::chance::{any, by_share, rank};
use super::words::{ADJECTIVES, BRANDS, COLOURS, SHELVES, SHELVES_PER_DEPARTMENT, brand};

/// How many other items an item leads to, of each kind of link.
const LINKS: usize = 4;

/// How often each link is followed: the first is clearly the most likely.
const LINK_SHARES: [f64; LINKS] = [0.5, 0.25, 0.15, 0.1];

/// How many makers a shelf has.
const BRANDS_PER_SHELF: usize = 6;

/// Spread of prices on a shelf (σ of the logarithm).
const PRICE_SPREAD: f64 = 0.45;

/// How many of the newest items count as new.
const NEWEST: usize = 24;

/// How long before the opening the oldest items were published.
const OLDEST_MS: i64 = 400 * 86_400_000;

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// To an alternative: same shelf, often the same brand or price.
    Alike,
    /// To a complement: the neighbouring shelf.
    GoesWith,
}

#[derive(Debug, Clone)]
struct Traits {
    shelf: usize,
    brand: usize,
    price: f64,
    alike: [u32; LINKS],
    goes_with: [u32; LINKS],
}

/// Items by number; an item's number never changes.
#[derive(Debug, Clone)]
pub(super) struct Catalog {
    items: Vec<Item>,
    traits: Vec<Traits>,
    /// Items of each shelf, most popular first.
    shelves: Vec<Vec<u32>>,
    /// Departments in this shop's order of popularity, as shelf numbers.
    by_popularity: Vec<usize>,
    newest: VecDeque<u32>,
}

impl Catalog {
    /// A catalog of `size` items, published in the year before `now`.
    pub(super) fn new(size: usize, now: i64, rng: &mut ChaCha8Rng) -> Self {
        let mut by_popularity: Vec<usize> = (0..SHELVES.len()).collect();
        for last in (1..by_popularity.len()).rev() {
            by_popularity.swap(last, rng.random_range(0..=last));
        }
        let mut catalog = Self {
            items: Vec::with_capacity(size),
            traits: Vec::with_capacity(size),
            shelves: vec![Vec::new(); SHELVES.len()],
            by_popularity,
            newest: VecDeque::with_capacity(NEWEST),
        };
        for number in 0..size.max(SHELVES.len()) {
            // One each first, so that no shelf is ever empty.
            let shelf = if number < SHELVES.len() { number } else { catalog.popular_shelf(rng) };
            let age = (rng.random::<f64>().powi(2) * OLDEST_MS as f64) as i64;
            catalog.add(shelf, now - age, rng);
        }
        for number in 0..catalog.items.len() {
            catalog.link(number, rng);
        }
        catalog
    }

    /// Puts a new item on a shelf; a few items of that shelf lead to it from now on.
    pub(super) fn arrive(&mut self, now: i64, rng: &mut ChaCha8Rng) -> Item {
        let shelf = self.popular_shelf(rng);
        let number = self.add(shelf, now, rng);
        self.link(number as usize, rng);
        for slot in 0..LINKS {
            let other = self.on_shelf(shelf, rng);
            if other != number {
                self.traits[other as usize].alike[slot] = number;
            }
        }
        if self.newest.len() == NEWEST {
            self.newest.pop_front();
        }
        self.newest.push_back(number);
        self.items[number as usize].clone()
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn id(&self, number: u32) -> &str {
        &self.items[number as usize].item_id
    }

    pub(super) fn price(&self, number: u32) -> f64 {
        self.traits[number as usize].price
    }

    pub(super) fn shelf_of(&self, number: u32) -> usize {
        self.traits[number as usize].shelf
    }

    pub(super) fn brand_of(&self, number: u32) -> usize {
        self.traits[number as usize].brand
    }

    /// A shelf, popular ones more often.
    pub(super) fn popular_shelf(&self, rng: &mut ChaCha8Rng) -> usize {
        self.by_popularity[rank(rng, self.by_popularity.len())]
    }

    /// An item of a shelf, popular ones more often.
    pub(super) fn on_shelf(&self, shelf: usize, rng: &mut ChaCha8Rng) -> u32 {
        self.shelves[shelf][rank(rng, self.shelves[shelf].len())]
    }

    /// Any item at all, unpopular ones as often as popular ones.
    pub(super) fn anything(&self, rng: &mut ChaCha8Rng) -> u32 {
        rng.random_range(0..self.items.len()) as u32
    }

    /// One of the newest arrivals.
    pub(super) fn something_new(&self, rng: &mut ChaCha8Rng) -> Option<u32> {
        let newest = self.newest.len();
        (newest > 0).then(|| self.newest[newest - 1 - rank(rng, newest)])
    }

    /// Where the link of an item leads.
    pub(super) fn follow(&self, from: u32, link: Link, rng: &mut ChaCha8Rng) -> u32 {
        let traits = &self.traits[from as usize];
        let links = match link {
            Link::Alike => &traits.alike,
            Link::GoesWith => &traits.goes_with,
        };
        links[by_share(rng, &LINK_SHARES)]
    }

    fn add(&mut self, shelf: usize, published_at: i64, rng: &mut ChaCha8Rng) -> u32 {
        let (department, category, noun, usual) = SHELVES[shelf];
        let number = self.items.len();
        let brand_number = (shelf * 7 + rank(rng, BRANDS_PER_SHELF)) % BRANDS;
        let spread = LogNormal::new(0.0, PRICE_SPREAD).map_or(1.0, |spread| spread.sample(rng));
        let price = (usual * spread * 10.0).round().max(10.0) / 10.0 - 0.01;
        let price = (price * 100.0).round() / 100.0;
        let brand = brand(brand_number);
        let adjective = any(rng, &ADJECTIVES).unwrap_or_default();
        let colour = any(rng, &COLOURS).unwrap_or_default();
        self.items.push(Item {
            item_id: format!("i{number}"),
            title: format!("{brand} {adjective} {noun}, {colour}"),
            categories: vec![department.to_owned(), category.to_owned()],
            brand: Some(brand),
            price: Some(price),
            published_at: Some(Timestamp(published_at)),
            available: true,
            attributes: BTreeMap::from([("colour".to_owned(), colour.into())]),
        });
        self.traits.push(Traits { shelf, brand: brand_number, price, alike: [0; LINKS], goes_with: [0; LINKS] });

        // Its place in the order of popularity is drawn; whoever stood there becomes the least popular.
        let place = rng.random_range(0..=self.shelves[shelf].len());
        self.shelves[shelf].push(number as u32);
        let last = self.shelves[shelf].len() - 1;
        self.shelves[shelf].swap(place, last);
        number as u32
    }

    /// Draws where an item leads.
    fn link(&mut self, number: usize, rng: &mut ChaCha8Rng) {
        let (shelf, brand, price) = {
            let traits = &self.traits[number];
            (traits.shelf, traits.brand, traits.price)
        };
        let department = shelf / SHELVES_PER_DEPARTMENT * SHELVES_PER_DEPARTMENT;
        let neighbour = department + (shelf + 1 - department) % SHELVES_PER_DEPARTMENT;
        let distance = |catalog: &Self, other: u32| {
            let traits = &catalog.traits[other as usize];
            let itself = if other as usize == number { 100.0 } else { 0.0 };
            itself + (traits.price / price).ln().abs() + if traits.brand == brand { 0.0 } else { 0.5 }
        };
        let alike = self.nearest(shelf, distance, rng);
        let goes_with = self.nearest(neighbour, |_, _| 0.0, rng);
        let traits = &mut self.traits[number];
        (traits.alike, traits.goes_with) = (alike, goes_with);
    }

    /// The nearest few of a dozen items drawn from a shelf.
    fn nearest(&self, shelf: usize, distance: impl Fn(&Self, u32) -> f64, rng: &mut ChaCha8Rng) -> [u32; LINKS] {
        let shelf = &self.shelves[shelf];
        let mut drawn: Vec<(f64, u32)> = Vec::with_capacity(12);
        for _ in 0..12 {
            let other = shelf[rng.random_range(0..shelf.len())];
            if drawn.iter().all(|(_, known)| *known != other) {
                drawn.push((distance(self, other), other));
            }
        }
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        std::array::from_fn(|slot| drawn[slot % drawn.len()].1)
    }
}
