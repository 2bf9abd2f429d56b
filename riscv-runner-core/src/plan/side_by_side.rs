//! Two ordered maps read together, so that no entry is looked up by itself.

use std::collections::BTreeMap;

/// Every value of `left` with the value that `right` has under the same key, in one pass over both.
pub(super) fn side_by_side<'a, K: Ord, L, R>(
    left: &'a BTreeMap<K, L>,
    right: &'a BTreeMap<K, R>,
) -> impl Iterator<Item = (&'a L, Option<&'a R>)> {
    let mut right = right.iter().peekable();
    left.iter().map(move |(key, value)| {
        while right.next_if(|(other, _)| *other < key).is_some() {}
        (value, right.next_if(|(other, _)| *other == key).map(|(_, beside)| beside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_left_value_meets_its_equal_and_no_other() {
        let left = BTreeMap::from([(2, 'b'), (3, 'c'), (5, 'e'), (9, 'i')]);
        let right = BTreeMap::from([(1, 10), (3, 30), (4, 40), (9, 90), (10, 100)]);
        let pairs: Vec<_> = side_by_side(&left, &right).map(|(l, r)| (*l, r.copied())).collect();
        assert_eq!(pairs, [('b', None), ('c', Some(30)), ('e', None), ('i', Some(90))]);
    }
}
