//! Laws of the layout of a plot: everything is inside the figure, no text covers another, and marks, ticks and bars are where
//! their numbers are.

use super::super::style::{Colour, Marker};
use super::*;

/// What is drawn, as it is drawn.
#[derive(Default)]
struct Record {
    lines: Vec<Vec<[f32; 2]>>,
    marks: Vec<([f32; 2], f32)>,
    bars: Vec<([f32; 2], [f32; 2])>,
    texts: Vec<([f32; 2], String, Anchor)>,
}

impl Surface for Record {
    fn line(&mut self, points: &[[f32; 2]], _: f32, _: Colour) {
        self.lines.push(points.to_vec());
    }

    fn mark(&mut self, at: [f32; 2], _: Marker, radius: f32, _: Colour, _: &str) {
        self.marks.push((at, radius));
    }

    fn bar(&mut self, corner: [f32; 2], size: [f32; 2], _: Colour, _: &str) {
        self.bars.push((corner, size));
    }

    fn text(&mut self, at: [f32; 2], words: &str, anchor: Anchor) {
        if !words.is_empty() {
            self.texts.push((at, words.to_owned(), anchor));
        }
    }
}

impl Record {
    fn of(plot: &Plot) -> Record {
        let mut record = Record::default();
        plot.draw(&mut record);
        record
    }

    /// Left, top, right and bottom of the axes of each panel. The line along two axes has three points; no data here has.
    fn axes(&self) -> Vec<[f32; 4]> {
        let axes = self.lines.iter().filter(|line| line.len() == 3);
        axes.map(|line| [line[0][0], line[0][1], line[2][0], line[2][1]]).collect()
    }

    fn place(&self, words: &str) -> [f32; 2] {
        self.texts.iter().find(|(_, known, _)| known == words).unwrap_or_else(|| panic!("no text {words}")).0
    }

    /// Left, top, right and bottom of each text.
    fn boxes(&self) -> Vec<([f32; 4], &str)> {
        let of = |(at, words, anchor): &([f32; 2], String, Anchor)| {
            let ([x, y], long, half) = (*at, width_of(words) as f32, LETTER[1] as f32 / 2.0);
            match anchor {
                Anchor::Start => [x, y - half, x + long, y + half],
                Anchor::Middle => [x - long / 2.0, y - half, x + long / 2.0, y + half],
                Anchor::End => [x - long, y - half, x, y + half],
                Anchor::Upwards => [x - half, y - long / 2.0, x + half, y + long / 2.0],
            }
        };
        self.texts.iter().map(|text| (of(text), text.1.as_str())).collect()
    }
}

fn series(name: &str, kind: Kind, points: &[[f64; 2]]) -> Series {
    Series { name: name.into(), kind, style: Style::number(0), points: points.to_vec() }
}

/// A panel of ten epochs and numbers from 0 to 4.
fn panel(heading: &str, series: Vec<Series>) -> Panel {
    let (x, y) = (Axis::counted("epoch", 10), Axis::around("nats", [0.0, 4.0].into_iter()));
    Panel { heading: heading.into(), x, y, series }
}

fn plot(title: &str, columns: usize, panels: Vec<Panel>) -> Plot {
    Plot { title: title.into(), columns, size: PANEL, panels }
}

const POINTS: &[[f64; 2]] = &[[1.0, 0.0], [10.0, 4.0]];

/// Plots with all that a plot can have: long titles, headings or none, several panels, a legend of many entries.
fn plots() -> Vec<Plot> {
    let mut plots = Vec::new();
    for (title, heading, columns, count, names) in [
        ("", "", 1, 1, 1),
        ("a run, epoch 3", "total", 1, 1, 2),
        ("a run, epoch 3: a title that is so long that it needs a second line", "total", 2, 3, 5),
        ("a run", "", 3, 7, 23),
    ] {
        for kind in [Kind::Line, Kind::Points, Kind::Bars] {
            let all = |k: usize| series(&format!("run number {k}"), kind, POINTS);
            let panels = (0..count).map(|_| panel(heading, (0..names).map(all).collect())).collect();
            plots.push(plot(title, columns, panels));
        }
    }
    plots
}

