//! What JSON may hold and a JSON database may not: escapes that are no character, and numbers and nestings
//! beyond any limit. GitHub delivers again what is rejected, so escapes are fixed, not rejected.

use std::borrow::Cow;

use super::WebhookError;

/// The escape of U+FFFD, which stands for what is no character. As long as what it replaces.
const REPLACEMENT: &str = "\\ufffd";
/// The length of an escape by number.
const ESCAPE: usize = REPLACEMENT.len();
/// More digits, or an exponent that means more, than `numeric` of PostgreSQL keeps behind the point
/// (16383); GitHub sends none of more than twenty.
const MAX_DIGITS: usize = 16_000;
/// As deep as `serde_json` reads; GitHub's payloads are five deep.
const MAX_DEPTH: usize = 128;

/// The text with `U+FFFD` for each escape of `NUL` and of half a pair of surrogates. Text that is not JSON
/// comes back as it is, or as wrong as it was.
///
/// # Errors
/// A number or a nesting that cannot be stored, by its place.
pub(super) fn storable(text: &str) -> Result<Cow<'_, str>, WebhookError> {
    let bytes = text.as_bytes();
    let mut mended: Option<String> = None;
    let (mut at, mut depth, mut in_string) = (0, 0_usize, false);
    while let Some(byte) = bytes.get(at).copied() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                let (length, is_character) = escape(&bytes[at..]);
                if !is_character {
                    mended.get_or_insert_with(|| text.to_owned()).replace_range(at..at + length, REPLACEMENT);
                }
                at += length;
                continue;
            }
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let problem = format!("it is nested deeper than {MAX_DEPTH} levels");
                    return Err(unstorable(text, at, problem));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let length = number(&bytes[at..]);
                if !is_kept(&text[at..at + length]) {
                    let problem = format!("its number has more than {MAX_DIGITS} digits");
                    return Err(unstorable(text, at, problem));
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(mended.map_or(Cow::Borrowed(text), Cow::Owned))
}

/// How long the escape at the beginning is, and whether it is a character (as far as it is an escape).
fn escape(bytes: &[u8]) -> (usize, bool) {
    match unit(bytes) {
        // `\n`, `\\` and the like, and what the parser will refuse.
        None => (2.min(bytes.len()), true),
        Some(0 | 0xDC00..=0xDFFF) => (ESCAPE, false),
        Some(0xD800..=0xDBFF) => match unit(&bytes[ESCAPE..]) {
            Some(0xDC00..=0xDFFF) => (2 * ESCAPE, true),
            Some(_) | None => (ESCAPE, false),
        },
        Some(_) => (ESCAPE, true),
    }
}

/// The value of the escape by number at the beginning, if there is one.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |value: u16, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u16::try_from(digit).ok()?)
    })
}

/// The length of the number at the beginning.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count()
}

fn is_kept(number: &str) -> bool {
    let exponent = number.split_once(['e', 'E']).map_or("", |(_, exponent)| exponent);
    let exponent = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
    // What is no number of digits is the parser's to refuse.
    let places = if exponent.len() > 9 { usize::MAX } else { exponent.parse().unwrap_or(0) };
    number.len().saturating_add(places) <= MAX_DIGITS
}

fn unstorable(text: &str, at: usize, problem: String) -> WebhookError {
    let before = &text[..at];
    let line = 1 + before.matches('\n').count();
    let column = 1 + at - before.rfind('\n').map_or(0, |end| end + 1);
    WebhookError::Unstorable { problem, line, column }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_that_are_no_character_are_replaced_and_others_stay() {
        for (text, expected) in [
            (r#"{"a":"x\u0000y"}"#, r#"{"a":"x\ufffdy"}"#),
            (r#"{"\u0000":1}"#, r#"{"\ufffd":1}"#),
            (r#""\u0000\u0000""#, r#""\ufffd\ufffd""#),
            (r#""\\u0000""#, r#""\\u0000""#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
            (r#""\"\u0000""#, r#""\"\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""\ud83dx""#, r#""\ufffdx""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\u0000""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""é\u0001\u00e9""#, r#""é\u0001\u00e9""#),
            (r#"\u0000"#, r#"\u0000"#),
            (r#""\u00"#, r#""\u00"#),
            (r#""\"#, r#""\"#),
        ] {
            assert_eq!(storable(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_and_nestings_that_cannot_be_stored_are_named_by_their_place() {
        let refused = |text: &str| storable(text).unwrap_err().to_string();
        let digits = "9".repeat(MAX_DIGITS + 1);
        for number in ["1e999999", "-1E-16384", "1e+99999999999999999999", &digits] {
            let told = refused(&format!("{{\n \"n\": {number}}}"));
            assert!(told.contains("line 2 column 7") && told.contains("number"), "{told}");
        }
        for number in ["0", "-0.0", "1e10", "1E-300", "1e0000000000000001", &digits[..100]] {
            assert!(storable(&format!("[{number}]")).is_ok(), "{number}");
        }
        assert!(storable(r#""1e999999""#).is_ok(), "text is no number");
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(storable(&nested(MAX_DEPTH)).is_ok());
        assert!(refused(&nested(MAX_DEPTH + 1)).contains("nested"));
        assert!(storable(&"[]{}".repeat(MAX_DEPTH)).is_ok());
    }

    proptest! {
        #[test]
        fn what_was_mended_needs_no_mending_and_reads_the_same_elsewhere(
            parts in prop::collection::vec(prop_oneof![
                Just(r"\u0000"), Just(r"\\"), Just("\\\""), Just(r"\ud83d"), Just(r"\ude00"), Just("u0000"),
                Just("é"), Just(r"\n"),
            ], 0..12),
        ) {
            let text = format!("\"{}\"", parts.concat());
            let mended = storable(&text).unwrap();
            prop_assert_eq!(mended.len(), text.len());
            let read: String = serde_json::from_str(&mended).unwrap();
            prop_assert!(!read.contains('\0'));
            prop_assert_eq!(storable(&mended).unwrap(), &*mended);
            if let Ok(as_it_was) = serde_json::from_str::<String>(&text) {
                prop_assert_eq!(as_it_was.replace('\0', "\u{fffd}"), read);
            }
        }

        #[test]
        fn no_text_is_a_panic(text in "(\\PC|\\\\|u|[0-9ade\"])*") {
            let _ = storable(&text);
        }
    }
}
