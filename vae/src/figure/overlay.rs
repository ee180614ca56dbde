//! The validation curves of several runs over each other: a panel a figure, a line a run.

use serde_json::Value;

use super::canvas::{BLACK, Canvas, Colour, width_of};
use super::curves::{Marker, PANEL, Series, draw, mark};
use super::png;
use crate::train::{part_unit, part_words};

/// Eight colours that every kind of eye tells apart (Okabe and Ito, the yellow darker); after them the markers change.
const COLOURS: [Colour; 8] = [
    [0, 114, 178],
    [230, 130, 0],
    [0, 158, 115],
    [204, 121, 167],
    [86, 180, 233],
    [213, 94, 0],
    [190, 170, 0],
    [30, 30, 30],
];
const MARKERS: [Marker; 3] = [Marker::Disc, Marker::Square, Marker::Cross];

const HEAD: u32 = 44;
/// Height of a line of the legend.
const LINE: u32 = 22;

/// One run's validation figures over its epochs.
pub struct Curve {
    name: String,
    figures: Vec<(String, Vec<(usize, f64)>)>,
}

impl Curve {
    /// The losses of a run, from the lines of its `metrics.jsonl`: the total and its parts.
    pub fn of_validation(name: &str, epochs: &[Value]) -> Curve {
        let first = epochs.first().and_then(|epoch| epoch["validation"].as_object());
        let names = first
            .into_iter()
            .flat_map(|figures| figures.keys())
            .filter(|key| !["kl_per_dim", "mse"].contains(&key.as_str()));
        let points = |key: &str| {
            let number = |epoch: &Value| epoch["validation"][key].as_f64().unwrap_or(f64::NAN);
            epochs.iter().zip(1..).map(|(epoch, at)| (at, number(epoch))).collect()
        };
        Curve { name: name.to_owned(), figures: names.map(|key| (key.clone(), points(key))).collect() }
    }
}

/// All curves in one PNG: a panel for every figure that one of them has, and a legend of the runs' names below.
pub fn overlay(title: &str, curves: &[Curve]) -> Vec<u8> {
    let mut figures: Vec<&str> = Vec::new();
    for (name, _) in curves.iter().flat_map(|curve| &curve.figures) {
        if !figures.contains(&name.as_str()) {
            figures.push(name);
        }
    }
    let width = (figures.len().max(1) as u32) * PANEL[0] + 10;
    let entry = curves.iter().map(|curve| width_of(&curve.name) as u32).max().unwrap_or(0) + 70;
    let columns = ((width - 16) / entry).clamp(1, curves.len().max(1) as u32);
    let rows = (curves.len() as u32).div_ceil(columns);
    let mut canvas = Canvas::new(width.max(16 + entry), HEAD + PANEL[1] + rows * LINE + 16);
    canvas.text([16, 10], title, BLACK);
    let style = |k: usize| (COLOURS[k % COLOURS.len()], MARKERS[k / COLOURS.len() % MARKERS.len()]);
    for (i, figure) in figures.iter().enumerate() {
        let of = |(k, curve): (usize, &'_ Curve)| {
            let (_, points) = curve.figures.iter().find(|(name, _)| name == figure)?;
            Some((points.clone(), style(k)))
        };
        let lines: Vec<_> = curves.iter().enumerate().filter_map(of).collect();
        let series: Vec<_> = lines
            .iter()
            .map(|(points, (colour, marker))| Series { points, colour: *colour, marker: *marker })
            .collect();
        draw(&mut canvas, [i as u32 * PANEL[0], HEAD], [&part_words(figure), part_unit(figure)], &series);
    }
    for (k, curve) in curves.iter().enumerate() {
        let (column, row) = (k as u32 % columns, k as u32 / columns);
        let (x, y) = (16 + column * entry, HEAD + PANEL[1] + row * LINE);
        let (colour, marker) = style(k);
        let middle = y as f32 + 9.0;
        canvas.line([x as f32, middle], [x as f32 + 30.0, middle], 2.0, colour);
        mark(&mut canvas, [x as f32 + 15.0, middle], marker, colour);
        canvas.text([i64::from(x) + 38, i64::from(y)], &curve.name, BLACK);
    }
    png(&canvas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_runs_can_be_drawn_together() {
        let run = |name: &str, epochs: usize, more: Option<&str>| {
            let epoch = |e: usize| {
                let mut figures = json!({ "total": 100.0 / e as f64, "kl": "NaN", "kl_per_dim": [1.0], "mse": 0.1 });
                more.iter().for_each(|key| figures[*key] = json!(e));
                json!({ "epoch": e, "validation": figures })
            };
            Curve::of_validation(name, &(1..=epochs).map(epoch).collect::<Vec<_>>())
        };
        let many: Vec<Curve> = (0..30).map(|k| run(&format!("beta={k},z_dim=10"), 1 + k, None)).collect();
        for (curves, panels) in [
            (vec![], 1),
            (vec![run("a", 0, None)], 1),
            (vec![run("a", 3, None), run("b", 5, Some("tc"))], 3),
            (many, 2),
        ] {
            let picture = image::load_from_memory(&overlay("runs", &curves)).unwrap();
            assert_eq!(picture.width(), panels * PANEL[0] + 10);
        }
    }
}
