//! Tables at every width.

use super::*;

const COLUMNS: [Column; 5] = [
    Column::always("worker"),
    Column::rank(2, "labels"),
    Column::rank(1, "jobs waiting"),
    Column::always("pool"),
    Column::detail("because"),
];

fn rows() -> Vec<Vec<Value>> {
    let row = |worker: &str, labels: &str, because: &str| {
        let jobs = Value::number(&7);
        vec![worker.into(), labels.into(), jobs, Value::toned("k1", Tone::Bad), because.into()]
    };
    vec![
        row("rise-riscv-runner-a", "one, two", "the pool has no free slot and none will be free soon"),
        row("b", "three", "-"),
    ]
}

fn at(width: usize) -> Table {
    let table = Table::plain(&COLUMNS, &rows(), Some(width));
    for line in table.text.lines() {
        assert!(line.width() <= width, "{width}: {line:?}");
    }
    table
}

#[test]
fn a_table_without_a_width_has_one_line_for_each_row() {
    let table = Table::plain(&COLUMNS, &rows(), None);
    assert_eq!(
        table.text,
        "WORKER               LABELS    JOBS WAITING  POOL  BECAUSE\n\
         rise-riscv-runner-a  one, two             7  k1    the pool has no free slot and none will be free soon\n\
         b                    three                7  k1    -\n"
    );
    assert!(table.left_out.is_empty());
}

#[test]
fn an_explanation_wraps_then_goes_below_its_row() {
    let beside = at(90);
    assert!(beside.text.contains("k1    the pool has no free slot and none will\n"), "{}", beside.text);
    let under = at(70);
    assert!(
        under.text.contains("k1\n    because: the pool has no free slot and none will be free soon\n"),
        "{}",
        under.text
    );
    assert!(beside.left_out.is_empty() && under.left_out.is_empty());
    assert!(!under.text.contains("BECAUSE") && !under.text.contains("because: -"), "{}", under.text);
}

#[test]
fn the_least_important_columns_are_left_out_first() {
    assert_eq!(at(42).left_out, [""; 0]);
    assert_eq!(at(38).left_out, ["jobs waiting"]);
    assert_eq!(at(28).left_out, ["jobs waiting", "labels"]);
    let narrow = at(22);
    assert!(narrow.text.starts_with("WORKER\nrise-riscv-runner-a\n    pool: k1\n"), "{}", narrow.text);
}

#[test]
fn no_name_is_broken_and_no_explanation_is_lost_at_any_width() {
    for width in 20..130 {
        let table = at(width);
        let words: Vec<&str> = table.text.split_whitespace().collect();
        for word in ["rise-riscv-runner-a", "k1", "soon"] {
            assert!(words.contains(&word), "{width}: {}", table.text);
        }
        let because = words.iter().filter(|word| ["pool", "free", "slot"].contains(word)).count();
        assert_eq!(because, 4, "{width}: {}", table.text);
    }
}

#[test]
fn colours_take_no_room() {
    let table = Table::painted(&COLUMNS, &rows(), None);
    assert!(table.text.contains("7  \u{1b}[31mk1\u{1b}[0m    the pool"), "{}", table.text);
}
