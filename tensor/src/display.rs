//! A tensor as text, in the layout and with the number formats of PyTorch:
//!
//! ```text
//! tensor([[ 1.0000, -2.5000],
//!         [ 0.3333,  4.0000]], shape=[2, 2], device=cpu)
//! ```
//!
//! Of more than 1000 elements, each dimension shows its first and last three. A tensor on a GPU is printed without its elements,
//! because reading them takes as long as all work before it: print `x.cpu()`, or what `x.to(&Device::Cpu)` gives.

use std::fmt;

use crate::device::Device;
use crate::tensor::Tensor;

/// More elements than this are not all printed.
const MOST: usize = 1000;
/// The elements that are printed at each end of a dimension.
const EDGE: usize = 3;
/// The length of a line.
const LINE: usize = 80;
/// What stands before the first bracket.
const OPENING: &str = "tensor(";

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = OPENING.to_owned();
        if self.device() == Device::Cpu {
            let numbers = Numbers::of(self);
            numbers.dimension(&mut text, 0, 0);
            text += ", ";
        }
        let kind = format!("shape={}, device={})", self.shape(), self.device());
        let line = text.rsplit('\n').next().unwrap_or_default();
        if line.len() + kind.len() > LINE && text.len() > OPENING.len() {
            text.truncate(text.trim_end().len());
            text += "\n";
            text += &" ".repeat(OPENING.len());
        }
        f.write_str(&text)?;
        f.write_str(&kind)
    }
}

/// How numbers are written, which is the same for all numbers of a tensor.
#[derive(Clone, Copy)]
enum Style {
    /// `3.`
    Whole,
    /// `3.1416`
    Decimals,
    /// `3.1416e+00`
    Exponent,
}

/// The numbers of a tensor on the CPU, and how they are written.
struct Numbers<'a> {
    tensor: &'a Tensor,
    style: Style,
    width: usize,
    all: bool, // whether all are shown
}

impl Numbers<'_> {
    fn of(tensor: &Tensor) -> Numbers<'_> {
        let mut numbers = Numbers { tensor, style: Style::Whole, width: 0, all: tensor.count() <= MOST };
        let mut shown = Vec::new();
        numbers.collect(&mut shown, 0, 0);
        let finite = || shown.iter().filter(|x| x.is_finite() && **x != 0.0).map(|x| f64::from(x.abs()));
        let (least, most) = finite().fold((f64::INFINITY, 0.0_f64), |(least, most), x| (least.min(x), most.max(x)));
        let whole = finite().all(|x| x.fract() == 0.0);
        numbers.style = match whole {
            _ if most / least > 1000.0 || most > 1e8 => Style::Exponent,
            true => Style::Whole,
            false if least < 1e-4 => Style::Exponent,
            false => Style::Decimals,
        };
        numbers.width = shown.iter().map(|&x| numbers.written(x).len()).max().unwrap_or(0);
        numbers
    }

    /// The indices of a dimension that are shown. `None` stands for those that are left out.
    fn shown(&self, size: usize) -> Vec<Option<usize>> {
        match self.all || size <= 2 * EDGE {
            true => (0..size).map(Some).collect(),
            false => (0..EDGE).map(Some).chain([None]).chain((size - EDGE..size).map(Some)).collect(),
        }
    }

    /// Collects the numbers that are shown of one part, which begins at `start` and varies in the dimensions from `dim` on.
    fn collect(&self, shown: &mut Vec<f32>, dim: usize, start: usize) {
        let Some(&size) = self.tensor.shape().get(dim) else { return shown.push(self.tensor.data()[start]) };
        let step = self.tensor.shape().strides()[dim];
        self.shown(size).into_iter().flatten().for_each(|i| self.collect(shown, dim + 1, start + i * step));
    }

    fn written(&self, x: f32) -> String {
        match self.style {
            _ if x.is_nan() => "nan".to_owned(),
            _ if x.is_infinite() => x.to_string(),
            Style::Whole => format!("{x:.0}."),
            Style::Decimals => format!("{x:.4}"),
            Style::Exponent => {
                let text = format!("{x:.4e}");
                let (digits, exponent) = text.split_once('e').expect("an exponent was asked for");
                let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |below| ('-', below));
                format!("{digits}e{sign}{exponent:0>2}")
            }
        }
    }

    /// Writes one part, in brackets unless it is a single number.
    fn dimension(&self, text: &mut String, dim: usize, start: usize) {
        let shape = self.tensor.shape();
        let Some(&size) = shape.get(dim) else {
            let number = self.written(self.tensor.data()[start]);
            return text.extend(std::iter::repeat_n(' ', self.width - number.len()).chain(number.chars()));
        };
        let (step, indent) = (shape.strides()[dim], " ".repeat(OPENING.len() + dim + 1));
        let below = shape.len() - dim - 1;
        let per_line = ((LINE - OPENING.len() - dim.min(LINE / 2)) / (self.width + 2)).max(1);
        text.push('[');
        for (place, i) in self.shown(size).into_iter().enumerate() {
            match (place, below) {
                (0, _) => {}
                (_, 0) if place % per_line != 0 => *text += ", ",
                _ => {
                    text.push(',');
                    text.extend(std::iter::repeat_n('\n', below.max(1)));
                    *text += &indent;
                }
            }
            match i {
                Some(i) => self.dimension(text, dim + 1, start + i * step),
                None if below == 0 => *text += " ...",
                None => *text += "...",
            }
        }
        text.push(']');
    }
}
