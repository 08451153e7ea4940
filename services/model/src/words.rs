//! Words of a title, in every script: as they are written where spaces stand between them, pairs of neighbouring letters
//! where none do.

use icu_properties::CodePointMapData;
use icu_properties::props::LineBreak;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Shorter words, in bytes, say nothing; a sign of a script without spaces has more.
const LEAST_BYTES: usize = 3;

/// Hands over the words, in lower case and in one form of the many that Unicode has for the same letters.
pub(crate) fn words(title: &str, mut word: impl FnMut(&str)) {
    for run in title.split(|c| !is_of_word(c)) {
        let run = run.trim_start_matches(|c: char| !c.is_alphanumeric());
        if run.is_ascii() {
            if run.len() >= LEAST_BYTES {
                word(&run.to_ascii_lowercase());
            }
            continue;
        }
        let run: String = run.nfkc().filter(|c| *c != JOINER).collect::<String>().to_lowercase();
        let letters: Vec<&str> = run.graphemes(true).collect();
        for stretch in letters.chunk_by(|a, b| is_unspaced(a) == is_unspaced(b)) {
            if !is_unspaced(stretch[0]) {
                let whole = stretch.concat();
                if whole.len() >= LEAST_BYTES {
                    word(&whole);
                }
            } else if let [alone] = stretch {
                word(alone);
            } else {
                stretch.windows(2).for_each(|pair| word(&pair.concat()));
            }
        }
    }
}

/// Joins two letters, and is none.
const JOINER: char = '\u{200d}';

/// A letter, a digit, or a mark on one; emoji have selectors that count as marks.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || (!c.is_ascii() && is_combining_mark(c) && !('\u{fe00}'..='\u{fe0f}').contains(&c))
        || c == JOINER
}

/// Whether no spaces stand between the words of this letter's script. Unicode tells it by where a line may break: between
/// any two letters (Han, kana, Yi, …), or only where a dictionary says (Thai, Lao, Khmer, Myanmar, …).
fn is_unspaced(letter: &str) -> bool {
    let breaks = CodePointMapData::<LineBreak>::new();
    letter.chars().next().is_some_and(|first| {
        matches!(
            breaks.get(first),
            LineBreak::Ideographic
                | LineBreak::ConditionalJapaneseStarter
                | LineBreak::Nonstarter
                | LineBreak::ComplexContext
                | LineBreak::Aksara
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(title: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(title, |word| found.push(word.to_owned()));
        found
    }

    #[test]
    fn words_with_spaces_between_them_are_taken_as_they_are() {
        assert_eq!(of("Blue Running-Shoe, size 44 (UK)"), ["blue", "running", "shoe", "size"]);
        assert_eq!(of("LEGO™ Café 3-in-1 ❤️ a Ümit"), ["lego", "café", "ümit"]);
        assert_eq!(of("ИГРА 5G hat's"), ["игра", "hat"]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn the_same_letters_are_the_same_word_however_they_are_encoded() {
        assert_eq!(of("Cafe\u{301}"), of("Café"));
        assert_eq!(of("ＨＡＴ ｶﾞﾗｽ"), of("hat ガラス"));
        assert_eq!(of("हिन्दी"), ["हिन्दी"], "marks split no word");
    }

    #[test]
    fn where_no_spaces_stand_between_words_pairs_of_letters_do() {
        assert_eq!(of("红色跑鞋"), ["红色", "色跑", "跑鞋"]);
        assert_eq!(of("红色 跑鞋"), ["红色", "跑鞋"]);
        assert_eq!(of("iPhone15手机壳"), ["iphone15", "手机", "机壳"]);
        assert_eq!(of("鞋"), ["鞋"]);
        assert_eq!(of("ランニングシューズ").len(), 8);
        // A letter of Thai is one with its marks.
        assert_eq!(of("รองเท้าวิ่ง"), ["รอ", "อง", "งเ", "เท้", "ท้า", "าวิ่", "วิ่ง"]);
        for title in ["ເກີບແລ່ນ", "ស្បែកជើង", "ပြေးဖိနပ်"] {
            assert!(of(title).len() > 2, "{title}");
        }
    }
}
