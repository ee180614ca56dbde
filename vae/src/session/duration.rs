//! Durations in words, and from words.

/// Describes a time in the largest unit that suits it: `about 12 min`, `about 3 h`, `about 2 days`.
pub fn words(seconds: f64) -> String {
    match seconds {
        0.0..5_400.0 => format!("about {:.0} min", (seconds / 60.0).max(1.0)),
        5_400.0..172_800.0 => format!("about {:.0} h", seconds / 3_600.0),
        _ => format!("about {:.0} days", seconds / 86_400.0),
    }
}

/// Reads a time such as `90min`, `6h`, `1.5 h` or `2d`, in seconds.
///
/// # Errors
/// What is wrong, in one line.
pub fn parse(text: &str) -> Result<f64, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = (text[..at].trim(), text[at..].trim());
    let each = match unit {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return Err("write a number and a unit: 90min, 6h or 2d".into()),
    };
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.map(|number| number * each).ok_or_else(|| "write a number above 0 and a unit: 90min, 6h or 2d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_and_read() {
        assert_eq!(
            [30.0, 720.0, 10_800.0, 259_200.0].map(words),
            ["about 1 min", "about 12 min", "about 3 h", "about 3 days"]
        );
        for (text, seconds) in
            [("90min", 5_400.0), ("6h", 21_600.0), ("1.5 h", 5_400.0), ("2d", 172_800.0), ("45m", 2_700.0)]
        {
            assert_eq!(parse(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "6", "h", "-1h", "6 weeks", "0h", "1e999h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
