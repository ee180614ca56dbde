//! The confusion table of a classifier: `counts[label][predicted]`.

use std::fmt;

/// A confusion table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<usize>>,
}

impl Confusion {
    /// Creates an empty table with `classes` labels.
    pub fn new(classes: usize) -> Confusion {
        Confusion { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts an image with this true and this predicted label.
    ///
    /// # Panics
    /// If one of them is not a label of the table.
    #[track_caller]
    pub fn add(&mut self, label: usize, predicted: usize) {
        self.counts[label][predicted] += 1;
    }

    /// Returns the fraction of images whose label was predicted correctly, or NaN if there are no images.
    pub fn accuracy(&self) -> f64 {
        let right: usize = self.counts.iter().enumerate().map(|(label, row)| row[label]).sum();
        right as f64 / self.images() as f64
    }

    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// Returns the table as CSV: one line per true label, one column per predicted label.
    pub fn csv(&self) -> String {
        let line =
            |first: String, row: &[usize]| row.iter().fold(first, |line, count| format!("{line},{count}")) + "\n";
        let head = line("label".into(), &(0..self.counts.len()).collect::<Vec<_>>());
        self.counts.iter().enumerate().fold(head, |text, (label, row)| text + &line(label.to_string(), row))
    }
}

/// Writes the accuracy and, for at most 20 labels, the table.
impl fmt::Display for Confusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accuracy {:.2} % of {} images", 100.0 * self.accuracy(), self.images())?;
        if self.counts.len() > 20 {
            return Ok(());
        }
        write!(f, "; a row is a true label, a column a predicted label\n      ")?;
        (0..self.counts.len()).try_for_each(|predicted| write!(f, " {predicted:>5}"))?;
        for (label, row) in self.counts.iter().enumerate() {
            write!(f, "\n{label:>6}")?;
            row.iter().try_for_each(|count| write!(f, " {count:>5}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_labels_and_the_diagonal_is_right() {
        let mut table = Confusion::new(2);
        for (label, predicted) in [(0, 0), (0, 1), (0, 1), (1, 1)] {
            table.add(label, predicted);
        }
        assert_eq!((table.accuracy(), table.images()), (0.5, 4));
        assert_eq!(table.csv(), "label,0,1\n0,1,2\n1,0,1\n");
        let text = table.to_string();
        assert!(text.starts_with("accuracy 50.00 % of 4 images") && text.ends_with("\n     1     0     1"), "{text}");
        assert_eq!(Confusion::new(21).to_string(), "accuracy NaN % of 0 images");
        assert_eq!(Confusion::new(20).to_string().lines().count(), 2 + 20);
    }
}
