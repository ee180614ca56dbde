//! The gradient monitor: the norm of all gradients together, the scale for clipping, and no update once a value was not finite.

use approx::assert_relative_eq;
use reference::law::{between, dot, draws};
use reference::place::{Place, everywhere, fetch, on_gpus};
use reference::wait::block_on;
use tensor::{
    Device, Generator, GradientMonitor, GradientStatus, LossScale, OptimizerPart, OptimizerStep, Rule, Tensor,
};

const RULE: Rule = Rule::Adam { beta1: 0.0, beta2: 0.0, eps: 1.0, decoupled: false };
const STEP: OptimizerStep = OptimizerStep { rule: RULE, learning_rate: 0.1, weight_decay: 0.0, step: 1 };

fn noted(monitor: &GradientMonitor, count: usize) -> Vec<GradientStatus> {
    block_on(monitor.read(count)).expect("the device works")
}

/// Three watched values of the six that are possible.
fn watched(device: &Device) -> [Tensor; 3] {
    [1.0, -2.0, 30.0].map(|x| Tensor::scalar(x).upload(device))
}

/// How far a parameter of zeros moves along `gradient`. Without moments and with ε = 1, this is 0.1·g/(|g| + 1).
fn moved(monitor: &GradientMonitor, gradient: f32, device: &Device) -> f32 {
    let zero = Tensor::zeros([1]).upload(device);
    let gradient = Tensor::full([1], gradient).upload(device);
    let mut parts = [OptimizerPart { state: OptimizerPart::state(&zero, RULE), parameter: zero, gradient }];
    STEP.apply(&mut parts, monitor);
    -fetch(&parts[0].parameter).data()[0]
}

fn drawn(rng: &mut Generator) -> Vec<Tensor> {
    // More tensors than one launch takes, of sizes that are not multiples of four, and one that fills several workgroups.
    let mut sizes: Vec<usize> = (0..between(rng, 1, 17)).map(|_| between(rng, 1, 40)).collect();
    sizes.push(50_003);
    sizes.iter().map(|&size| rng.normal_tensor([size])).collect()
}

#[test]
fn the_norm_is_that_of_all_gradients_together() {
    for mut rng in draws(5) {
        let mut gradients = drawn(&mut rng);
        gradients.extend(drawn(&mut rng)); // more than the 24 of one launch with all limits, in some of the draws
        gradients.extend(drawn(&mut rng));
        let norm = gradients.iter().map(|g| dot(g, g)).sum::<f64>().sqrt();
        on_gpus(&[Place::Gpu, Place::LargeGpu], || {
            everywhere(|device| {
                let there: Vec<Tensor> = gradients.iter().map(|g| g.upload(device)).collect();
                let mut monitor = GradientMonitor::new(3, device);
                let w = watched(device);
                monitor.observe(1, &there.iter().collect::<Vec<_>>(), &w.each_ref(), None);
                let noted = noted(&monitor, 2)[1];
                assert_relative_eq!(f64::from(noted.norm), norm, max_relative = 1e-6);
                assert_eq!((noted.non_finite, noted.watched), (false, [1.0, -2.0, 30.0, 0.0, 0.0, 0.0]));
            })
        });
    }
}

/// PyTorch's limit/(norm + 1e-6), and 1 below the limit.
#[test]
fn gradients_are_scaled_down_to_the_limit_and_never_up() {
    let gradients = [Tensor::new(&[3.0, 0.0], [2]), Tensor::new(&[0.0, 4.0, 12.0], [3])]; // of norm 13
    everywhere(|device| {
        let there = gradients.each_ref().map(|g| g.upload(device));
        for (limit, factor) in [(None, 1.0), (Some(6.5), 0.5), (Some(14.0), 1.0)] {
            let mut monitor = GradientMonitor::new(1, device);
            monitor.observe(0, &there.each_ref(), &watched(device).each_ref(), limit);
            let g = 2.0 * factor;
            assert_relative_eq!(moved(&monitor, 2.0, device), 0.1 * g / (g + 1.0), max_relative = 1e-5);
        }
    });
}