#[test]
fn everything_is_inside_and_no_text_covers_another() {
    for plot in plots() {
        let (record, [width, height]) = (Record::of(&plot), plot.extent().map(|side| side as f32));
        let inside = |[x, y]: [f32; 2], reach: f32| {
            assert!(x >= reach && y >= reach && x <= width - reach && y <= height - reach, "{x}, {y} of {plot:?}");
        };
        record.lines.iter().flatten().for_each(|&at| inside(at, 0.0));
        record.marks.iter().for_each(|&(at, radius)| inside(at, radius));
        record.bars.iter().for_each(|&([x, y], [w, h])| {
            inside([x, y], 0.0);
            inside([x + w, y + h], 0.0);
        });
        let boxes = record.boxes();
        for (i, ([left, top, right, bottom], words)) in boxes.iter().enumerate() {
            // The longest title is wrapped to the width of a figure.
            inside([*left, *top], 0.0);
            inside([*right, *bottom], 0.0);
            for ([l, t, r, b], other) in &boxes[..i] {
                let apart = right <= l || r <= left || bottom <= t || b <= top;
                // The value above a bar may cover that of the bar beside it, since it has the same height.
                let values = [words, other].iter().all(|words| words.parse::<f64>().is_ok());
                assert!(apart || values, "{words:?} covers {other:?} in {:?}", plot.title);
            }
        }
        // Axes and legends do not cover each other.
        for axes in record.axes() {
            let in_axes = |at: &[f32; 2]| at[0] > axes[0] && at[0] < axes[2] && at[1] > axes[1] && at[1] < axes[3];
            assert!(boxes.iter().all(|([l, t, r, b], words)| {
                words.parse::<f64>().is_ok() || !in_axes(&[(l + r) / 2.0, (t + b) / 2.0])
            }));
        }
    }
}

#[test]
fn panels_are_in_rows_and_look_the_same() {
    let one = || panel("total", vec![series("", Kind::Line, POINTS)]);
    let record = Record::of(&plot("t", 3, (0..7).map(|_| one()).collect()));
    let [w, h] = PANEL.map(|side| side as f32);
    let axes = record.axes();
    for (i, shifted) in axes.iter().enumerate() {
        let by = [(i % 3) as f32 * w, (i / 3) as f32 * h];
        let expected = [axes[0][0] + by[0], axes[0][1] + by[1], axes[0][2] + by[0], axes[0][3] + by[1]];
        assert_eq!(*shifted, expected, "panel {i}");
        let first = record.marks[0].0;
        assert_eq!(record.marks[2 * i].0, [first[0] + by[0], first[1] + by[1]]);
    }
    assert_eq!(axes.len(), 7);
    let rows = |count: usize, columns: usize| plot("", columns, (0..count).map(|_| one()).collect()).extent();
    assert_eq!(rows(7, 3)[1] - rows(6, 3)[1], PANEL[1]);
    assert_eq!(rows(6, 3)[0] - rows(6, 2)[0], PANEL[0]);
}

/// A line of the title, a legend, and a heading take their place above and below.
#[test]
fn what_a_plot_lacks_takes_no_room() {
    let with = |title: &str, heading: &str, names: usize| {
        let all = (0..names).map(|k| series(&format!("series {k}"), Kind::Line, POINTS)).collect();
        plot(title, 1, vec![panel(heading, all)])
    };
    let [bare, titled, headed, legend] = [with("", "", 1), with("a run", "", 1), with("", "total", 1), with("", "", 2)];
    let height = |plot: &Plot| plot.extent()[1] as f32;
    assert_eq!(height(&titled) - height(&bare), LINE);
    assert_eq!(height(&headed), height(&bare));
    assert_eq!(height(&legend) - height(&bare), LINE + MARGIN);
    let axes = |plot: &Plot| Record::of(plot).axes()[0];
    let (less, more, under) = (axes(&bare), axes(&headed), axes(&titled));
    assert_eq!([less[0], less[2], less[3]], [more[0], more[2], more[3]]);
    assert!(less[1] < more[1]);
    assert_eq!(under[1] - less[1], LINE);
    // Legend entries fill rows. A longer name makes them wider.
    let rows = |names: usize| ((height(&with("", "", names)) - height(&bare) - MARGIN) / LINE) as usize;
    assert_eq!([2, 3, 4, 5].map(rows), [1, 2, 2, 3], "two of 8 letters in 430 pixels");
    let wide = plot("", 1, vec![panel("", ["a", "b"].map(|name| series(&name.repeat(60), Kind::Line, POINTS)).into())]);
    assert_eq!(wide.extent()[0], 60 * 9 + 90);
    // Several panels with the same series have one entry for each name.
    let twice = || panel("", vec![series("a", Kind::Line, POINTS), series("b", Kind::Line, POINTS)]);
    assert_eq!(plot("", 2, vec![twice(), twice()]).legend().len(), 2);
}

/// A title is wrapped to the width of the figure.
#[test]
fn a_title_has_a_line_for_each_part() {
    let title = "xy ".repeat(80);
    let record = Record::of(&plot(title.trim_end(), 1, vec![panel("", vec![series("", Kind::Line, POINTS)])]));
    let lines: Vec<_> = record.texts.iter().filter(|(_, words, _)| words.starts_with("xy")).collect();
    assert_eq!(lines.iter().map(|(_, words, _)| words.split(' ').count()).sum::<usize>(), 80);
    assert!(lines.len() >= 5 && lines.iter().all(|(_, words, _)| width_of(words) as u32 <= 430 - 2 * MARGIN as u32));
    assert!(lines.windows(2).all(|pair| pair[1].0[1] - pair[0].0[1] == LINE && pair[1].0[0] == pair[0].0[0]));
}

