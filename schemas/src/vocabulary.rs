//! The words that shops and public logs have for what Thalweg knows: one table for live events and recorded logs.
//!
//! It says which word is which type of event, which words stand for nothing, and how a number is spelled as an id.

use crate::EventType;

/// Every word for a type of event, in lower case, without what separates its parts and without a plural's `s`.
pub const TYPES: [(EventType, &[&str]); 7] = [
    (
        EventType::View,
        &[
            "view",
            "viewed",
            "click",
            "clicked",
            "pv",
            "pageview",
            "detail",
            "detailview",
            "detailpageview",
            "itemview",
            "viewitem",
            "productview",
            "productviewed",
            "viewproduct",
            "viewcontent",
            "read",
            "play",
            "watch",
            "listen",
        ],
    ),
    (
        EventType::Cart,
        &["cart", "addtocart", "cartadd", "addedtocart", "addtobasket", "addcart", "basket", "bag", "productadded"],
    ),
    (
        EventType::Purchase,
        &[
            "purchase",
            "purchased",
            "purchasecomplete",
            "buy",
            "bought",
            "transaction",
            "order",
            "ordered",
            "ordercompleted",
            "conversion",
            "sale",
        ],
    ),
    (
        EventType::Like,
        &[
            "like",
            "liked",
            "fav",
            "favor",
            "favorite",
            "favourite",
            "wishlist",
            "addtowishlist",
            "addedtowishlist",
            "productaddedtowishlist",
            "bookmark",
            "collect",
            "thumbsup",
        ],
    ),
    (EventType::Dislike, &["dislike", "disliked", "thumbsdown"]),
    (EventType::Undislike, &["undislike", "undisliked"]),
    (
        EventType::Impression,
        &["impression", "show", "shown", "exposure", "viewitemlist", "productlistviewed", "listview"],
    ),
];

/// The longest word is shorter; what is longer is none of them.
const WORD_BYTES: usize = 32;

/// Reads a type of event as public logs spell it; upper and lower case, plurals, `-`, `_`, `.` and blanks do not count.
#[must_use]
pub fn event_type(word: &str) -> Option<EventType> {
    let plain = word.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).map(|c| c.to_ascii_lowercase());
    let plain: String = plain.take(WORD_BYTES).collect();
    let one = plain.strip_suffix('s').unwrap_or(&plain);
    let known = |word: &str| TYPES.iter().find(|(_, words)| words.contains(&word)).map(|(kind, _)| *kind);
    known(&plain).or_else(|| known(one))
}

/// The types of event by their own names, for messages.
pub const TYPE_NAMES: &str = "view, cart, purchase, like, dislike, undislike, impression";

/// What programs write where there is nothing: SQL, Hive, pandas, R, JavaScript, Go, spreadsheets, web analytics.
const NOTHING: [&str; 20] = [
    "null",
    "\\n",
    "nan",
    "-nan",
    "none",
    "undefined",
    "nil",
    "nat",
    "n/a",
    "#n/a",
    "#na",
    "<na>",
    "<null>",
    "(null)",
    "[null]",
    "<none>",
    "(none)",
    "(not set)",
    "#null!",
    "#value!",
];

/// Whether `word` is one of those that programs write for nothing. The case does not count, but for `NA`, for `Na` is a
/// name.
#[must_use]
pub fn is_nothing(word: &str) -> bool {
    let word = word.trim();
    word.is_empty() || word == "NA" || NOTHING.iter().any(|nothing| nothing.eq_ignore_ascii_case(word))
}

/// The most digits of a number that is an id: as many bytes as an id may have.
const DIGITS: usize = crate::MAX_ID_BYTES;

