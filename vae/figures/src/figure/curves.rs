//! Curves over the epochs: the training and validation losses of one run, or the validation losses of several.

use serde_json::Value;
use vae_core::objective::{Losses, part_label, part_unit};
use vae_core::train::Epoch;

use super::axis::Axis;
use super::plot::{Kind, PANEL, Panel, Plot, Series};
use super::style::Style;

/// Returns a plot with one panel for the total loss and one for each of its parts. `unit` is the unit of the total.
pub fn curves(title: &str, epochs: &[Epoch], unit: &str) -> Plot {
    let parts = epochs.first().map_or(&[][..], |epoch| &epoch.train.parts[..]);
    let panel = |heading: &str, unit: &str, pick: &dyn Fn(&Losses) -> f64| {
        let points = |of: &dyn Fn(&Epoch) -> f64| epochs.iter().map(|epoch| [epoch.epoch as f64, of(epoch)]).collect();
        let train: Vec<_> = points(&|epoch| pick(&epoch.train));
        let validation = points(&|epoch| pick(&epoch.validation.losses));
        lines(heading, unit, [("training".into(), 0, train), ("validation".into(), 1, validation)])
    };
    let mut panels = vec![panel("total", unit, &|losses| losses.total)];
    panels.extend(
        parts.iter().map(|(name, _)| {
            panel(&part_label(name), part_unit(name), &|losses| losses.part(name).unwrap_or(f64::NAN))
        }),
    );
    Plot { title: title.into(), columns: panels.len(), size: PANEL, panels }
}

/// A panel of lines over the epochs. Each line has a name, a style number and its points.
fn lines(heading: &str, unit: &str, all: impl IntoIterator<Item = (String, usize, Vec<[f64; 2]>)>) -> Panel {
    let series = all.into_iter().map(|(name, k, points)| {
        let style = Style::number(k);
        Series { name, kind: Kind::Line, style, points }
    });
    let series: Vec<Series> = series.collect();
    let points = || series.iter().flat_map(|series| &series.points);
    let last = points().map(|&[epoch, _]| epoch as usize).max().unwrap_or(1);
    let (x, y) = (Axis::counted("epoch", last), Axis::fitted(unit, points().map(|&[_, y]| y)));
    let note = y.note();
    let heading = if note.is_empty() { heading.to_owned() } else { format!("{heading} ({note})") };
    Panel { heading, x, y, series }
}

/// The validation metrics of one run over its epochs.
#[derive(Clone, Debug)]
pub struct Curve {
    /// The name in the legend.
    pub name: String,
    figures: Vec<(String, Vec<[f64; 2]>)>,
}

impl Curve {
    /// Reads the validation losses (the total and its parts) from the lines of a run's `metrics.jsonl`.
    pub fn of_validation(name: &str, epochs: &[Value]) -> Curve {
        let first = epochs.first().and_then(|epoch| epoch["validation"].as_object());
        let names = first
            .into_iter()
            .flat_map(|figures| figures.keys())
            .filter(|key| !["kl_per_dim", "mse"].contains(&key.as_str()));
        let points = |key: &str| {
            let number = |epoch: &Value| epoch["validation"][key].as_f64().unwrap_or(f64::NAN);
            epochs.iter().zip(1_u32..).map(|(epoch, at)| [f64::from(at), number(epoch)]).collect()
        };
        Curve { name: name.to_owned(), figures: names.map(|key| (key.clone(), points(key))).collect() }
    }

    fn figure(&self, name: &str) -> Option<&Vec<[f64; 2]>> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, points)| points)
    }
}

/// Returns a plot with one panel for every metric that one of the curves has, and in it a line for each curve that has it.
pub fn overlay(title: &str, curves: &[Curve]) -> Plot {
    let mut plot = overlay_by(title, &[(String::new(), curves.to_vec())]);
    plot.columns = plot.panels.len();
    plot
}