#[test]
fn marks_and_ticks_are_where_their_numbers_are() {
    let points = &[[1.0, 0.0], [10.0, 4.0], [5.5, 1.0], [4.0, 3.0]];
    let plot = plot("", 1, vec![panel("total", vec![series("", Kind::Points, points)])]);
    let (record, Panel { x, y, .. }) = (Record::of(&plot), &plot.panels[0]);
    let [left, top, right, bottom] = record.axes()[0];
    assert!(right - left > 300.0 && bottom - top > 200.0);
    for ((at, radius), [i, j]) in record.marks.iter().zip(points) {
        // Both axes are linear.
        let across = left + (right - left) * ((i - x.low) / (x.high - x.low)) as f32;
        let up = bottom + (top - bottom) * ((j - y.low) / (y.high - y.low)) as f32;
        assert!((at[0] - across).abs() < 1e-3 && (at[1] - up).abs() < 1e-3 && *radius == 3.0, "{at:?}, {across} {up}");
    }
    let height = |j: f64| bottom + (top - bottom) * (j / 4.0) as f32;
    for (tick, words) in &y.ticks {
        let on = |line: &&Vec<[f32; 2]>| **line == vec![[left, height(*tick)], [right, height(*tick)]];
        assert_eq!(record.lines.iter().filter(on).count(), 1, "tick {words}");
        let at = record.texts.iter().find(|(at, known, _)| known == words && at[0] < left).unwrap();
        assert!(at.0[1] == height(*tick) && left - at.0[0] >= 5.0 && matches!(at.2, Anchor::End), "{words}");
    }
    for (tick, words) in &x.ticks {
        let across = left + (right - left) * x.place(*tick);
        let at = record.texts.iter().find(|(at, known, _)| known == words && at[1] > bottom).unwrap();
        assert!(at.0[0] == across && matches!(at.2, Anchor::Middle), "{words}");
        let on = |line: &&Vec<[f32; 2]>| {
            line.len() == 2 && line[0] == [across, bottom] && line[1][0] == across && line[1][1] > bottom
        };
        assert_eq!(record.lines.iter().filter(on).count(), 1, "tick {words}");
    }
    let middle = (left + right) / 2.0;
    assert_eq!([record.place("total")[0], record.place("epoch")[0]], [middle; 2]);
    assert!(record.place("total")[1] < top && record.place("epoch")[1] > bottom);
    assert_eq!(record.place("nats")[1], (top + bottom) / 2.0);
}

/// Where texts below an axis would overlap, the later one is left out together with its tick.
#[test]
fn tick_texts_do_not_overlap() {
    let names = (0..60).map(|k| format!("name {k}"));
    let x = Axis::named("latent", names);
    let bars = panel("", vec![series("", Kind::Points, &[])]);
    let record = Record::of(&plot("", 1, vec![Panel { x, ..bars }]));
    let shown: Vec<_> = record.boxes().into_iter().filter(|(_, words)| words.starts_with("name")).collect();
    assert!(shown[0].1 == "name 0" && (4..10).contains(&shown.len()), "{shown:?}");
    for pair in shown.windows(2) {
        let gap = pair[1].0[0] - pair[0].0[2];
        assert!(gap >= 9.0, "{gap} between {} and {}", pair[0].1, pair[1].1);
        let number = |k: usize| pair[k].1.strip_prefix("name ").unwrap().parse::<f32>().unwrap();
        assert!(
            gap - 9.0 < (314.0 + 4.0) / 60.0 * 2.0,
            "one more would have fitted between {} and {}",
            number(0),
            number(1)
        );
    }
}

/// Numbers that are not finite interrupt a line. A point between two of them has no line.
#[test]
fn lines_have_gaps_and_few_points_have_large_marks() {
    let nan = f64::NAN;
    let points =
        [[1.0, 1.0], [2.0, 2.0], [3.0, nan], [4.0, 2.0], [5.0, nan], [6.0, 1.0], [7.0, 1.0], [8.0, 1.0], [9.0, 3.0]];
    let record = Record::of(&plot("", 1, vec![panel("", vec![series("", Kind::Line, &points)])]));
    let marks: Vec<[f32; 2]> = record.marks.iter().map(|(at, _)| *at).collect();
    assert_eq!(marks.len(), 7);
    assert!(record.lines.contains(&marks[..2].to_vec()) && record.lines.contains(&marks[3..].to_vec()));
    assert!(!record.lines.contains(&vec![marks[2]]));
    let radius = |count: usize| {
        let points: Vec<[f64; 2]> = (0..count).map(|k| [1.0 + k as f64 / 10.0, 1.0]).collect();
        Record::of(&plot("", 1, vec![panel("", vec![series("", Kind::Line, &points)])])).marks[0].1
    };
    assert_eq!([radius(30), radius(31)], [3.5, 2.0]);
}

