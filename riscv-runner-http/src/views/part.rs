//! The part of a list that a view holds.

use riscv_runner_core::{ids::Login, ports::Page};
use serde::{Deserialize, Serialize};

/// The part of a list that a view holds: a page of it, or all of it as a single page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// How many rows there are on all pages.
    pub total_count: u64,
    /// The page's number, from 0.
    pub page: u32,
    /// Rows on a page.
    pub per_page: u32,
}

impl Part {
    /// All of so many rows.
    #[must_use]
    pub fn whole(rows: usize) -> Self {
        Self { total_count: rows as u64, page: 0, per_page: u32::try_from(rows).unwrap_or(u32::MAX) }
    }

    /// The rows of a page, or all of them.
    pub(crate) fn cut<T>(mut rows: Vec<T>, page: Option<Page>) -> (Self, Vec<T>) {
        let whole = Self::whole(rows.len());
        let Some(Page { page, per_page }) = page else { return (whole, rows) };
        let (first, count) = ((page as usize).saturating_mul(per_page as usize), per_page as usize);
        rows.drain(..first.min(rows.len()));
        rows.truncate(count);
        (Self { page, per_page, ..whole }, rows)
    }
}

/// Whether both are the same account's login, which GitHub compares in any case.
pub(super) fn is_same(one: &Login, other: &Login) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_row_once() {
        let rows = |page| Part::cut((0..5).collect(), Some(Page { page, per_page: 2 })).1;
        assert_eq!([rows(0), rows(1), rows(2), rows(3)], [vec![0, 1], vec![2, 3], vec![4], vec![]]);
        let (part, all) = Part::cut(vec!['a', 'b'], None);
        assert_eq!((part, all.len()), (Part { total_count: 2, page: 0, per_page: 2 }, 2));
        assert_eq!(Part::cut(vec!['a'], Some(Page { page: u32::MAX, per_page: u32::MAX })).1, [' '; 0]);
    }
}