/// Returns a plot with one row of panels for every metric, and in the row one panel for every group of curves, with the group's
/// name above it. The panels of a row have the same axes. Curves of the same name have the same style in all panels.
pub fn overlay_by(title: &str, groups: &[(String, Vec<Curve>)]) -> Plot {
    let all = || groups.iter().flat_map(|(_, curves)| curves);
    let (mut figures, mut names): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for curve in all() {
        let new = curve.figures.iter().map(|(name, _)| name.as_str());
        let new: Vec<&str> = new.filter(|name| !figures.contains(name)).collect();
        figures.extend(new);
        if !names.contains(&curve.name.as_str()) {
            names.push(&curve.name);
        }
    }
    let mut panels = Vec::new();
    for figure in &figures {
        let line = |curve: &Curve| {
            let style = names.iter().position(|name| *name == curve.name)?;
            Some((curve.name.clone(), style, curve.figure(figure)?.clone()))
        };
        let whole = lines("", part_unit(figure), all().filter_map(line));
        for (group, curves) in groups {
            let heading = format!("{group}{}{}", if group.is_empty() { "" } else { ": " }, part_label(figure));
            let panel = lines(&heading, part_unit(figure), curves.iter().filter_map(line));
            panels.push(Panel { x: whole.x.clone(), y: whole.y.clone(), ..panel });
        }
    }
    if panels.is_empty() {
        panels.push(lines("", "", []));
    }
    Plot { title: title.into(), columns: groups.len().max(1), size: PANEL, panels }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vae_core::predict::Validation;

    use super::*;

    #[test]
    fn any_history_can_be_drawn() {
        let losses = |total| Losses { total, parts: vec![("reconstruction", total - 10.0), ("kl", 10.0)] };
        let epoch = |epoch, total| Epoch {
            epoch,
            train: losses(total),
            validation: Validation { losses: losses(total + 5.0), kl_per_dim: vec![], mse: None },
            learning_rate: 1e-3,
            seconds: 1.0,
            images_per_second: 1.0,
        };
        for history in [
            vec![],
            vec![epoch(1, f64::NAN)],
            vec![epoch(1, 100.0)],
            (1..=40).map(|e| epoch(e, 100.0 / e as f64)).collect(),
        ] {
            let plot = curves("a run", &history, "nats per image");
            let picture = image::load_from_memory(&plot.png()).unwrap();
            assert_eq!(picture.width(), if history.is_empty() { 430 } else { 1270 });
            roxmltree::Document::parse(&plot.svg()).unwrap();
        }
    }

    fn run(name: &str, epochs: usize, more: Option<&str>) -> Curve {
        let epoch = |e: usize| {
            let mut figures = json!({ "total": 100.0 / e as f64, "kl": "NaN", "kl_per_dim": [1.0], "mse": 0.1 });
            more.iter().for_each(|key| figures[*key] = json!(e));
            json!({ "epoch": e, "validation": figures })
        };
        Curve::of_validation(name, &(1..=epochs).map(epoch).collect::<Vec<_>>())
    }

    #[test]
    fn any_runs_can_be_drawn_together() {
        let many: Vec<Curve> = (0..30).map(|k| run(&format!("beta={k},z_dim=10"), 1 + k, None)).collect();
        for (curves, panels) in [
            (vec![], 1),
            (vec![run("a", 0, None)], 1),
            (vec![run("a", 3, None), run("b", 5, Some("tc"))], 3),
            (many, 2),
        ] {
            let picture = image::load_from_memory(&overlay("runs", &curves).png()).unwrap();
            assert_eq!(picture.width(), panels * PANEL[0] + 10);
        }
    }

    #[test]
    fn groups_share_axes_and_names_share_colours() {
        let groups = [
            ("beta=1".to_owned(), vec![run("z=2", 3, None), run("z=8", 9, None)]),
            ("beta=4".into(), vec![run("z=8", 2, None)]),
        ];
        let plot = overlay_by("runs", &groups);
        assert_eq!((plot.columns, plot.panels.len()), (2, 4));
        let headings: Vec<&str> = plot.panels.iter().map(|panel| panel.heading.as_str()).collect();
        assert_eq!(headings, ["beta=1: total", "beta=4: total", "beta=1: KL", "beta=4: KL"]);
        let [left, right] = [&plot.panels[0], &plot.panels[1]];
        assert_eq!((&left.x, &left.y), (&right.x, &right.y));
        assert_eq!(right.series[0].style, left.series[1].style);
        assert_ne!(right.series[0].style, left.series[0].style);
        assert_eq!(left.series[0].style, Style::number(0));
    }

    #[test]
    fn each_panel_shows_its_metric() {
        let plot = overlay("runs", &[run("a", 3, Some("tc")), run("b", 2, None)]);
        let points = |panel: usize, series: usize| plot.panels[panel].series[series].points.clone();
        let headings: Vec<&str> = plot.panels.iter().map(|panel| panel.heading.as_str()).collect();
        assert_eq!(headings, ["total", "KL", "TC"]);
        assert_eq!(points(0, 0), [[1.0, 100.0], [2.0, 50.0], [3.0, 100.0 / 3.0]]);
        assert_eq!(points(0, 1), points(0, 0)[..2]);
        assert!(points(1, 0).iter().all(|[_, y]| y.is_nan()));
        assert_eq!(points(2, 0), [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]);
        assert_eq!([plot.panels[0].series.len(), plot.panels[2].series.len()], [2, 1], "one run has no such metric");
        assert_eq!((plot.panels[2].x.high.floor(), plot.columns), (3.0, 3));
    }
}
