//! Words of a title, in every script. Where spaces stand between words, the words are taken as written. Where none do,
//! a dictionary finds the words, and pairs of neighbouring letters stand for what it does not know.

use icu_properties::CodePointMapData;
use icu_properties::props::{LineBreak, Script};
use icu_segmenter::WordSegmenter;
use icu_segmenter::options::WordBreakInvariantOptions;
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
            } else {
                words_between_no_spaces(&stretch.concat(), &mut word);
            }
        }
    }
}

/// The words of a stretch that a dictionary knows. Between them it leaves names and what is new letter by letter: there
/// pairs of neighbours are the words, and a letter alone is one.
fn words_between_no_spaces(stretch: &str, mut word: impl FnMut(&str)) {
    let stretch = SPLIT_BY_NFKC.iter().fold(stretch.to_owned(), |stretch, (split, one)| stretch.replace(split, one));
    let dictionary = WordSegmenter::new_dictionary(WordBreakInvariantOptions::default());
    let (mut start, mut unknown) = (0, Vec::new());
    for end in dictionary.segment_str(&stretch).filter(|end| *end > 0) {
        let letters: Vec<&str> = stretch[start..end].graphemes(true).collect();
        if letters.len() > 1 && has_dictionary(letters[0]) {
            pairs(&std::mem::take(&mut unknown), &mut word);
            word(&stretch[start..end]);
        } else {
            unknown.extend(letters);
        }
        start = end;
    }
    pairs(&unknown, word);
}

fn pairs(letters: &[&str], mut word: impl FnMut(&str)) {
    for run in letters.chunk_by(|a, b| has_dictionary(a) == has_dictionary(b)) {
        match run {
            [alone] => word(alone),
            run => run.windows(2).for_each(|pair| word(&pair.concat())),
        }
    }
}

/// The vowel that dictionaries of Thai and Lao have in one, and NFKC in two.
const SPLIT_BY_NFKC: [(&str, &str); 2] = [("\u{e4d}\u{e32}", "\u{e33}"), ("\u{ecd}\u{eb2}", "\u{eb3}")];

/// Whether a dictionary knows words of this letter's script. A run of katakana, or of a rarer script, comes back whole
/// from where a dictionary would look.
fn has_dictionary(letter: &str) -> bool {
    let scripts = CodePointMapData::<Script>::new();
    letter.chars().next().is_some_and(|first| {
        matches!(
            scripts.get(first),
            Script::Han | Script::Hiragana | Script::Thai | Script::Lao | Script::Khmer | Script::Myanmar
        )
    })
}

/// Joins two letters, and is none.
const JOINER: char = '\u{200d}';

/// A letter, a digit, or a mark on one; emoji have selectors that count as marks.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric()
        || (!c.is_ascii() && is_combining_mark(c) && !('\u{fe00}'..='\u{fe0f}').contains(&c))
        || c == JOINER
}

/// Whether no spaces stand between the words of this letter's script. Unicode tells it by where a line may break:
/// between any two letters (Han, kana, Yi, …), or only where a dictionary says (Thai, Lao, Khmer, Myanmar, …).
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
    fn where_no_spaces_stand_between_words_a_dictionary_tells_them() {
        assert_eq!(of("红色跑鞋"), ["红色", "跑鞋"]);
        assert_eq!(of("外套冬季儿童"), of("外套 冬季 儿童"));
        assert_eq!(of("不锈钢保温杯500ml"), ["不锈钢", "保温", "杯", "500ml"]);
        assert_eq!(of("iPhone15手机壳"), ["iphone15", "手机", "壳"]);
        assert_eq!(of("消しゴム"), ["消し", "ゴム"]);
        assert_eq!(of("รองเท้าวิ่งผู้ชาย"), ["รองเท้า", "วิ่ง", "ผู้ชาย"]);
        assert_eq!(of("ເກີບແລ່ນ"), ["ເກີບ", "ແລ່ນ"]);
        assert_eq!(of("ស្បែកជើង"), ["ស្បែកជើង"]);
        assert_eq!(of("ပြေးဖိနပ်"), ["ပြေး", "ဖိနပ်"]);
    }

    #[test]
    fn a_vowel_that_may_be_written_as_two_is_in_the_dictionary_either_way() {
        assert_eq!(of("น้ำหอม"), ["น้ำหอม"]);
        assert_eq!(of("น\u{e49}\u{e4d}\u{e32}หอม"), ["น้ำหอม"]);
        assert_eq!(of("ນ້ຳ"), ["ນ້ຳ"]);
    }

    #[test]
    fn where_no_dictionary_knows_a_word_pairs_of_neighbouring_letters_are_the_words() {
        assert_eq!(of("白鞋"), ["白鞋"]);
        assert_eq!(of("鞋"), ["鞋"]);
        assert_eq!(of("コート冬用"), ["コー", "ート", "冬用"]);
        assert_eq!(of("ランニングシューズ").len(), 8);
        assert_eq!(of("ꦗꦮꦶꦱꦺꦴ"), ["ꦗꦮꦶ", "ꦮꦶꦱꦺꦴ"], "a letter is one with its marks");
    }
}