/// Spells a number as an id: `7`, `7.0` and `0.7e1` are one and the same, and no digit is lost, however many there are.
///
/// `None` when `literal` is no number in the way of JSON, or its digits would not fit into an id.
#[must_use]
pub fn number_as_id(literal: &str) -> Option<String> {
    let (sign, rest) = literal.strip_prefix('-').map_or(("", literal), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) || literal.len() > 2 * DIGITS {
        return None;
    }
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?; // where the point stands among the digits
    if digits.bytes().all(|digit| digit == b'0') {
        return Some("0".to_owned());
    }
    let bound = i64::try_from(DIGITS).ok()?;
    if !(-bound..=bound).contains(&point) {
        return None;
    }
    let (before, behind) = if point <= 0 {
        (String::new(), "0".repeat(usize::try_from(-point).ok()?) + &digits)
    } else {
        let point = usize::try_from(point).ok()?;
        let padded = format!("{digits:0<point$}");
        (padded[..point].to_owned(), padded[point..].to_owned())
    };
    let before = before.trim_start_matches('0');
    let behind = behind.trim_end_matches('0');
    let before = if before.is_empty() { "0" } else { before };
    let id = if behind.is_empty() { format!("{sign}{before}") } else { format!("{sign}{before}.{behind}") };
    (id.len() <= DIGITS).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_as_shops_and_public_logs_spell_them() {
        for (word, kind) in [
            ("click", EventType::View),
            ("Clicks", EventType::View),
            ("pv", EventType::View),
            ("Product Viewed", EventType::View),
            ("view_item", EventType::View),
            ("detail-page-view", EventType::View),
            ("carts", EventType::Cart),
            ("Add-To-Cart", EventType::Cart),
            ("AddToCart", EventType::Cart),
            ("Purchase", EventType::Purchase),
            ("orders", EventType::Purchase),
            ("Order Completed", EventType::Purchase),
            ("buy", EventType::Purchase),
            ("fav", EventType::Like),
            ("add_to_wishlist", EventType::Like),
            ("DISLIKES", EventType::Dislike),
            ("view_item_list", EventType::Impression),
        ] {
            assert_eq!(event_type(word), Some(kind), "{word}");
        }
        for word in
            ["", "s", "remove_from_cart", "begin_checkout", "unlike", "0", "views of the lake and of its shores"]
        {
            assert_eq!(event_type(word), None, "{word}");
        }
    }

    #[test]
    fn no_word_has_two_types_and_each_is_written_as_it_is_looked_up() {
        let all: Vec<&str> = TYPES.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        let distinct: std::collections::BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
        for (kind, words) in TYPES {
            assert!(words.iter().all(|word| event_type(word) == Some(kind) && word.len() < WORD_BYTES), "{words:?}");
            let name = serde_json::to_string(&kind).expect("serialises");
            assert!(words.contains(&name.trim_matches('"')) && TYPE_NAMES.contains(name.trim_matches('"')), "{name}");
        }
    }

    #[test]
    fn words_for_nothing_are_nothing_and_names_are_names() {
        for word in ["", " ", "NULL", "null", "\\N", "NaN", "nan", "None", "NA", "N/A", "undefined", "<NA>", "NaT"] {
            assert!(is_nothing(word), "{word}");
        }
        for word in ["Na", "na", "0", "-", "Nullmeier", "Nancy", "nulls", "i9"] {
            assert!(!is_nothing(word), "{word}");
        }
    }

    #[test]
    fn a_number_is_one_id_however_it_is_written_and_loses_no_digit() {
        for (literal, id) in [
            ("7", "7"),
            ("7.0", "7"),
            ("0.7e1", "7"),
            ("700e-2", "7"),
            ("7E+3", "7000"),
            ("-7.50", "-7.5"),
            ("0.05", "0.05"),
            ("5e-2", "0.05"),
            ("-0.0", "0"),
            ("0e99999", "0"),
            ("90071992547409930005", "90071992547409930005"),
            ("90071992547409930005.0", "90071992547409930005"),
            ("1234567890123456789012345678901234567.5", "1234567890123456789012345678901234567.5"),
        ] {
            assert_eq!(number_as_id(literal).as_deref(), Some(id), "{literal}");
        }
        for literal in ["", "-", "e5", "1e999999999999", "1e400", "NaN", "0x7", "1.2.3", "7 "] {
            assert_eq!(number_as_id(literal), None, "{literal}");
        }
    }
}
