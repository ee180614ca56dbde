//! Curves and bars as coordinates. The template draws them as SVG in the colours of the page, so that they follow its light or
//! dark theme. Every point has a tooltip.

use serde::Serialize;
use vae_figures::figure::Axis;

use super::verdict::short;

/// Width and height of the drawing. The axis texts are outside the frame.
const SIZE: [f64; 2] = [420.0, 270.0];
/// Left, top, right and bottom of the frame.
const FRAME: [f64; 4] = [62.0, 12.0, 408.0, 226.0];
/// A line with more points than this is drawn without markers.
const MARKED: usize = 1_500;

/// A tick of an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tick {
    /// The position along the axis, in pixels.
    pub at: f64,
    /// The text.
    pub label: String,
}

/// A point of a line, or a bar.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// The tooltip: the line, the position and the value.
    pub words: String,
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The name in the legend.
    pub name: String,
    /// The number of its style (colour and dashes), from 0.
    pub style: usize,
    /// The path in SVG's syntax, interrupted at values that are not finite.
    pub path: String,
    /// The points; empty if there are too many to distinguish.
    pub points: Vec<Point>,
}

/// Lines over epochs, or bars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chart {
    /// The heading.
    pub heading: String,
    /// The unit of the vertical axis.
    pub unit: String,
    /// The quantity of the horizontal axis.
    pub along: String,
    /// A sentence that describes the chart to readers who cannot see it.
    pub alt: String,
    /// Width and height.
    pub size: [f64; 2],
    /// The frame: left, top, right, bottom.
    pub frame: [f64; 4],
    /// The ticks of the horizontal axis.
    pub across: Vec<Tick>,
    /// The ticks of the vertical axis.
    pub up: Vec<Tick>,
    /// The curves.
    pub lines: Vec<Line>,
    /// The bars.
    pub bars: Vec<Point>,
    /// The width of a bar, in pixels.
    pub bar: f64,
}

/// A line before it is drawn: its name, and its values by epoch.
pub(super) type Series = (String, Vec<(usize, f64)>);

/// A chart of values over epochs.
pub(super) fn lines(heading: &str, unit: &str, series: &[Series]) -> Chart {
    let finite = || series.iter().flat_map(|(_, points)| points).filter(|(_, y)| y.is_finite());
    let last = finite().map(|&(epoch, _)| epoch).max().unwrap_or(1);
    let (ticks, up) = scale(finite().map(|&(_, y)| y));
    let [left, _, right, _] = FRAME;
    let axis = Axis::counted("epoch", last);
    let across = |epoch: f64| left + (right - left) * f64::from(axis.place(epoch));
    let marked = series.iter().map(|(_, points)| points.len()).sum::<usize>() <= MARKED;
    let line = |(style, (name, numbers)): (usize, &Series)| {
        let (mut path, mut points, mut pen) = (String::new(), Vec::new(), 'M');
        for &(epoch, number) in numbers {
            if !number.is_finite() {
                pen = 'M';
                continue;
            }
            let (x, y) = (tenth(across(epoch as f64)), tenth(up(number)));
            path += &format!("{pen}{x} {y}");
            pen = 'L';
            if marked {
                points.push(Point { x, y, words: format!("{name}, epoch {epoch}: {}", short(number)) });
            }
        }
        Line { name: name.clone(), style, path, points }
    };
    let ends = series.iter().filter_map(|(name, points)| {
        let (first, last) = (points.first()?, points.last()?);
        Some(format!("{name} from {} to {}", short(first.1), short(last.1)))
    });
    let ends: Vec<String> = ends.take(4).collect();
    Chart {
        heading: heading.into(),
        unit: unit.into(),
        along: "epoch".into(),
        alt: format!("{heading} over {last} epoch{}: {}.", if last == 1 { "" } else { "s" }, ends.join("; ")),
        size: SIZE,
        frame: FRAME,
        across: axis
            .ticks
            .iter()
            .map(|(epoch, label)| Tick { at: tenth(across(*epoch)), label: label.clone() })
            .collect(),
        up: ticks,
        lines: series.iter().enumerate().map(line).collect(),
        bars: Vec::new(),
        bar: 0.0,
    }
}

