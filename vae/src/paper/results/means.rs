//! A table with one row for the seeds of a run: words, the number of seeds, `mean ± standard deviation` of each quantity, and the command
//! that trains the run by itself.

use super::View;
use crate::paper::Table;
use crate::paper::claims::verdict::Measured as _;
use crate::session::sweep_table::mean_and_deviation;
use crate::session::table::markdown_table;

impl View<'_> {
    /// The table. A run that diverged with some seeds has the others' mean, and says so.
    pub(super) fn means(&self, table: &Table) -> String {
        let first = ["model".to_owned()].into_iter().chain(table.heads.clone());
        let head = first.chain(["seeds".to_owned()]).chain(table.columns.clone()).chain(["command".to_owned()]);
        let mut cells = vec![head.collect::<Vec<_>>()];
        for row in &table.rows {
            let seeds = &self.results.asked.seeds;
            let values = |quantity: &String| -> Vec<f64> {
                seeds.iter().filter_map(|&seed| self.value(&row.run, seed, quantity).ok()).collect()
            };
            let [done, failed] = self.ended(&row.run);
            let count = match failed {
                0 => done.to_string(),
                failed => format!("{done}, {failed} diverged"),
            };
            let numbers = table.columns.iter().map(|quantity| mean_and_deviation(&values(quantity)));
            let command = self.results.paper.command(&row.run).map_or_else(String::new, |words| format!("`{words}`"));
            let words = [row.run.clone()].into_iter().chain(row.words.clone()).chain([count]);
            cells.push(words.chain(numbers).chain([command]).collect());
        }
        markdown_table(&cells)
    }

    /// How many seeds of a run have ended well, and how many have diverged.
    fn ended(&self, run: &str) -> [usize; 2] {
        let lines = self.results.plan.iter().filter(|planned| planned.run == run);
        let lines = lines.filter_map(|planned| self.grid.result(&planned.point));
        let (failed, done): (Vec<_>, Vec<_>) = lines.partition(|line| line.contains_key("failed"));
        [done.len(), failed.len()]
    }
}
