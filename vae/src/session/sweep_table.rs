//! The table of a sweep, for its folder and for its report: a row for each run, with its values, its best epoch, that epoch's validation losses, the chosen test scores,
//! and the seconds of all its epochs. If seeds are swept, a second table has the mean and the standard deviation over seeds:
//!
//! ```text
//! x̄ = Σ xᵢ / n,   s = √(Σ (xᵢ − x̄)² / (n − 1))
//! ```

use serde_json::{Map, Value};
use vae_scores::Scores;

use super::grid::ResultLine;
use super::table::{five_digits, markdown_table};

/// A run that has ended.
pub struct Row<'a> {
    /// Its line in `results.jsonl`.
    pub line: &'a ResultLine,
    /// Its test scores, if they were asked for and it did not diverge.
    pub scores: Option<Scores>,
}

impl Row<'_> {
    /// The swept keys and their values.
    fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let settings = self.line.get("settings").and_then(Value::as_object).into_iter().flatten();
        settings.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }

    fn value(&self, key: &str) -> &str {
        self.settings().find(|(known, _)| *known == key).map_or("", |(_, value)| value)
    }

    fn diverged(&self) -> bool {
        !self.line.contains_key("validation")
    }

    fn number(&self, column: &Column) -> Option<f64> {
        match column {
            Column::Validation(name) => self.line.get("validation")?.get(name)?.as_f64(),
            Column::Score(name) => Some(self.scores.as_ref()?.get(name)?.value),
            Column::Seconds => self.line.get("seconds")?.as_f64(),
        }
    }
}

/// A column of numbers.
enum Column {
    Validation(String),
    Score(String),
    Seconds,
}

impl Column {
    /// The title. A test score and a validation loss may have the same name.
    fn title(&self) -> String {
        match self {
            Column::Validation(name) => name.clone(),
            Column::Score(name) => format!("test {name}"),
            Column::Seconds => "seconds".into(),
        }
    }
}

/// The runs of a sweep that have ended.
pub struct SweepTable<'a> {
    rows: &'a [Row<'a>],
    /// The swept keys.
    keys: Vec<&'a str>,
    columns: Vec<Column>,
}

impl<'a> SweepTable<'a> {
    /// The table of these runs. `scores` are the names of test scores that get a column.
    pub fn new(rows: &'a [Row<'a>], scores: &[String]) -> SweepTable<'a> {
        let mut names: Vec<&String> = Vec::new();
        let measured = rows.iter().filter_map(|row| row.line.get("validation")?.as_object());
        for name in measured.flat_map(Map::keys).filter(|name| *name != "kl_per_dim") {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let columns = names.into_iter().map(|name| Column::Validation(name.clone()));
        let columns = columns.chain(scores.iter().map(|name| Column::Score(name.clone()))).chain([Column::Seconds]);
        let mut keys: Vec<&str> = Vec::new();
        for (key, _) in rows.iter().flat_map(Row::settings) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        SweepTable { rows, keys, columns: columns.collect() }
    }

    /// The titles of a table: those of the first columns, then those of the columns of numbers.
    fn titles(&self, first: &[&str]) -> Vec<String> {
        let numbers = self.columns.iter().map(Column::title);
        first.iter().map(|&title| title.to_owned()).chain(numbers).collect()
    }

    /// The tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut cells = vec![self.titles(&[&self.keys[..], &["best epoch"]].concat())];
        for row in self.rows {
            let best = match row.line.get("best_epoch") {
                Some(epoch) => format!("{epoch} of {}", row.line["epochs"]),
                None => "diverged".into(),
            };
            let values = self.keys.iter().map(|key| row.value(key).to_owned()).chain([best]);
            let numbers =
                self.columns.iter().map(|column| row.number(column).map_or_else(|| "–".to_owned(), five_digits));
            cells.push(values.chain(numbers).collect());
        }
        let runs = markdown_table(&cells);
        match self.over_seeds() {
            Some(cells) => format!("{runs}\nMean ± standard deviation over seeds:\n\n{}", markdown_table(&cells)),
            None => runs,
        }
    }

    /// The cells of the table of means and standard deviations over seeds, row by row, the titles first; `None` unless several
    /// seeds are swept.
    pub fn over_seeds(&self) -> Option<Vec<Vec<String>>> {
        let keys: Vec<&str> = self.keys.iter().copied().filter(|key| *key != "seed").collect();
        let mut cells = vec![self.titles(&[&keys[..], &["seeds"]].concat())];
        for group in self.groups()? {
            let values = keys.iter().map(|key| group[0].value(key).to_owned());
            let trained: Vec<&Row> = group.iter().copied().filter(|row| !row.diverged()).collect();
            let failed = group.len() - trained.len();
            let count =
                if failed == 0 { format!("{}", group.len()) } else { format!("{}, {failed} diverged", group.len()) };
            let numbers = self.columns.iter().map(|column| {
                let numbers: Vec<f64> = trained.iter().filter_map(|row| row.number(column)).collect();
                mean_and_deviation(&numbers)
            });
            cells.push(values.chain([count]).chain(numbers).collect());
        }
        Some(cells)
    }

    /// The runs that differ only in their seeds, in groups; `None` unless several seeds are swept.
    fn groups(&self) -> Option<Vec<Vec<&Row<'a>>>> {
        self.keys.contains(&"seed").then_some(())?;
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in self.rows {
            let same = |other: &Row| self.keys.iter().all(|key| *key == "seed" || row.value(key) == other.value(key));
            match groups.iter_mut().find(|group| same(group[0])) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        groups.iter().any(|group| group.len() > 1).then_some(groups)
    }

    /// A line for each run, with all digits. A number that is missing is an empty field.
    pub fn csv(&self) -> String {
        let titles = self.keys.iter().copied().chain(["best_epoch", "epochs"]).map(str::to_owned);
        let mut lines =
            vec![titles.chain(self.columns.iter().map(|column| column.title().replace(' ', "_"))).collect()];
        for row in self.rows {
            let whole = |key: &str| row.line.get(key).map(Value::to_string).unwrap_or_default();
            let values = self.keys.iter().map(|key| row.value(key).to_owned());
            let numbers =
                self.columns.iter().map(|column| row.number(column).map(|x| x.to_string()).unwrap_or_default());
            lines.push(values.chain([whole("best_epoch"), whole("epochs")]).chain(numbers).collect::<Vec<_>>());
        }
        let line = |fields: &Vec<String>| fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",") + "\n";
        lines.iter().map(line).collect()
    }
}

