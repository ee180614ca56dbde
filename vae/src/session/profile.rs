//! `--profile`: the time of each kind of work, from the run's `timing.json`.

use std::path::Path;

use vae_core::Result;
use vae_core::train::Timing;
use vae_run::Timings;

use super::table::markdown_table;
use crate::say;

/// Prints the table of a run that has ended or was interrupted.
pub(super) fn print(run: &Path) -> Result<()> {
    match Timings::read(run)? {
        Some(timings) => say!("\n{}", table(&timings).trim_end()),
        None => say!("\nno epoch has ended, so there is no profile"),
    }
    Ok(())
}

/// The seconds over all epochs and per epoch, and the shares of the total.
fn table(timings: &Timings) -> String {
    let (all, epochs) = (timings.total.sum(), timings.epochs.len().max(1) as f64);
    let row = |kind: &str, seconds: f64| {
        let share = 100.0 * seconds / all.max(f64::MIN_POSITIVE);
        vec![kind.into(), format!("{seconds:.2}"), format!("{:.3}", seconds / epochs), format!("{share:.1} %")]
    };
    let head =
        [format!("{}, {} threads", timings.device, timings.threads), "s".into(), "s an epoch".into(), "share".into()];
    let kinds = Timing::KINDS.iter().zip(timings.total.seconds()).map(|(kind, seconds)| row(kind, seconds));
    let cells: Vec<_> = std::iter::once(head.to_vec()).chain(kinds).chain([row("all", all)]).collect();
    markdown_table(&cells)
}

#[cfg(test)]
mod tests {
    use vae_run::EpochTiming;

    use super::*;

    #[test]
    fn shares_are_relative_to_the_total() {
        let timing = Timing { forward: 1.0, backward: 2.5, validation: 0.5, ..Timing::default() };
        let mut total = timing;
        total.add(&timing);
        let epochs = [1, 2].map(|epoch| EpochTiming { epoch, timing }).to_vec();
        let timings = Timings { version: "1".into(), commit: None, device: "cpu".into(), threads: 2, total, epochs };
        let told = table(&timings);
        let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(rows[0][1..5], ["cpu, 2 threads", "s", "s an epoch", "share"]);
        assert_eq!(rows[3][1..5], ["forward", "2.00", "1.000", "25.0 %"]);
        assert_eq!(rows[4][1..5], ["backward", "5.00", "2.500", "62.5 %"]);
        assert_eq!(rows.last().unwrap()[1..5], ["all", "8.00", "4.000", "100.0 %"]);
    }
}
