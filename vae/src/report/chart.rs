//! Curves and bars as coordinates. The template draws them as SVG in the colours of the page, so that they follow its light or
//! dark theme. Every point has a tooltip.

use serde::Serialize;
use vae_figures::figure::Axis;

use super::verdict::short;

/// Width and height of the drawing. The axis texts are outside the frame.
const SIZE: [f64; 2] = [420.0, 270.0];
/// Left, top, right and bottom of the frame.
const FRAME: [f64; 4] = [62.0, 12.0, 408.0, 226.0];
/// The width of a digit of a tick's text, and the least space between two texts.
const DIGIT: f64 = 8.0;
const SPACE: f64 = 5.0;
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

/// A line before it is drawn.
pub(super) struct Series {
    /// The name in the legend.
    pub name: String,
    /// The number of its style. Lines of the same meaning have the same style in all charts.
    pub style: usize,
    /// The values by epoch.
    pub points: Vec<(usize, f64)>,
}

/// A chart of values over epochs. If outliers would flatten the lines, the vertical axis is logarithmic or clipped, and the unit
/// says so.
pub(super) fn lines(heading: &str, unit: &str, series: &[Series]) -> Chart {
    let finite = || series.iter().flat_map(|series| &series.points).filter(|(_, y)| y.is_finite());
    let last = finite().map(|&(epoch, _)| epoch).max().unwrap_or(1);
    let vertical = Axis::fitted("", finite().map(|&(_, y)| y));
    let note = vertical.note();
    let (ticks, up) = scale(vertical);
    let [left, _, right, _] = FRAME;
    let axis = Axis::counted("epoch", last);
    let across = |epoch: f64| left + (right - left) * f64::from(axis.place(epoch));
    let marked = series.iter().map(|series| series.points.len()).sum::<usize>() <= MARKED;
    let line = |Series { name, style, points: numbers }: &Series| {
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
        Line { name: name.clone(), style: *style, path, points }
    };
    let ends = series.iter().filter_map(|Series { name, points, .. }| {
        let (first, last) = (points.first()?, points.last()?);
        Some(format!("{name} from {} to {}", short(first.1), short(last.1)))
    });
    let ends: Vec<String> = ends.take(4).collect();
    Chart {
        heading: heading.into(),
        unit: [unit, &note].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join(", "),
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
        lines: series.iter().map(line).collect(),
        bars: Vec::new(),
        bar: 0.0,
    }
}

/// A bar chart of values for the indices 0, 1, 2, …, in descending order.
pub(super) fn bars(heading: &str, unit: &str, along: &str, numbers: &[f64]) -> Chart {
    let mut order: Vec<usize> = (0..numbers.len()).filter(|&i| numbers[i].is_finite()).collect();
    order.sort_by(|&a, &b| numbers[b].total_cmp(&numbers[a]));
    let (ticks, up) = scale(Axis::around("", order.iter().map(|&i| numbers[i]).chain([0.0])));
    let [left, _, right, _] = FRAME;
    let pitch = (right - left) / order.len().max(1) as f64;
    let x = |place: usize| left + pitch * (place as f64 + 0.5);
    let bar = |(place, &i): (usize, &usize)| {
        let words = format!("{along} {i}: {} {unit}", short(numbers[i]));
        Point { x: tenth(x(place)), y: tenth(up(numbers[i])), words }
    };
    let longest = order.iter().max().map_or(1, |i| i.to_string().len());
    let step = (((DIGIT * longest as f64 + SPACE) / pitch).ceil() as usize).max(1);
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

/// The ticks of a vertical axis, and the map from a value to its position.
fn scale(axis: Axis) -> (Vec<Tick>, impl Fn(f64) -> f64) {
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

    fn series(name: &str, style: usize, points: Vec<(usize, f64)>) -> Series {
        Series { name: name.into(), style, points }
    }

    #[test]
    fn an_outlier_changes_the_scale_and_the_unit_says_so() {
        let falls = |first: f64| vec![(1, first), (2, 9.0), (3, 8.0), (4, 7.0), (5, 6.0)];
        let decades = vec![(1, 1e4), (2, 300.0), (3, 100.0), (4, 30.0), (5, 10.0)];
        assert_eq!(lines("total", "", &[series("a", 0, decades)]).unit, "logarithmic scale");
        let chart = lines("total", "nats", &[series("a", 3, falls(1e6))]);
        assert_eq!((chart.unit.as_str(), chart.lines[0].style), ("nats, outliers are drawn at the edge", 3));
        let [first, second, .., last] = &chart.lines[0].points[..] else { panic!("five points") };
        let edges = (first.y, last.y) == (FRAME[1], FRAME[3]) && first.words.ends_with("1000000");
        assert!(edges && second.y < last.y - 100.0, "{:?}", chart.lines);
        assert_eq!(lines("total", "nats", &[series("a", 0, falls(20.0))]).unit, "nats");
    }

    #[test]
    fn lines_contain_their_points_and_are_interrupted_at_nan() {
        let series = [
            series("training", 0, vec![(1, 100.0), (2, f64::NAN), (3, 50.0), (4, 60.0)]),
            series("validation", 1, vec![(1, 75.0)]),
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
        assert!(many.bars.len() == 512 && many.bar > 0.0);
        for count in [16, 100, 128, 512, 1024, 2048] {
            let ticks = bars("KL", "nats", "latent", &vec![1.0; count]).across;
            let fit =
                |pair: &[Tick]| pair[1].at - pair[0].at >= 7.5 * pair[0].label.len().max(pair[1].label.len()) as f64;
            assert!(ticks.windows(2).all(fit) && ticks.len() >= 7, "{count}: {ticks:?}");
        }
        assert_eq!(bars("KL", "nats", "latent", &[]).bars, []);
    }

    #[test]
    fn a_line_with_too_many_points_has_no_markers() {
        let chart = lines("total", "nats", &[series("a", 0, (1..=2_000).map(|e| (e, e as f64)).collect())]);
        assert!(chart.lines[0].points.is_empty() && chart.lines[0].path.len() > 10_000 && chart.across.len() <= 9);
    }
}