/// The bars of several series share the room of a category, from 0.4 before it to 0.4 after it.
#[test]
fn bars_stand_side_by_side_on_zero() {
    let values = [[0.0, 2.0], [1.0, -1.0], [2.0, 4.0]];
    let x = Axis::named("kind", ["a", "b", "c"].map(String::from));
    for (low, count) in [(0.0, 1), (-2.0, 2), (0.0, 3), (-2.0, 4), (0.0, 5)] {
        let y = Axis::around("nats", [low, 4.0].into_iter());
        let all = (0..count).map(|k| series(&k.to_string(), Kind::Bars, &values)).collect();
        let plot = plot("", 1, vec![Panel { heading: String::new(), x: x.clone(), y: y.clone(), series: all }]);
        let record = Record::of(&plot);
        let [left, top, right, bottom] = record.axes()[0];
        let across = |at: f64| left + (right - left) * x.place(at);
        let up = |j: f64| bottom + (top - bottom) * y.place(j);
        let written = 3 * count <= 12;
        let gap = if written { 2.0 } else { 0.0 };
        for (i, (corner, size)) in record.bars[..3 * count].iter().enumerate() {
            let (k, value) = (i / 3, values[i % 3]);
            let wide = 0.8 / count as f64;
            let start = value[0] - 0.4 + k as f64 * wide;
            let expected = [across(start), across(start + wide) - gap];
            assert!(
                (corner[0] - expected[0]).abs() < 1e-3 && (corner[0] + size[0] - expected[1]).abs() < 1e-3,
                "bar {i}"
            );
            let height = (up(0.0) - up(value[1].max(low))).max(0.0);
            assert!(
                (size[1] - height).abs() < 1e-3 && (value[1] < 0.0 || (corner[1] - up(value[1])).abs() < 1e-3),
                "bar {i}"
            );
        }
        // Few bars have their values above them, in the middle.
        let above: Vec<_> = record
            .texts
            .iter()
            .filter(|(_, words, _)| ["2.000", "-1.000", "4.000"].contains(&words.as_str()))
            .collect();
        assert_eq!(above.len(), if written { 3 * count } else { 0 });
        for ((at, ..), (corner, size)) in above.iter().zip(&record.bars) {
            assert!(
                (at[0] - corner[0] - (size[0] + gap) / 2.0).abs() < 1e-3 && at[1] < corner[1] - 5.0,
                "{at:?} over {corner:?}"
            );
        }
    }
}

/// Each entry of a legend has its sign to the left of its name, at the same height.
#[test]
fn a_legend_shows_the_sign_of_each_series() {
    for kind in [Kind::Line, Kind::Points, Kind::Bars] {
        let all = (0..5).map(|k| series(&format!("series {k}"), kind, &[])).collect();
        let plot = plot("", 1, vec![panel("", all)]);
        let record = Record::of(&plot);
        let [_, _, right, bottom] = record.axes()[0];
        let names: Vec<[f32; 2]> = (0..5).map(|k| record.place(&format!("series {k}"))).collect();
        assert!(names.iter().all(|[x, y]| *x < right && *y > bottom + 50.0));
        // Two in a row.
        assert!(names[0][1] == names[1][1] && names[0][0] < names[1][0] && names[2][0] == names[0][0]);
        assert_eq!([names[2][1] - names[0][1], names[4][1] - names[2][1]], [LINE; 2]);
        assert_eq!(record.marks.len(), if kind == Kind::Bars { 0 } else { 5 });
        assert_eq!(record.bars.len(), if kind == Kind::Bars { 5 } else { 0 });
        let strokes: Vec<&Vec<[f32; 2]>> =
            record.lines.iter().filter(|line| line.len() == 2 && line[0][1] > bottom + 50.0).collect();
        assert_eq!(strokes.len(), if kind == Kind::Line { 5 } else { 0 });
        for (k, [x, y]) in names.iter().enumerate() {
            let middle = match kind {
                Kind::Bars => {
                    let (corner, size) = record.bars[k];
                    [corner[0] + size[0] / 2.0, corner[1] + size[1] / 2.0]
                }
                _ => record.marks[k].0,
            };
            assert!(middle[1] == *y && (middle[0] - (x - 23.0)).abs() < 0.01, "{middle:?} beside {x}, {y}");
            if kind == Kind::Line {
                let [[from, a], [to, b]] = strokes[k][..] else { panic!("two points") };
                assert!(a == *y && b == *y && (from + to) / 2.0 == middle[0] && to - from == 30.0 && to < *x);
            }
        }
    }
}
