//! Text from outside, made safe for a terminal: what would steer it, or change how other text reads, is
//! written out instead.

use std::borrow::Cow;

/// The text with every control character but line feed and tab, and every character that is not seen and
/// changes what is, as `\u{..}`. The joiners of scripts and emoji stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !matches!(c, '\n' | '\t') && is_hidden(c))
}

/// The same in one line, for text that must not look like more than one.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

fn escaped(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Controls (Cc), and of the format characters (Cf) those that reorder, join lines of, or hide text:
/// <https://www.unicode.org/reports/tr9/> and <https://www.unicode.org/reports/tr36/>.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_reorders_text_is_written_out() {
        assert_eq!(visible("a\x1b]0;title\x07b\r"), r"a\u{1b}]0;title\u{7}b\u{d}");
        assert_eq!(visible("ok\u{202e}gnp.exe\u{9b}31m"), r"ok\u{202e}gnp.exe\u{9b}31m");
        assert_eq!(visible("\u{2066}x\u{2069}\u{e0041}\u{200b}"), r"\u{2066}x\u{2069}\u{e0041}\u{200b}");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in ["a\tb\nc", "größe – “×”", "👩\u{200d}💻 build", "می\u{200c}خواهم", "שלום", ""]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
        assert_eq!(one_line("a\nerror: b"), r"a\u{a}error: b");
    }
}
