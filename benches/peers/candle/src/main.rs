//! candle's part of `benches/compare_peers.sh`, on the CPU: kernels, and a training step of `conv3`. Prints one line of JSON.
//!
//! Names, shapes and medians are those of `benches/compare.rs`. Operations that candle lacks are under `absent`, with its error
//! message.
#![forbid(unsafe_code)]

use std::time::Instant;

use candle_core::{Device, Module, Result, Tensor, Var};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Linear, Optimizer, ParamsAdamW,
};

const BATCH: usize = 64;

/// The numbers of the `k`-th tensor, the same in all libraries: `sin((i + k)²)`.
fn known(k: u64, shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..count).map(|i| (((i + k) * (i + k)) as f64).sin() as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The parameters of a model in the order of their creation, each scaled by its number of inputs.
#[derive(Default)]
struct Parameters(Vec<Var>);

impl Parameters {
    fn next(&mut self, shape: &[usize]) -> Result<Tensor> {
        let inputs: usize = shape[1..].iter().product();
        let values = (known(self.0.len() as u64, shape)? / (inputs as f64).sqrt())?;
        self.0.push(Var::from_tensor(&values)?);
        Ok(self.0[self.0.len() - 1].as_tensor().clone())
    }

    fn conv(&mut self, i: usize, o: usize) -> Result<Conv2d> {
        let config = Conv2dConfig { padding: 1, stride: 2, ..Default::default() };
        Ok(Conv2d::new(self.next(&[o, i, 3, 3])?, Some(self.next(&[o])?), config))
    }

    fn transposed(&mut self, i: usize, o: usize) -> Result<ConvTranspose2d> {
        let config = ConvTranspose2dConfig { padding: 1, stride: 2, ..Default::default() };
        Ok(ConvTranspose2d::new(self.next(&[i, o, 4, 4])?, Some(self.next(&[o])?), config))
    }

    fn linear(&mut self, i: usize, o: usize) -> Result<Linear> {
        Ok(Linear::new(self.next(&[o, i])?, Some(self.next(&[o])?)))
    }
}

/// `conv3` at 64 pixels, 20 latents.
struct Conv3 {
    encoder: Vec<Conv2d>,
    mu: Linear,
    logvar: Linear,
    linear: Linear,
    decoder: Vec<ConvTranspose2d>,
}

impl Conv3 {
    fn new(p: &mut Parameters) -> Result<Conv3> {
        Ok(Conv3 {
            encoder: [(3, 64), (64, 128), (128, 256)].map(|(i, o)| p.conv(i, o)).into_iter().collect::<Result<_>>()?,
            mu: p.linear(16384, 20)?,
            logvar: p.linear(16384, 20)?,
            linear: p.linear(20, 16384)?,
            decoder: [(256, 128), (128, 64), (64, 3)]
                .map(|(i, o)| p.transposed(i, o))
                .into_iter()
                .collect::<Result<_>>()?,
        })
    }

    /// The squared error summed over pixels and the KL summed over latents, as a mean over images.
    fn loss(&self, x: &Tensor, eps: &Tensor) -> Result<Tensor> {
        let h = self.encoder.iter().try_fold(x.clone(), |x, conv| conv.forward(&x)?.relu())?.flatten_from(1)?;
        let (mu, logvar) = (self.mu.forward(&h)?, self.logvar.forward(&h)?);
        let z = (&mu + (&logvar * 0.5)?.exp()? * eps)?;
        let seed = self.linear.forward(&z)?.reshape((BATCH, 256, 8, 8))?;
        let xhat = self.decoder.iter().try_fold(seed, |x, conv| conv.forward(&x.relu()?))?;
        let kl = ((mu.sqr()? + logvar.exp()?)? - 1.0)?.sub(&logvar)?.sum_all()?;
        ((xhat - x)?.sqr()?.sum_all()? + (kl * 0.5)?)? / BATCH as f64
    }
}

fn median<R>(runs: usize, mut body: impl FnMut() -> Result<R>) -> Result<f64> {
    let mut time = || {
        let start = Instant::now();
        std::hint::black_box(body()?);
        Ok(start.elapsed().as_secs_f64())
    };
    let times: Result<Vec<f64>> = (0..runs + 3).map(|_| time()).collect();
    let mut times = times?.split_off(3);
    times.sort_by(f64::total_cmp);
    Ok(times[runs / 2])
}

/// The output: figures, and the operations that are absent.
#[derive(Default)]
struct Report {
    figures: Vec<String>,
    absent: Vec<String>,
}

impl Report {
    fn say(&mut self, name: &str, figure: Result<f64>) {
        match figure.map_err(|error| error.to_string()) {
            Ok(seconds) => self.figures.push(format!("{name:?}: {seconds:.7}")),
            Err(words) => self.absent.push(format!("{name:?}: {:?}", words.lines().next().unwrap_or_default())),
        }
    }

    /// Times forward, and forward with backward from a gradient of ones.
    fn pair(&mut self, name: &str, inputs: &[Tensor], op: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
        self.say(name, median(15, || op(inputs)));
        let leaves: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
        let leaves: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
        self.say(&format!("{name}, with backward"), median(15, || op(&leaves)?.backward()));
        Ok(())
    }

    fn kernels(&mut self) -> Result<()> {
        let (a, b) = (known(1, &[1024, 1024])?, known(2, &[1024, 1024])?);
        self.say("matmul 1024", median(15, || a.matmul(&b)));
        let image = known(1, &[BATCH, 64, 16, 16])?;
        let inputs = [image.clone(), known(2, &[64, 64, 3, 3])?];
        self.pair("conv 3x3 64@16", &inputs, |x| x[0].conv2d(&x[1], 1, 1, 1, 1))?;
        let inputs = [known(1, &[BATCH, 128, 8, 8])?, known(2, &[128, 64, 4, 4])?];
        self.pair("transposed 4x4 s2 128to64@8", &inputs, |x| x[0].conv_transpose2d(&x[1], 1, 0, 2, 1))?;
        let (zeros, ones) = (Tensor::zeros_like(&known(1, &[64])?)?, Tensor::ones_like(&known(1, &[64])?)?);
        self.pair("batch norm 64@16", &[image.clone(), ones.clone(), zeros.clone()], |x| {
            BatchNorm::new(64, zeros.clone(), ones.clone(), x[1].clone(), x[2].clone(), 1e-5)?.forward_train(&x[0])
        })?;
        self.pair("bilinear x2 64@16", &[image], |x| x[0].upsample_bilinear2d(32, 32, false))
    }

    fn model(&mut self) -> Result<()> {
        let mut parameters = Parameters::default();
        let model = Conv3::new(&mut parameters)?;
        let (x, eps) = (((known(100, &[BATCH, 3, 64, 64])? + 1.0)? * 0.5)?, known(101, &[BATCH, 20])?);
        let loss = model.loss(&x, &eps)?;
        let gradients = loss.backward()?;
        let mut squares = 0.0;
        for parameter in &parameters.0 {
            let gradient = gradients.get(parameter).expect("every parameter has a gradient");
            squares += gradient.sqr()?.sum_all()?.to_scalar::<f32>()? as f64;
        }
        let count: usize = parameters.0.iter().map(|p| p.elem_count()).sum();
        let loss = loss.to_scalar::<f32>()?;
        self.figures.push(format!("\"parameters\": {count}, \"loss\": {loss}, \"gradient\": {}", squares.sqrt()));
        let config = ParamsAdamW { weight_decay: 0.0, ..Default::default() };
        let mut adam = AdamW::new(parameters.0, config)?;
        let step = median(8, || {
            let loss = model.loss(&x, &eps)?;
            adam.backward_step(&loss)?;
            loss.to_scalar::<f32>()
        });
        self.say("train_step_s", step);
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut report = Report::default();
    report.model()?;
    report.kernels()?;
    let (figures, absent) = (report.figures.join(", "), report.absent.join(", "));
    let head = format!("\"peer\": \"candle\", \"mode\": \"candle\", \"model\": \"conv3\", \"batch\": {BATCH}");
    println!("{{{head}, {figures}, \"absent\": {{{absent}}}}}");
    Ok(())
}