/// A bar chart of values for the indices 0, 1, 2, …, in descending order.
pub(super) fn bars(heading: &str, unit: &str, along: &str, numbers: &[f64]) -> Chart {
    let mut order: Vec<usize> = (0..numbers.len()).filter(|&i| numbers[i].is_finite()).collect();
    order.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    let (ticks, up) = scale(order.iter().map(|&i| numbers[i]).chain([0.0]));
    let [left, _, right, _] = FRAME;
    let pitch = (right - left) / order.len().max(1) as f64;
    let x = |place: usize| left + pitch * (place as f64 + 0.5);
    let bar = |(place, &i): (usize, &usize)| {
        let words = format!("{along} {i}: {} {unit}", short(numbers[i]));
        Point { x: tenth(x(place)), y: tenth(up(numbers[i])), words }
    };
    let step = order.len().div_ceil(20).max(1);
    let label = |(place, i): (usize, &usize)| Tick { at: tenth(x(place)), label: i.to_string() };
    let most = order.first().map_or_else(String::new, |&i| format!("the most is {} of {along} {i}", short(numbers[i])));
    let least = order.last().map_or_else(String::new, |&i| format!(", the least {} of {along} {i}", short(numbers[i])));
    Chart {
        heading: heading.into(),
        unit: unit.into(),
        along: along.into(),
        alt: format!("{heading}, {} bars from the largest to the smallest: {most}{least}.", order.len()),
        size: SIZE,
        frame: FRAME,
        across: order.iter().enumerate().step_by(step).map(label).collect(),
        up: ticks,
        lines: Vec::new(),
        bars: order.iter().enumerate().map(bar).collect(),
        bar: tenth((0.8 * pitch).min(40.0)).max(0.1),
    }
}

/// The ticks of a vertical axis for these values, and the map from a value to its position.
fn scale(numbers: impl Iterator<Item = f64>) -> (Vec<Tick>, impl Fn(f64) -> f64) {
    let axis = Axis::around("", numbers);
    let [_, top, _, bottom] = FRAME;
    let ticks = axis.ticks.clone();
    let up = move |y: f64| bottom - (bottom - top) * f64::from(axis.place(y));
    (ticks.into_iter().map(|(y, label)| Tick { at: tenth(up(y)), label }).collect(), up)
}

/// Rounds to a tenth of a pixel.
fn tenth(x: f64) -> f64 {
    (10.0 * x).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_contain_their_points_and_are_interrupted_at_nan() {
        let series = [
            ("training".to_owned(), vec![(1, 100.0), (2, f64::NAN), (3, 50.0), (4, 60.0)]),
            ("validation".to_owned(), vec![(1, 75.0)]),
        ];
        let chart = lines("total", "nats", &series);
        let [left, top, right, bottom] = chart.frame;
        assert_eq!((chart.up[0].label.as_str(), chart.up.last().unwrap().label.as_str()), ("50", "100"));
        let line = &chart.lines[0];
        assert_eq!((line.points[0].y, line.points[1].y), (top, bottom));
        let ends = (line.points[0].x - left) - (right - line.points[2].x);
        assert!(ends.abs() < 1e-9, "as far from either end: {ends}");
        assert_eq!(line.points[1].words, "training, epoch 3: 50.0");
        assert_eq!((line.path.matches('M').count(), line.path.matches('L').count()), (2, 1), "{}", line.path);
        assert_eq!(chart.lines[1].points[0].y, (top + bottom) / 2.0);
        assert_eq!(chart.alt, "total over 4 epochs: training from 100 to 60.0; validation from 75.0 to 75.0.");
    }

    #[test]
    fn bars_descend_and_keep_their_names() {
        let chart = bars("KL", "nats", "latent", &[0.5, 2.0, f64::NAN, 1.0]);
        let words: Vec<&str> = chart.bars.iter().map(|bar| bar.words.as_str()).collect();
        assert_eq!(words, ["latent 1: 2.00 nats", "latent 3: 1.00 nats", "latent 0: 0.500 nats"]);
        assert!(chart.bars.windows(2).all(|pair| pair[0].y < pair[1].y && pair[0].x < pair[1].x));
        assert_eq!(chart.across.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["1", "3", "0"]);
        let many = bars("KL", "nats", "latent", &vec![1.0; 512]);
        assert!(many.bars.len() == 512 && many.across.len() <= 20 && many.bar > 0.0);
        assert_eq!(bars("KL", "nats", "latent", &[]).bars, []);
    }

    #[test]
    fn a_line_with_too_many_points_has_no_markers() {
        let chart = lines("total", "nats", &[("a".to_owned(), (1..=2_000).map(|e| (e, e as f64)).collect())]);
        assert!(chart.lines[0].points.is_empty() && chart.lines[0].path.len() > 10_000 && chart.across.len() <= 9);
    }
}
