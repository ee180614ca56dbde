//! Chooses how matrix products are cut for a GPU, by timing: `train --tune`. No limit that a driver reports says which shape is the
//! fastest. The choice is kept beside the list of GPUs that were checked, by GPU and driver, and later runs find it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gpu::{Adapter, Context, Options, Tuning};
use pollster::block_on;
use tensor::{Conv, Device, Generator, Result};

use crate::gpu_check::{cache_folder, identity};

/// A choice and the seconds that the work takes with it.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// The choice.
    pub tuning: Tuning,
    /// The median of three runs.
    pub seconds: f64,
}

/// Times choices on the GPU that these options open, and returns all of them, the fastest first. From `start` it changes one thing
/// after the other, each from the best so far: the shape of tiles, the algorithm of 3 × 3 convolutions, and the number of workgroups.
/// `watch` is called after each.
///
/// # Errors
/// If there is no GPU, or it fails.
pub fn tune(options: Options, start: Tuning, watch: &mut dyn FnMut(&Timed)) -> Result<Vec<Timed>> {
    let mut timed: Vec<Timed> = Vec::new();
    let tiles = [32, 64, 128].map(|registers| Tuning { registers, ..start }).to_vec();
    let steps: [&dyn Fn(Tuning) -> Vec<Tuning>; 3] =
        [&|_| tiles.clone(), &|best| vec![Tuning { winograd: !best.winograd, ..best }], &|best| {
            let target = |workgroups| Tuning { target_workgroups: workgroups, ..best };
            vec![target((start.target_workgroups / 4).max(1)), target(4 * start.target_workgroups)]
        }];
    for candidates in steps {
        let best = timed.first().map_or(start, |best| best.tuning);
        for tuning in candidates(best) {
            let found = Timed { tuning, seconds: seconds(Options { tuning: Some(tuning), ..options })? };
            watch(&found);
            timed.push(found);
        }
        timed.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    }
    Ok(timed)
}

/// The time of layers as a ResNet-18 for small images has them, forward and backward, and of a matrix product.
fn seconds(options: Options) -> Result<f64> {
    let context = block_on(Context::open(options))?;
    let (software, device) = (context.adapter().software, Device::Gpu(context.clone()));
    let rng = &mut Generator::new(1);
    let (batch, n) = if software { (1, 128) } else { (64, 1024) };
    let layer = |rng: &mut Generator, [cin, cout, size, stride]: [usize; 4]| {
        let conv = Conv { stride, padding: 1 };
        let x = rng.normal_tensor([batch, cin, size, size]).upload(&device);
        let w = rng.normal_tensor([cout, cin, 3, 3]).upload(&device);
        (x, w, conv)
    };
    let layers = [[64, 64, 16, 1], [256, 256, 4, 1], [64, 128, 16, 2]].map(|sizes| layer(rng, sizes));
    let matrices = [0, 1].map(|_| rng.normal_tensor([n, n]).upload(&device));
    let work = || -> Result<f64> {
        let start = Instant::now();
        let mut last = matrices[0].matmul(&matrices[1]);
        for (x, w, conv) in &layers {
            let y = x.conv2d(w, None, *conv);
            let size = [x.shape()[2], x.shape()[3]];
            last = y.conv2d_input_gradient(w, *conv, size).sum_all();
            last.add_assign(&x.conv2d_weight_gradient(&y, *conv, [3, 3]).sum_all());
        }
        block_on(last.read())?;
        Ok(start.elapsed().as_secs_f64())
    };
    work()?; // compiles the kernels
    let mut times = [work()?, work()?, work()?];
    times.sort_by(f64::total_cmp);
    context.destroy();
    Ok(times[1])
}

/// The file of choices, in the folder of [`cache_folder`].
pub fn record() -> Option<PathBuf> {
    Some(cache_folder()?.join("tuned-gpus.txt"))
}

/// The line of the file that holds a GPU's choice begins with this.
fn name(adapter: &Adapter) -> String {
    format!("{}; ", identity(adapter))
}

/// Remembers the choice for a GPU in the file `record`, which is created if need be.
///
/// # Errors
/// If the file cannot be written.
pub fn remember(adapter: &Adapter, tuning: Tuning, record: &Path) -> std::io::Result<()> {
    let (name, known) = (name(adapter), fs::read_to_string(record).unwrap_or_default());
    let others = known.lines().filter(|line| !line.starts_with(&name)).map(|line| format!("{line}\n"));
    let Tuning { registers, target_workgroups, winograd } = tuning;
    let line = format!("{name}registers={registers} workgroups={target_workgroups} winograd={winograd}\n");
    record.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(record, others.chain([line]).collect::<String>())
}

/// The choice that the file `record` has for a GPU. A line that makes no sense counts as none.
pub fn remembered(adapter: &Adapter, record: &Path) -> Option<Tuning> {
    let (name, known) = (name(adapter), fs::read_to_string(record).ok()?);
    let line = known.lines().find_map(|line| line.strip_prefix(&name))?;
    let value = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let tuning = Tuning {
        registers: value("registers")?.parse().ok()?,
        target_workgroups: value("workgroups")?.parse().ok()?,
        winograd: value("winograd")?.parse().ok()?,
    };
    ([32, 64, 128].contains(&tuning.registers) && tuning.target_workgroups >= 1).then_some(tuning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(name: &str) -> Adapter {
        Adapter { name: name.into(), backend: "Vulkan".into(), driver: "1; 2".into(), ..Adapter::default() }
    }

    #[test]
    fn each_gpu_has_the_choice_that_was_made_last() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join("new").join("tuned.txt");
        assert_eq!(remembered(&gpu("a"), &record), None);
        let [first, second] = [64, 32].map(|registers| Tuning { registers, target_workgroups: 7, winograd: false });
        remember(&gpu("a"), first, &record).unwrap();
        remember(&gpu("b"), second, &record).unwrap();
        assert_eq!(["a", "b", "c"].map(|name| remembered(&gpu(name), &record)), [Some(first), Some(second), None]);
        remember(&gpu("a"), second, &record).unwrap();
        assert_eq!(remembered(&gpu("a"), &record), Some(second));
        for nonsense in ["registers=63 workgroups=7 winograd=true", "registers=64 workgroups=0 winograd=true", "", "x"]
        {
            fs::write(&record, format!("{}{nonsense}\n", name(&gpu("a")))).unwrap();
            assert_eq!(remembered(&gpu("a"), &record), None, "{nonsense}");
        }
    }
}
