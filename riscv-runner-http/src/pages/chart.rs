//! Charts as inline SVG, made by us: no script, no style attribute (the content security policy forbids
//! both), a title and a description for those who do not see them, and a table beside them.

use std::fmt::Display;

use maud::{Markup, html};

/// One colour for each; more would not be told apart.
pub(super) const SERIES: usize = 8;

const HOUR_WIDTH: u32 = 8;
const HOURS_HEIGHT: u32 = 32;

/// Bars of hours, one beside the other.
pub(super) fn hours(id: &str, title: &str, description: &str, counts: &[u64]) -> Markup {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let width = HOUR_WIDTH * u32::try_from(counts.len()).unwrap_or(0);
    let bars = html! {
        @for (n, count) in (0_u32..).zip(counts) {
            @if *count > 0 {
                @let height = scaled(*count, most, HOURS_HEIGHT - 1).max(1);
                rect class="series-0" x=(n * HOUR_WIDTH) y=(HOURS_HEIGHT - 1 - height) width=(HOUR_WIDTH - 2) height=(height) {
                    title { (count) }
                }
            }
        }
        line class="axis" x1="0" y1=(HOURS_HEIGHT) x2=(width) y2=(HOURS_HEIGHT) {}
    };
    figure(id, "spark", title, description, (width, HOURS_HEIGHT), &bars)
}

/// A stacked bar: its name, and its parts from the bottom up, each with its series.
pub(super) struct Bar {
    /// What stands below it.
    pub(super) name: String,
    /// Series, how much of it, and what it is, for those who point at it.
    pub(super) parts: Vec<(usize, u64, String)>,
}

const BAR_WIDTH: u32 = 40;
const BAR_GAP: u32 = 16;
const LEFT: u32 = 64;
const TOP: u32 = 16;
const HEIGHT: u32 = 200;
const BOTTOM: u32 = 28;
const LINES: u32 = 4;

/// Stacked bars with a scale at the left, `unit` above it.
pub(super) fn stacked(id: &str, title: &str, description: &str, unit: &str, bars: &[Bar]) -> Markup {
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, amount, _)| amount).sum::<u64>();
    let step = round_step(bars.iter().map(sum).max().unwrap_or(0), u64::from(LINES));
    let top = step * u64::from(LINES);
    let width = LEFT + (BAR_WIDTH + BAR_GAP) * u32::try_from(bars.len()).unwrap_or(0) + BAR_GAP;
    let content = html! {
        text class="unit" x=(LEFT - 8) y="11" text-anchor="end" { (unit) }
        @for line in 0..=LINES {
            @let y = TOP + HEIGHT - HEIGHT / LINES * line;
            line class="axis" x1=(LEFT) y1=(y) x2=(width) y2=(y) {}
            @if line < LINES { text x=(LEFT - 8) y=(y + 4) text-anchor="end" { (grouped(step * u64::from(line))) } }
            @else { text x=(LEFT - 8) y=(y + 12) text-anchor="end" { (grouped(top)) } }
        }
        @for (n, bar) in (0_u32..).zip(bars) {
            @let x = LEFT + BAR_GAP + n * (BAR_WIDTH + BAR_GAP);
            (stack(bar, x, top))
            text x=(x + BAR_WIDTH / 2) y=(TOP + HEIGHT + 18) text-anchor="middle" { (bar.name) }
        }
    };
    figure(id, "stacked", title, description, (width, TOP + HEIGHT + BOTTOM), &content)
}

fn stack(bar: &Bar, x: u32, top: u64) -> Markup {
    let mut below = 0;
    let mut rects = Vec::new();
    for (series, amount, what) in &bar.parts {
        // Edges are rounded, not heights: rounding must not add up.
        let (from, to) = (scaled(below, top, HEIGHT), scaled(below + amount, top, HEIGHT));
        below += amount;
        rects.push((series % SERIES, TOP + HEIGHT - to, to - from, what));
    }
    html! {
        @for (series, y, height, what) in rects {
            @if height > 0 {
                rect class={ "series-" (series) } x=(x) y=(y) width=(BAR_WIDTH) height=(height) {
                    title { (what) }
                }
            }
        }
    }
}

fn figure(
    id: &str,
    class: &str,
    title: &str,
    description: &str,
    size: (u32, u32),
    content: &Markup,
) -> Markup {
    let (width, height) = size;
    html! {
        svg class={ "chart " (class) } role="img" aria-labelledby={ (id) "-title " (id) "-desc" }
            viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) {
            title id={ (id) "-title" } { (title) }
            desc id={ (id) "-desc" } { (description) }
            (content)
        }
    }
}

fn scaled(amount: u64, of: u64, to: u32) -> u32 {
    let scaled = u128::from(amount) * u128::from(to) / u128::from(of.max(1));
    u32::try_from(scaled).unwrap_or(to).min(to)
}

/// A step of one figure and zeros, so many of which hold the most.
fn round_step(most: u64, steps: u64) -> u64 {
    let least = most.div_ceil(steps).max(1);
    let magnitude = 10_u64.pow(least.ilog10());
    [1, 2, 3, 4, 5, 6, 8, 10]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= least)
        .unwrap_or(least)
}

/// A number with its thousands apart.
pub(super) fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_hold_the_most() {
        for (most, step) in
            [(0, 1), (3, 1), (4, 1), (5, 2), (17, 5), (100, 30), (4_321, 2_000), (9_152, 3_000)]
        {
            assert_eq!(round_step(most, 4), step, "{most}");
        }
    }

    #[test]
    fn a_stack_is_as_high_as_its_sum() {
        let parts = (0..3).map(|series| (series, 1, String::from("one third"))).collect();
        let bar = Bar { name: "week".into(), parts };
        let markup = stack(&bar, 0, 3).into_string();
        let heights: u32 = markup
            .split("height=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse::<u32>().unwrap())
            .sum();
        assert_eq!(heights, HEIGHT, "{markup}");
    }

    #[test]
    fn what_a_chart_is_told_is_escaped() {
        let hostile = "</title><script>alert(1)</script>";
        let bar = Bar { name: hostile.into(), parts: vec![(0, 1, hostile.into())] };
        let markup = stacked("c", hostile, hostile, "min", &[bar]).into_string();
        assert!(!markup.contains("<script>"), "{markup}");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
