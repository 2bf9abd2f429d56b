//! Labels of `runs-on`: compared without regard to case, sent to GitHub as they were written.
//!
//! Never compare or sort labels by their original spelling.

use std::{cmp::Ordering, fmt, hash, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::ids::IdError;

/// GitHub's own validator of runner labels accepts up to this many characters.
const MAX_LABEL_CHARS: usize = 256;
/// GitHub's JIT request takes between 1 and 100 labels.
const MAX_LABELS: usize = 100;

/// One label, with the spelling of its author.
#[derive(Debug, Clone)]
pub struct Label {
    canonical: Box<str>,
    original: Box<str>,
}

impl Label {
    /// Trims and checks one label.
    ///
    /// # Errors
    /// Empty or overlong labels, and labels with control characters.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let original = text.trim();
        if original.is_empty() {
            return Err(IdError::new("label", "must not be empty"));
        }
        if original.chars().count() > MAX_LABEL_CHARS {
            return Err(IdError::new("label", format!("must be at most {MAX_LABEL_CHARS} characters long")));
        }
        if original.chars().any(char::is_control) {
            return Err(IdError::new("label", "must not contain control characters"));
        }
        Ok(Self { canonical: original.to_lowercase().into(), original: original.into() })
    }

    /// The form that comparisons use: lower case.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The form in which its author wrote it.
    #[must_use]
    pub fn original(&self) -> &str {
        &self.original
    }
}

/// A set of labels: trimmed, deduplicated and sorted by canonical form.
///
/// Equality, order and hash look at the canonical form alone; cloning is cheap.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct LabelSet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    key: Box<str>,
    labels: Vec<Label>,
}

impl LabelSet {
    /// Builds the set; of labels that differ only in case the first spelling is kept.
    ///
    /// # Errors
    /// No label at all, more than 100 labels, or a label that [`Label::new`] refuses.
    pub fn new<T: AsRef<str>>(labels: impl IntoIterator<Item = T>) -> Result<Self, IdError> {
        let mut labels =
            labels.into_iter().map(|text| Label::new(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        labels.sort_by(|a, b| a.canonical.cmp(&b.canonical));
        labels.dedup_by(|later, first| later.canonical == first.canonical);
        if labels.is_empty() {
            return Err(IdError::new("label set", "must not be empty"));
        }
        if labels.len() > MAX_LABELS {
            return Err(IdError::new("label set", format!("must have at most {MAX_LABELS} labels")));
        }
        let key = join_escaped(&labels);
        Ok(Self(Arc::new(Inner { key, labels })))
    }

    /// The labels in canonical order.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.0.labels
    }

    /// The canonical text of the whole set: `a,b`, with `,` and `\` inside labels escaped by `\`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The labels as their author spelled them, in canonical order.
    #[must_use]
    pub fn originals(&self) -> Vec<String> {
        self.0.labels.iter().map(|label| label.original().to_owned()).collect()
    }

    /// Whether every label of this set is also in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.labels.iter().all(|label| other.contains(label.canonical()))
    }

    fn contains(&self, canonical: &str) -> bool {
        self.0.labels.binary_search_by(|label| (*label.canonical).cmp(canonical)).is_ok()
    }
}

fn join_escaped(labels: &[Label]) -> Box<str> {
    let mut key = String::new();
    for (n, label) in labels.iter().enumerate() {
        if n > 0 {
            key.push(',');
        }
        for c in label.canonical.chars() {
            if c == ',' || c == '\\' {
                key.push('\\');
            }
            key.push(c);
        }
    }
    key.into()
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.key == other.0.key
    }
}
impl Eq for LabelSet {}
impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.key.cmp(&other.0.key) }
    }
}
impl hash::Hash for LabelSet {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}
impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.key)
    }
}
impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0.key)
    }
}
impl TryFrom<Vec<String>> for LabelSet {
    type Error = IdError;
    fn try_from(labels: Vec<String>) -> Result<Self, IdError> {
        Self::new(labels)
    }
}
impl From<LabelSet> for Vec<String> {
    fn from(labels: LabelSet) -> Self {
        labels.originals()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_order_do_not_matter_but_spelling_is_kept() {
        let a = LabelSet::new(["RVA23 ", "ubuntu-24.04-riscv"]).unwrap();
        let b = LabelSet::new(["ubuntu-24.04-RISCV", "rva23", "RVA23"]).unwrap();
        assert_eq!(a, b);
        assert_eq!(a.key(), "rva23,ubuntu-24.04-riscv");
        assert_eq!(a.originals(), ["RVA23", "ubuntu-24.04-riscv"]);
    }

    #[test]
    fn a_comma_inside_a_label_is_not_a_separator() {
        let one = LabelSet::new(["a,b"]).unwrap();
        let two = LabelSet::new(["a", "b"]).unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn subset_is_by_canonical_form() {
        let small = LabelSet::new(["A"]).unwrap();
        let large = LabelSet::new(["b", "a"]).unwrap();
        assert!(small.is_subset(&large));
        assert!(!large.is_subset(&small));
    }

    #[test]
    fn bad_labels_are_refused() {
        assert!(LabelSet::new(Vec::<String>::new()).is_err());
        assert!(LabelSet::new([" "]).is_err());
        assert!(LabelSet::new(["a\nb"]).is_err());
        assert!(LabelSet::new(["x".repeat(257)]).is_err());
    }
}
