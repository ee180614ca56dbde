//! A hierarchical VAE: the latents are in L groups, on maps of different sizes. The decoder draws group l after the groups before
//! it, and its features s_l are what they say about the image (Sønderby et al., 1602.02282; Vahdat and Kautz, 2007.03898):
//!
//! ```text
//! p(u) = Π N(u_l; 0, I)                                                   the prior
//! q(u|x) = Π N(u_l; mu_l, exp(logvar_l)),   mu_l, logvar_l of s_l(u_1 … u_{l−1}) and of the encoder's h_l(x)
//! s_{l+1} = cell(s_l + A_l·u_l)                                           and a doubling of the maps between two sizes
//! ```
//!
//! Papers write a group as z_l = a_l(s_l) + b_l(s_l)·u_l, whose prior N(a_l, b_l²) depends on the groups before it. Here a group is
//! u_l, so its prior is N(0, I) whatever came before, and the cell shifts and scales it. mu_l and σ_l say how the posterior differs
//! from the prior, as in NVAE's residual posterior. The KL of a group is that of any other VAE, and all tools that draw latents from
//! N(0, I) work unchanged. But mu_l depends on the draws of the groups before l, so an image has no single mu. Where a
//! single one is needed, each group is its mean: u_l = mu_l.
//!
//! ```text
//! encoder  x [n, C, S, S] → w, S/2 → 2w, S/4 → …, one convolution of stride 2 and one cell for each size
//! decoder  constant → smallest maps → … → w, S/2 → C, S
//! cell     x + conv(silu(norm(conv(silu(norm(x))))))                      convolutions of 3×3, group norm of one group
//! ```
//!
//! `model.groups` has the number of groups on each size, from the smallest maps on. NVAE's cells have depthwise convolutions. Here
//! a depthwise 3×3 of 2w channels takes as long as a full one of w channels (`benches/RESULTS.md`), so cells have full ones.

use autograd::{Interpolation, Param, Var};
use nn::{Conv2d, ForwardContext, GroupNorm, Layer};
use tensor::{Generator, Tensor};

use super::clamp_logvar;
use crate::config::Config;
use crate::model::Vae;

/// A hierarchical VAE, `[n, C, S, S]` → mu, logvar `[n, z]` → `[n, C, S, S]`. A row of latents has the groups after each other.
pub struct Ladder {
    encoder: Encoder,
    decoder: Decoder,
}

impl Ladder {
    /// Creates the model with PyTorch's default initialisation.
    pub fn new(rng: &mut Generator, config: &Config) -> Ladder {
        let encoder = Encoder::new(rng, config);
        Ladder { encoder, decoder: Decoder::new(rng, config) }
    }

    /// The pass of [`Vae::encode_drawing`]; without noise each group is its mean.
    fn pass(&self, x: &Var, eps: Option<&Tensor>, ctx: &ForwardContext) -> [Var; 3] {
        let features = self.encoder.features(x, ctx);
        let (mut mus, mut logvars, mut first) = (Vec::new(), Vec::new(), 0);
        let batch = x.shape()[0];
        let logits = self.decoder.forward(x.value().device(), batch, ctx, |group, scale, s| {
            let [mu, logvar] = self.encoder.posterior(group, s, &features[scale], ctx);
            let shape = *mu.shape();
            let width = shape.count() / batch;
            let u = match eps {
                Some(eps) => mu.reparameterise(&logvar, &eps.slice(1, first, width).reshape(shape)),
                None => mu.clone(),
            };
            first += width;
            mus.push(mu.reshape([batch, width]));
            logvars.push(logvar.reshape([batch, width]));
            u
        });
        let [mu, logvar] = [mus, logvars].map(|parts| Var::concat(&parts.iter().collect::<Vec<_>>(), 1));
        [mu, logvar, logits]
    }
}

impl Vae for Ladder {
    fn encode(&self, x: &Var, ctx: &ForwardContext) -> (Var, Var) {
        let [mu, logvar, _] = self.pass(x, None, ctx);
        (mu, logvar)
    }

