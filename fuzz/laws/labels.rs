//! Label sets.

use riscv_runner_core::labels::LabelSet;

/// A line is a label. What is accepted is the same set however its labels are ordered, repeated and
/// spelled in upper or lower case, and it survives JSON.
pub fn labels(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let Ok(set) = LabelSet::new(&lines) else { return };
    assert_eq!(LabelSet::new(set.originals()).as_ref(), Ok(&set), "its own labels");
    let other = lines.iter().rev().chain(&lines).map(|line| line.to_ascii_uppercase());
    let other = LabelSet::new(other).expect("the same labels are accepted");
    assert_eq!((&other, other.key()), (&set, set.key()));
    assert!(set.is_subset(&other) && other.is_subset(&set));
    let json = serde_json::to_string(&set).expect("labels are text");
    let read: LabelSet = serde_json::from_str(&json).expect("what was written is read");
    assert_eq!((read.originals(), read.key()), (set.originals(), set.key()));
}
