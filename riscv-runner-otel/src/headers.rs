//! `name=value,name=value`, as OpenTelemetry writes headers into one variable. Values are secrets.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::SetupError;

/// Reads the headers; faults are reported without their values.
pub(crate) fn read(text: &SecretString) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    let parts = text.expose_secret().split(',').map(str::trim);
    for (n, part) in parts.enumerate().filter(|(_, part)| !part.is_empty()) {
        let refused = |problem| SetupError::Header { n: n + 1, problem };
        let (name, value) = part.split_once('=').ok_or(refused("has no \"=\""))?;
        let name: HeaderName = name.trim().parse().map_err(|_| refused("has no valid name"))?;
        let value = decoded(value.trim()).ok_or(refused("is not percent-encoded as it should be"))?;
        let mut value =
            HeaderValue::from_bytes(&value).map_err(|_| refused("holds what no header may hold"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// The bytes that percent-encoding stands for.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_are_sensitive() {
        let text = "authorization=Bearer%20planted%2C1 , X-Scope=a=b,,".to_owned().into();
        let headers = read(&text).unwrap();
        assert_eq!(headers["authorization"], "Bearer planted,1");
        assert_eq!(headers["x-scope"], "a=b");
        assert!(!format!("{headers:?}").contains("planted"), "{headers:?}");
        assert_eq!(read(&" ".to_owned().into()).unwrap().len(), 0);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_value() {
        for (text, told) in [
            ("planted", "header 1 has no \"=\""),
            ("a=b,planted x=1", "header 2 has no valid name"),
            ("a=planted%2", "header 1 is not percent-encoded"),
            ("a=planted%+1", "header 1 is not percent-encoded"),
            ("a=planted%0A", "header 1 holds what no header may hold"),
        ] {
            let error = read(&text.to_owned().into()).unwrap_err();
            assert!(error.to_string().starts_with(told), "{error}");
            assert!(!format!("{error:?} {error}").contains("planted"), "{error:?}");
        }
    }
}