    fn encode_drawing(&self, x: &Var, eps: &Tensor, ctx: &ForwardContext) -> Option<[Var; 3]> {
        Some(self.pass(x, Some(eps), ctx))
    }

    fn decode(&self, z: &Var, ctx: &ForwardContext) -> Var {
        let (batch, mut first) = (z.shape()[0], 0);
        self.decoder.forward(z.value().device(), batch, ctx, |group, _, _| {
            let [channels, height, width] = self.decoder.shapes[group];
            let count = channels * height * width;
            first += count;
            z.slice(1, first - count, count).reshape([batch, channels, height, width])
        })
    }
}

nn::module!(Ladder { encoder, decoder });

struct Encoder {
    /// From the largest maps to the smallest.
    down: Vec<Down>,
    /// Of each group, in the order in which they are drawn: what joins s and h, `[n, 2C, s, s]` → `[n, C, s, s]`.
    joint: Vec<Conv2d>,
    mu: Vec<Conv2d>,
    logvar: Vec<Conv2d>,
}

struct Down {
    conv: Conv2d,
    cell: Cell,
}

impl Encoder {
    fn new(rng: &mut Generator, config: &Config) -> Encoder {
        let mut input = config.encoder_channels();
        let mut down = |width: usize| {
            let conv = Conv2d::new(rng, std::mem::replace(&mut input, width), width, 3).stride(2).padding(1);
            Down { conv, cell: Cell::new(rng, width) }
        };
        let down = widths(config).into_iter().rev().map(&mut down).collect();
        let (mut joint, mut mu, mut logvar) = (Vec::new(), Vec::new(), Vec::new());
        for ([channels, ..], width) in config.latent_groups().into_iter().zip(width_of_each_group(config)) {
            joint.push(Conv2d::new(rng, 2 * width, width, 3).padding(1));
            mu.push(Conv2d::new(rng, width, channels, 1));
            logvar.push(Conv2d::new(rng, width, channels, 1));
        }
        Encoder { down, joint, mu, logvar }
    }

    /// The features of images on each size, from the smallest maps to the largest.
    fn features(&self, x: &Var, ctx: &ForwardContext) -> Vec<Var> {
        let mut x = x.clone();
        let mut all = Vec::new();
        for (down, i) in self.down.iter().zip(1..) {
            x = down.cell.forward(&down.conv.forward(&x, ctx), ctx);
            ctx.record_stage(format_args!("encoder.down{i}"), &x);
            all.push(x.clone());
        }
        all.reverse();
        all
    }

    /// mu and logvar of a group, from the decoder's maps `s` before it and the features `h` of the images.
    fn posterior(&self, group: usize, s: &Var, h: &Var, ctx: &ForwardContext) -> [Var; 2] {
        let joint = self.joint[group].forward(&Var::concat(&[s, h], 1), ctx).silu();
        [self.mu[group].forward(&joint, ctx), clamp_logvar(&self.logvar[group].forward(&joint, ctx))]
    }
}

nn::module!(Encoder { down, joint, mu, logvar });
nn::module!(Down { conv, cell });

struct Decoder {
    /// The maps before the first group, `[C, s, s]`.
    start: Param,
    /// From the smallest maps to the largest.
    scales: Vec<Scale>,
    output: Conv2d,
    /// The shape of the latents of each group.
    shapes: Vec<[usize; 3]>,
}

/// The groups on maps of one size.
struct Scale {
    /// The convolution after the maps of the size before it were doubled.
    up: Option<Conv2d>,
    groups: Vec<Group>,
}

struct Group {
    latents: Conv2d,
    cell: Cell,
}

impl Decoder {
    fn new(rng: &mut Generator, config: &Config) -> Decoder {
        let (shapes, widths) = (config.latent_groups(), widths(config));
        let [_, side, _] = shapes[0];
        let start = Param::new(Tensor::zeros([widths[0], side, side]));
        let mut latents = shapes.iter().map(|&[channels, ..]| channels);
        let mut scale = |(i, &count): (usize, &usize)| {
            let width = widths[i];
            let up = (i > 0).then(|| Conv2d::new(rng, widths[i - 1], width, 3).padding(1));
            let mut group = || {
                let channels = latents.next().expect("one shape for each group");
                Group { latents: Conv2d::new(rng, channels, width, 1), cell: Cell::new(rng, width) }
            };
            Scale { up, groups: (0..count).map(|_| group()).collect() }
        };
        let scales: Vec<Scale> = config.model.groups.iter().enumerate().map(&mut scale).collect();
        let last = *widths.last().expect("one size at least");
        Decoder { start, scales, output: Conv2d::new(rng, last, config.channels(), 3).padding(1), shapes }
    }

