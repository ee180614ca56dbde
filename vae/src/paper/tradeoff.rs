//! A trade-off: a quantity of several runs against others, in one panel each. The runs of one name, such as `bvae` at several weights,
//! are joined by a line. Each point is the mean of the seeds.

use vae_figures::figure::{Axis, Kind, PANEL, Panel, Plot, Series, Style};

/// Returns the figure of `against`: the quantity across, and those up. `value` gives a quantity of a run with a seed; runs without a value
/// are left out. `None` if no run has any.
pub fn trade_off(
    title: &str,
    runs: &[String],
    seeds: &[u64],
    against: &[String],
    value: &dyn Fn(&str, u64, &str) -> Option<f64>,
) -> Option<Plot> {
    let (across, up) = against.split_first()?;
    let mean = |run: &str, quantity: &str| {
        let values: Vec<f64> = seeds.iter().filter_map(|&seed| value(run, seed, quantity)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut names: Vec<&str> = Vec::new();
    for name in runs.iter().filter_map(|run| run.split(',').next()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let panel = |quantity: &String| {
        let line = |(k, name): (usize, &&str)| {
            let mine = runs.iter().filter(|run| run.split(',').next() == Some(name));
            let points: Vec<[f64; 2]> =
                mine.filter_map(|run| Some([mean(run, across)?, mean(run, quantity)?])).collect();
            (!points.is_empty()).then(|| Series {
                name: (*name).to_owned(),
                kind: Kind::Line,
                style: Style::number(k),
                points,
            })
        };
        let series: Vec<Series> = names.iter().enumerate().filter_map(line).collect();
        let axis = |label: &str, at: usize| {
            let points = series.iter().flat_map(|series| &series.points);
            Axis::around(label, points.map(|point| point[at]))
        };
        let (x, y) = (axis(across, 0), axis(quantity, 1));
        (!series.is_empty()).then_some(Panel { heading: String::new(), x, y, series })
    };
    let panels: Vec<Panel> = up.iter().filter_map(panel).collect();
    let columns = panels.len();
    (columns > 0).then(|| Plot { title: title.to_owned(), columns, size: PANEL, panels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_means_of_the_seeds_that_have_values() {
        let runs: Vec<String> = ["a,beta=1", "a,beta=2", "b,beta=2", "c"].map(Into::into).into();
        let against: Vec<String> = ["loss", "tc", "mig"].map(Into::into).into();
        let value = |run: &str, seed: u64, quantity: &str| match (run, quantity) {
            ("c", _) | ("b,beta=2", "mig") => None,
            ("a,beta=2", _) if seed == 2 => None,
            (_, "loss") => Some(seed as f64),
            _ => Some(10.0 * seed as f64),
        };
        let plot = trade_off("t", &runs, &[1, 2], &against, &value).unwrap();
        let series = |panel: usize| {
            let all = plot.panels[panel].series.iter();
            all.map(|series| (series.name.as_str(), series.points.clone())).collect::<Vec<_>>()
        };
        let a = ("a", vec![[1.5, 15.0], [1.0, 10.0]]);
        assert_eq!(series(0), [a.clone(), ("b", vec![[1.5, 15.0]])]);
        assert_eq!(series(1), [a]);
        assert_eq!((plot.columns, trade_off("t", &runs[3..], &[1], &against, &value)), (2, None));
    }
}