/// If a gradient or a watched value was not finite, no parameter moves from then on, and every later row of the history reports
/// it.
#[test]
fn nothing_moves_once_a_value_was_not_finite() {
    everywhere(|device| {
        let fine = Tensor::ones([5]).upload(device);
        for (place, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().cycle().take(9).enumerate() {
            let mut monitor = GradientMonitor::new(3, device);
            assert!(moved(&monitor, 2.0, device) > 0.0, "before the first step nothing is wrong");
            monitor.observe(0, &[&fine], &watched(device).each_ref(), None);
            assert!(moved(&monitor, 2.0, device) > 0.0);
            let mut w = watched(device);
            let mut gradient = [1.0; 5];
            match place / 3 {
                0 => gradient[4] = bad,
                1 => w[0] = Tensor::scalar(bad).upload(device),
                _ => w[2] = Tensor::scalar(bad).upload(device),
            }
            let gradient = Tensor::new(&gradient, [5]).upload(device);
            monitor.observe(1, &[&gradient, &fine], &w.each_ref(), Some(1.0));
            assert_eq!(moved(&monitor, 2.0, device), 0.0, "{bad} at {place} on {device}");
            monitor.observe(2, &[&fine], &watched(device).each_ref(), None);
            assert_eq!(moved(&monitor, 2.0, device), 0.0, "what was bad once stays bad");
            let bad: Vec<bool> = noted(&monitor, 3).iter().map(|noted| noted.non_finite).collect();
            assert_eq!(bad, [false, true, true]);
        }
    });
}

/// Each of the watched values is recorded, and each may be the one that is not finite.
#[test]
fn one_to_six_values_can_be_watched() {
    everywhere(|device| {
        let fine = Tensor::ones([5]).upload(device);
        for known in 1..=6 {
            let mut numbers: Vec<f32> = (1..=known).map(|i| i as f32).collect();
            let mut monitor = GradientMonitor::new(2, device);
            for row in 0..2 {
                let there: Vec<Tensor> = numbers.iter().map(|&x| Tensor::scalar(x).upload(device)).collect();
                monitor.observe(row, &[&fine], &there.iter().collect::<Vec<_>>(), None);
                numbers[known - 1] = f32::INFINITY;
            }
            let noted = noted(&monitor, 2);
            let expected = std::array::from_fn(|i| if i < known { (i + 1) as f32 } else { 0.0 });
            assert_eq!(
                (noted[0].watched, noted[0].non_finite, noted[1].non_finite),
                (expected, false, true),
                "{known} on {device}"
            );
        }
    });
}

#[test]
#[should_panic(expected = "monitor: watches 1 to 6 numbers, not 7")]
fn more_than_six_values_are_refused() {
    let one = Tensor::scalar(1.0);
    GradientMonitor::new(1, &Device::Cpu).observe(0, &[&one], &[&one; 7], None);
}

#[test]
#[should_panic(expected = "monitor: no row 2 in a history of 2")]
fn a_row_beyond_the_history_is_refused() {
    let w = watched(&Device::Cpu);
    GradientMonitor::new(2, &Device::Cpu).observe(2, &[&Tensor::ones([1])], &w.each_ref(), None);
}

/// Norm and factor are those of the gradients without the scale.
#[test]
fn a_loss_scale_is_taken_out_of_the_gradients_again() {
    everywhere(|device| {
        let scale = LossScale { scale: 1024.0, steps: 0.0 };
        let mut monitor = GradientMonitor::with_loss_scale(2, device, Some(scale));
        assert_eq!(fetch(&monitor.loss_scale().expect("one")).data(), [1024.0]);
        assert!(GradientMonitor::new(2, device).loss_scale().is_none());
        let gradients = [[3.0, 4.0], [0.0, 12.0]].map(|g| Tensor::new(&g.map(|g| 1024.0 * g), [2]).upload(device));
        monitor.observe(1, &gradients.each_ref(), &watched(device).each_ref(), Some(6.5));
        let status = noted(&monitor, 2)[1];
        assert_relative_eq!(status.norm, 13.0, max_relative = 1e-6);
        assert_eq!((status.non_finite, status.skipped), (false, false));
        assert_eq!(status.loss_scale, Some(LossScale { scale: 1024.0, steps: 1.0 }));
        assert_relative_eq!(moved(&monitor, 2.0 * 1024.0, device), 0.1 * 0.5, max_relative = 1e-5); // of 0.5·2 = 1
    });
}

/// Gradients that are not finite halve the scale and change nothing; a loss that is not finite, or a scale of 1, ends the training.
#[test]
fn a_loss_scale_that_is_too_large_is_halved_and_the_step_skipped() {
    everywhere(|device| {
        let fine = Tensor::ones([5]).upload(device);
        let bad = Tensor::full([5], f32::INFINITY).upload(device);
        let lost = Tensor::scalar(f32::NAN).upload(device);
        let known = Tensor::scalar(1.0).upload(device);
        let mut monitor = GradientMonitor::with_loss_scale(5, device, Some(LossScale { scale: 4.0, steps: 7.0 }));
        for (row, (gradient, loss)) in
            [(&bad, &known), (&fine, &known), (&bad, &known), (&bad, &known), (&fine, &known)].into_iter().enumerate()
        {
            monitor.observe(row, &[gradient], &[loss], None);
            let moves = moved(&monitor, 1.0, device) != 0.0;
            assert_eq!(moves, row == 1, "row {row}");
        }
        let rows = noted(&monitor, 5);
        let of = |status: &GradientStatus| (status.skipped, status.non_finite, status.loss_scale.map(|s| s.scale));
        let expected = [
            (true, false, Some(2.0)),
            (false, false, Some(2.0)),
            (true, false, Some(1.0)),
            (false, true, Some(1.0)),
            (false, true, Some(1.0)),
        ];
        assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected);
        let mut monitor = GradientMonitor::with_loss_scale(1, device, Some(LossScale::default()));
        monitor.observe(0, &[&fine], &[&lost], None);
        assert_eq!(of(&noted(&monitor, 1)[0]), (false, true, Some(256.0)));
    });
}

#[test]
fn a_loss_scale_doubles_after_two_thousand_steps() {
    everywhere(|device| {
        let fine = Tensor::ones([1]).upload(device);
        let mut monitor = GradientMonitor::with_loss_scale(2, device, Some(LossScale { scale: 8.0, steps: 1998.0 }));
        (0..2).for_each(|row| monitor.observe(row, &[&fine], &watched(device).each_ref(), None));
        let scales: Vec<_> = noted(&monitor, 2).iter().map(|status| status.loss_scale.expect("a scale")).collect();
        assert_eq!(scales, [LossScale { scale: 8.0, steps: 1999.0 }, LossScale { scale: 16.0, steps: 0.0 }]);
    });
}