    /// Decodes `batch` images. `draw` gets the number of a group, that of its size, and the maps that the groups before it left, and
    /// returns its latents, `[n, c, s, s]`.
    fn forward(
        &self,
        device: tensor::Device,
        batch: usize,
        ctx: &ForwardContext,
        mut draw: impl FnMut(usize, usize, &Var) -> Var,
    ) -> Var {
        let start = self.start.var();
        let shape = [batch, start.shape()[0], start.shape()[1], start.shape()[2]];
        let mut s = Var::constant(Tensor::full_on(shape, 0.0, &device)) + &start;
        let mut group = 0;
        for (scale, i) in self.scales.iter().zip(0..) {
            if let Some(up) = &scale.up {
                s = up.forward(&double(&s), ctx);
            }
            for Group { latents, cell } in &scale.groups {
                let u = draw(group, i, &s);
                s = cell.forward(&(&s + &latents.forward(&u, ctx)), ctx);
                group += 1;
            }
            ctx.record_stage(format_args!("decoder.scale{}", i + 1), &s);
        }
        self.output.forward(&double(&s.silu()), ctx)
    }
}

nn::module!(Decoder { start, scales, output });
nn::module!(Scale { up, groups });
nn::module!(Group { latents, cell });

/// A residual cell, which keeps the shape.
struct Cell {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
}

impl Cell {
    fn new(rng: &mut Generator, width: usize) -> Cell {
        let mut conv = || Conv2d::new(rng, width, width, 3).padding(1);
        let [conv1, conv2] = [conv(), conv()];
        Cell { norm1: GroupNorm::new(1, width), conv1, norm2: GroupNorm::new(1, width), conv2 }
    }

    fn forward(&self, x: &Var, ctx: &ForwardContext) -> Var {
        let y = self.conv1.forward(&self.norm1.forward(x, ctx).silu(), ctx);
        x + &self.conv2.forward(&self.norm2.forward(&y, ctx).silu(), ctx)
    }
}

nn::module!(Cell { norm1, conv1, norm2, conv2 });

/// The channels on each size, from the smallest maps on: they halve where the maps double.
fn widths(config: &Config) -> Vec<usize> {
    let sizes = config.model.groups.len();
    (0..sizes).map(|i| config.model.width << (sizes - 1 - i)).collect()
}

fn width_of_each_group(config: &Config) -> impl Iterator<Item = usize> {
    let counts = config.model.groups.clone();
    widths(config).into_iter().zip(counts).flat_map(|(width, count)| std::iter::repeat_n(width, count))
}

