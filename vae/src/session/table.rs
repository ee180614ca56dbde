//! Markdown tables whose columns are aligned, so that they are readable as plain text.

/// A table of these rows, the first of which is the header. Cells are right-aligned.
pub fn markdown_table(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |i: usize| cells.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = cells.iter().map(|row| {
        let padded = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:>width$}")).collect::<Vec<_>>();
        format!("| {} |\n", padded.join(" | "))
    });
    let head = lines.next().unwrap_or_default();
    let rule = widths.iter().map(|&width| format!("{}:|", "-".repeat(width + 1))).collect::<String>();
    format!("{head}|{rule}\n{}", lines.collect::<String>())
}

/// Formats a number to five digits, with at most six decimals.
pub fn five_digits(x: f64) -> String {
    let decimals = (4.0 - x.abs().max(1e-9).log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_five_digits() {
        let told = [123_456.7, 134.266, 13.456, 0.012_345_678, 0.0, -2.5].map(five_digits);
        assert_eq!(told, ["123457", "134.27", "13.456", "0.012346", "0.000000", "-2.5000"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let cells = [["β", "total"], ["10", "2"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(markdown_table(&cells), "|  β | total |\n|---:|------:|\n| 10 |     2 |\n");
    }
}