/// `mean ± deviation` to five digits; the mean alone of one number, and a dash of none.
pub(crate) fn mean_and_deviation(numbers: &[f64]) -> String {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    match numbers {
        [] => "–".into(),
        [x] => five_digits(*x),
        _ => {
            let squares: f64 = numbers.iter().map(|x| (x - mean).powi(2)).sum();
            format!("{} ± {}", five_digits(mean), five_digits((squares / (n - 1.0)).sqrt()))
        }
    }
}

/// A field of a CSV file (RFC 4180).
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vae_core::config::Settings;
    use vae_scores::Score;

    use super::super::points::points;
    use super::*;

    fn scores(value: f64) -> Scores {
        let score = Score {
            name: "mse".into(),
            value,
            unit: String::new(),
            of: String::new(),
            parts: Vec::new(),
            caveat: String::new(),
        };
        Scores { epoch: 1, images: 2, scores: vec![score], ..Scores::default() }
    }

    /// Two values with two seeds each. One run diverged.
    #[test]
    fn runs_are_summarised_over_seeds() {
        let sweeps = ["model.widths=[1, 2],[3]".to_owned(), "seed=1,2".to_owned()];
        let points = points(&sweeps, &Settings::default()).unwrap();
        let line =
            |total: f64| json!({ "best_epoch": 1, "epochs": 2, "seconds": 3.0, "validation": { "total": total } });
        let ends = [line(10.0), line(13.0), line(5.0), json!({ "failed": "why" })];
        let lines: Vec<ResultLine> = points
            .iter()
            .zip(ends)
            .map(|(point, end)| point.line().into_iter().chain(end.as_object().unwrap().clone()).collect())
            .collect();
        let rows: Vec<Row> =
            (0..4).map(|i| Row { line: &lines[i], scores: (i < 3).then(|| scores(0.5 * i as f64)) }).collect();
        let table = SweepTable::new(&rows, &["mse".to_owned()]);
        let told = table.markdown();
        let cells: Vec<Vec<&str>> = told
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
            .collect();
        assert_eq!(cells[0], ["model.widths", "seed", "best epoch", "total", "test mse", "seconds"]);
        assert_eq!(cells[2], ["[1, 2]", "1", "1 of 2", "10.000", "0.000000", "3.0000"]);
        assert_eq!(cells[5], ["[3]", "2", "diverged", "–", "–", "–"]);
        assert_eq!(cells[6], ["model.widths", "seeds", "total", "test mse", "seconds"]);
        assert_eq!(cells[8], ["[1, 2]", "2", "11.500 ± 2.1213", "0.25000 ± 0.35355", "3.0000 ± 0.000000"]);
        assert_eq!(cells[9], ["[3]", "2, 1 diverged", "5.0000", "1.0000", "3.0000"]);
        let csv = "model.widths,seed,best_epoch,epochs,total,test_mse,seconds\n\"[1, 2]\",1,1,2,10,0,3\n\"[1, 2]\",2,1,2,13,0.5,3\n\
                   [3],1,1,2,5,1,3\n[3],2,,,,,\n";
        assert_eq!(table.csv(), csv);
        assert!(!SweepTable::new(&rows[1..3], &[]).markdown().contains('±'), "one run of each value");
    }
}
