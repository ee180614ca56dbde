//! Rows and cells of the tables on the page.

use minijinja::value::Value as Safe;
use serde::Serialize;
use vae_core::objective::number;

/// A table row: a heading, and one cell per run.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) heading: String,
    pub(super) note: String,
    /// Which values are better: an arrow, or nothing.
    pub(super) better: &'static str,
    pub(super) cells: Vec<Safe>,
}

/// A table cell that shows a number to a few digits and has all of them in the tag.
pub(super) fn cell(x: f64) -> Safe {
    let all = number(x);
    let all = all.as_str().map_or_else(|| all.to_string(), str::to_owned);
    let some = if x.is_finite() { digits(x) } else { all.clone() };
    Safe::from_safe_string(format!("<data value=\"{all}\">{some}</data>"))
}

pub(super) fn cell_or_none(x: Option<f64>) -> Safe {
    x.map_or_else(|| Safe::from("–"), cell)
}

/// Formats integers with commas between thousands, and other numbers to four digits.
fn digits(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        let digits = format!("{}", x.abs());
        let thousands: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
        return format!("{}{}", if x < 0.0 { "−" } else { "" }, thousands.join(","));
    }
    if x.abs() < 1e-4 {
        return format!("{x:.2e}");
    }
    let decimals = (3.0 - x.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{x:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_on_the_page_and_complete_in_the_tag() {
        let told = [1.0 / 3.0, 12345.678, 16.0, -0.00001234, 0.0, 99.991, 23_910_275.0, -1000.0].map(digits);
        assert_eq!(told, ["0.3333", "12346", "16", "-1.23e-5", "0", "99.99", "23,910,275", "−1,000"]);
        assert_eq!(cell(1.0 / 3.0).to_string(), "<data value=\"0.3333333333333333\">0.3333</data>");
        assert_eq!(cell(f64::INFINITY).to_string(), "<data value=\"inf\">inf</data>");
    }
}
