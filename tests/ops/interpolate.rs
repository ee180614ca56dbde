//! Resizing: nearest, and bilinear with both conventions for corners; up, down, and from a single pixel.

use reference::interpolate::interpolate;
use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use tensor::{Generator, Interpolation, Tensor};

const HOW: [Interpolation; 3] = [
    Interpolation::Nearest,
    Interpolation::Bilinear { align_corners: false },
    Interpolation::Bilinear { align_corners: true },
];

/// The sizes of an image and of the result: integer factors up and down, no change, and to and from a single pixel.
fn sizes(rng: &mut Generator) -> ([usize; 4], [usize; 2]) {
    let (h, w) = (between(rng, 1, 6), between(rng, 1, 6));
    let image = [between(rng, 1, 3), between(rng, 1, 3), h, w];
    let size = match rng.below(5) {
        0 => [2 * h, 2 * w],
        1 => [3 * h, w],
        2 => [1, 1],
        _ => [between(rng, 1, 11), between(rng, 1, 11)],
    };
    (image, size)
}

fn known() -> [([usize; 4], [usize; 2]); 5] {
    [
        ([2, 2, 1, 1], [2, 2]),
        ([1, 2, 1, 1], [5, 3]),
        ([1, 1, 5, 7], [2, 3]),
        ([1, 2, 4, 4], [4, 4]),
        ([1, 1, 2, 9], [9, 2]),
    ]
}

#[test]
fn values_match_the_reference() {
    let drawn = draws(100).map(|mut rng| (sizes(&mut rng), rng));
    let large = [([2, 3, 40, 33], [80, 66]), ([2, 3, 96, 96], [64, 64])];
    for ((image, size), mut rng) in drawn.chain(known().into_iter().chain(large).zip(draws(100))) {
        let x = [rng.normal_tensor(image)];
        for how in HOW {
            let what = format!("{image:?} to {size:?}, {how:?}");
            law::forward(
                &what,
                &x,
                |x| x[0].interpolate(size, how),
                |x| interpolate(&x[0], size, how),
                Within::Largest(1e-6),
            );
        }
    }
}

#[test]
fn gradients_match_the_reference() {
    let drawn = draws(25).map(|mut rng| (sizes(&mut rng), rng));
    for ((image, size), mut rng) in drawn.chain(known().into_iter().zip(draws(100))) {
        let x = [rng.normal_tensor(image)];
        for how in HOW {
            // Nearest may skip pixels, even all but one of a small image. Their gradient is 0.
            let what = format!("{image:?} to {size:?}, {how:?}");
            law::gradient(&what, &x, |x| x[0].interpolate(size, how), |x| interpolate(&x[0], size, how));
        }
    }
}

#[test]
fn its_gradient_is_its_adjoint_on_large_images() {
    for (mut rng, size) in draws(3).zip([[70, 66], [20, 31], [128, 1]]) {
        for how in HOW {
            let x = rng.normal_tensor([3, 2, 35, 33]);
            let y = rng.normal_tensor([3, 2, size[0], size[1]]);
            everywhere(|device| {
                let [x, y] = [&x, &y].map(|x| x.upload(device));
                let (ax, dx) = (x.interpolate(size, how), y.interpolate_gradient([35, 33], how));
                law::adjoint(&format!("to {size:?}, {how:?}"), &x, &ax, &y, &dx);
            });
        }
    }
}

#[test]
fn a_constant_image_stays_constant() {
    for how in HOW {
        everywhere(|device| {
            let y = fetch(&Tensor::full([1, 2, 5, 3], 0.7).upload(device).interpolate([11, 8], how));
            y.data().iter().for_each(|&y| approx::assert_relative_eq!(y, 0.7, max_relative = 3e-7));
        });
    }
}
