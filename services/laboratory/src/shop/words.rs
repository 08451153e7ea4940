//! The words of the synthetic shop: what it sells, how things are called, who makes them.

/// A shelf: department, category, what one thing on it is called, and its usual price.
pub(super) type Shelf = (&'static str, &'static str, &'static str, f64);

/// The two-level tree of categories. Neighbours in a department go together: who buys one looks at the next.
pub(super) const SHELVES: [Shelf; 50] = [
    ("shoes", "running-shoes", "running shoe", 95.0),
    ("shoes", "running-socks", "running sock", 12.0),
    ("shoes", "sneakers", "sneaker", 80.0),
    ("shoes", "boots", "boot", 130.0),
    ("shoes", "shoe-care", "shoe polish", 9.0),
    ("clothing", "shirts", "shirt", 35.0),
    ("clothing", "trousers", "trousers", 60.0),
    ("clothing", "belts", "belt", 25.0),
    ("clothing", "jackets", "jacket", 140.0),
    ("clothing", "scarves", "scarf", 22.0),
    ("outdoor", "tents", "tent", 220.0),
    ("outdoor", "sleeping-bags", "sleeping bag", 110.0),
    ("outdoor", "camping-mats", "camping mat", 45.0),
    ("outdoor", "stoves", "camping stove", 55.0),
    ("outdoor", "head-lamps", "head lamp", 30.0),
    ("cycling", "helmets", "helmet", 70.0),
    ("cycling", "bike-lights", "bike light", 28.0),
    ("cycling", "tyres", "tyre", 38.0),
    ("cycling", "pumps", "pump", 24.0),
    ("cycling", "saddles", "saddle", 65.0),
    ("kitchen", "knives", "kitchen knife", 48.0),
    ("kitchen", "cutting-boards", "cutting board", 27.0),
    ("kitchen", "pans", "frying pan", 52.0),
    ("kitchen", "kettles", "kettle", 43.0),
    ("kitchen", "mugs", "mug", 11.0),
    ("audio", "headphones", "headphones", 120.0),
    ("audio", "headphone-cases", "headphone case", 18.0),
    ("audio", "speakers", "speaker", 160.0),
    ("audio", "turntables", "turntable", 240.0),
    ("audio", "audio-cables", "audio cable", 14.0),
    ("computers", "laptops", "laptop", 980.0),
    ("computers", "laptop-sleeves", "laptop sleeve", 29.0),
    ("computers", "keyboards", "keyboard", 85.0),
    ("computers", "mice", "mouse", 39.0),
    ("computers", "monitors", "monitor", 290.0),
    ("books", "crime", "crime novel", 13.0),
    ("books", "travel-guides", "travel guide", 19.0),
    ("books", "cookbooks", "cookbook", 28.0),
    ("books", "history", "history of the river", 24.0),
    ("books", "poetry", "book of poems", 15.0),
    ("garden", "seeds", "packet of seeds", 4.0),
    ("garden", "pots", "flower pot", 16.0),
    ("garden", "watering-cans", "watering can", 23.0),
    ("garden", "shears", "garden shears", 34.0),
    ("garden", "lanterns", "garden lantern", 31.0),
    ("toys", "building-blocks", "building blocks", 42.0),
    ("toys", "wooden-trains", "wooden train", 37.0),
    ("toys", "puzzles", "puzzle", 17.0),
    ("toys", "board-games", "board game", 33.0),
    ("toys", "soft-toys", "soft toy", 20.0),
];

/// How many shelves one department has.
pub(super) const SHELVES_PER_DEPARTMENT: usize = 5;

/// What titles begin with.
pub(super) const ADJECTIVES: [&str; 32] = [
    "light", "sturdy", "classic", "bright", "quiet", "compact", "soft", "swift", "northern", "warm", "slim", "bold",
    "plain", "folding", "everyday", "alpine", "coastal", "vintage", "modern", "little", "grand", "deep", "clear",
    "rough", "smooth", "early", "late", "wild", "calm", "true", "fine", "round",
];

/// Colours, as an attribute and in titles.
pub(super) const COLOURS: [&str; 12] =
    ["red", "blue", "green", "black", "white", "grey", "yellow", "orange", "brown", "teal", "violet", "silver"];

const ONSETS: [&str; 8] = ["Ve", "Lo", "Ka", "Mi", "Tor", "Sol", "Bru", "Ne"];
const CODAS: [&str; 8] = ["ra", "nto", "lund", "bek", "dale", "vik", "mar", "sen"];

/// How many makers there are.
pub(super) const BRANDS: usize = ONSETS.len() * CODAS.len();

/// The name of a maker.
pub(super) fn brand(number: usize) -> String {
    format!("{}{}", ONSETS[number % ONSETS.len()], CODAS[number / ONSETS.len() % CODAS.len()])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_category_and_brand_has_its_own_name() {
        let categories: HashSet<_> = SHELVES.iter().map(|shelf| shelf.1).collect();
        let brands: HashSet<_> = (0..BRANDS).map(brand).collect();
        assert_eq!((categories.len(), brands.len()), (SHELVES.len(), BRANDS));
        assert!(SHELVES.chunks(SHELVES_PER_DEPARTMENT).all(|shelves| shelves.iter().all(|s| s.0 == shelves[0].0)));
    }
}