fn double(x: &Var) -> Var {
    let [_, _, height, width] = x.shape().nchw("double");
    x.interpolate([2 * height, 2 * width], Interpolation::Nearest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Settings};

    /// Three groups of 2×4×4, 2×4×4 and 2×8×8 latents.
    fn ladder() -> (Config, Ladder) {
        let mut all = Settings::default();
        for setting in ["kind=ladder", "groups=2,1", "z_dim=192", "width=4"] {
            all.assignment(&format!("model.{setting}")).unwrap();
        }
        all.assignment("data.image_size=16").unwrap();
        let config = all.resolve().unwrap();
        config.check().unwrap();
        let model = Ladder::new(&mut Generator::new(1), &config);
        (config, model)
    }

    fn numbers(x: &Var) -> Vec<f32> {
        x.value().data().to_vec()
    }

    #[test]
    fn the_posterior_of_a_group_depends_on_draws_of_the_groups_before_it() {
        let (_, model) = ladder();
        let mut rng = Generator::new(2);
        let (x, eps) = (Var::constant(rng.uniform_tensor([1, 1, 16, 16], 0.0, 1.0)), rng.normal_tensor([1, 192]));
        let posterior = |eps: &Tensor| {
            let [mu, logvar, _] = model.encode_drawing(&x, eps, &ForwardContext::eval()).unwrap();
            [numbers(&mu), numbers(&logvar)]
        };
        let before = posterior(&eps);
        let groups = [0..32, 32..64, 64..192];
        for (changed, range) in groups.iter().enumerate() {
            let mut eps = eps.clone();
            eps.data_mut()[range.start] += 1.0;
            let after = posterior(&eps);
            for (group, range) in groups.iter().enumerate() {
                for (before, after) in before.iter().zip(&after) {
                    let same = before[range.clone()] == after[range.clone()];
                    assert_eq!(same, group <= changed, "group {group}, after a change of the draw of group {changed}");
                }
            }
        }
    }

    #[test]
    fn the_pass_decodes_what_it_drew_and_encode_is_the_pass_without_noise() {
        let (_, model) = ladder();
        let (mut rng, ctx) = (Generator::new(3), ForwardContext::eval());
        let (x, eps) = (Var::constant(rng.uniform_tensor([2, 1, 16, 16], 0.0, 1.0)), rng.normal_tensor([2, 192]));
        let [mu, logvar, logits] = model.encode_drawing(&x, &eps, &ctx).unwrap();
        let z = mu.reparameterise(&logvar, &eps);
        assert_eq!(numbers(&model.decode(&z, &ctx)), numbers(&logits));
        let (mu, logvar) = model.encode(&x, &ctx);
        let [means, logvars, _] = model.encode_drawing(&x, &Tensor::zeros([2, 192]), &ctx).unwrap();
        assert_eq!([numbers(&mu), numbers(&logvar)], [numbers(&means), numbers(&logvars)]);
    }

    /// E_q [p(u)/q(u|x)] = 1, where q is the product of the groups' densities at their own draws. With the density of a group at
    /// another draw, as if its posterior did not depend on the groups before it, the mean would not be 1.
    #[test]
    fn the_product_of_the_groups_posteriors_is_a_density() {
        const DRAWS: usize = 4096;
        let (_, model) = ladder();
        // Posteriors near the prior, so that the mean converges: small heads of the last two groups, and none of the others.
        for (name, param) in nn::parameters(&model) {
            let heads = ["encoder.mu.", "encoder.logvar."].iter().any(|head| name.starts_with(head));
            if heads {
                let scale = if name.contains(".0.") || name.contains(".1.") { 0.3 } else { 0.1 };
                param.update(|weight| weight.data_mut().iter_mut().for_each(|w| *w *= scale));
            }
        }
        let mut rng = Generator::new(4);
        let x = rng.uniform_tensor([1, 1, 16, 16], 0.0, 1.0);
        let x = Var::constant(x.expand([DRAWS, 1, 16, 16]));
        let eps = rng.normal_tensor([DRAWS, 192]);
        let [mu, logvar, _] = autograd::no_grad(|| model.encode_drawing(&x, &eps, &ForwardContext::eval()).unwrap());
        let (mu, logvar, eps) = (numbers(&mu), numbers(&logvar), eps.data());
        let ratio = |draw: usize| {
            let each = (draw * 192..(draw + 1) * 192).map(|i| {
                let [mu, logvar, eps] = [mu[i], logvar[i], eps[i]].map(f64::from);
                let u = mu + (0.5 * logvar).exp() * eps;
                0.5 * (eps * eps + logvar - u * u) // ln p(u) − ln q(u)
            });
            each.sum::<f64>().exp()
        };
        let ratios: Vec<f64> = (0..DRAWS).map(ratio).collect();
        let mean = ratios.iter().sum::<f64>() / DRAWS as f64;
        let deviation = (ratios.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / DRAWS as f64).sqrt();
        let error = deviation / (DRAWS as f64).sqrt();
        assert!(error < 0.05 && deviation > 0.05, "the mean is not decided: {mean} ± {error}");
        assert!((mean - 1.0).abs() < 4.0 * error, "{mean} ± {error}");
    }
}
