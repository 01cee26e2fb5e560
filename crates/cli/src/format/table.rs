//! Pure: tables as Docker prints them: columns at least 10 wide, 3 blanks between.

/// Lays rows of cells out. The last cell of a row is never padded. As in Go's tabwriter, a column
/// is as wide as its widest cell among neighbouring rows that have it.
pub(crate) fn render(rows: &[Vec<String>]) -> String {
    render_with(rows, 10, 3)
}

/// As [`render`], with another least width and gap.
pub(crate) fn render_with(rows: &[Vec<String>], least: usize, gap: usize) -> String {
    let width = |cell: &str| cell.chars().count();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 == row.len() {
                continue;
            }
            let has = |row: &&Vec<String>| row.len() > column + 1;
            let before = rows[..index].iter().rev().take_while(has);
            let after = rows[index..].iter().take_while(has);
            let widest = before
                .chain(after)
                .map(|row| width(&row[column]) + gap)
                .max()
                .unwrap_or(0);
            let pad = widest.max(least) - width(cell);
            text.extend(std::iter::repeat_n(' ', pad));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let row = |cells: &[&str]| {
            cells
                .iter()
                .map(|cell| (*cell).to_owned())
                .collect::<Vec<_>>()
        };
        let rows = [
            row(&["NAME", "LONG NAME HERE", "END"]),
            row(&["a", "…", ""]),
        ];
        assert_eq!(
            render(&rows),
            "NAME      LONG NAME HERE   END\na         …                \n"
        );
    }
}
