//! Binary images: each pixel x in [0, 1] becomes 1 with the probability x, else 0. A Bernoulli likelihood is a probability
//! of such images only. Published likelihoods of MNIST are those of binary images (Salakhutdinov and Murray 2008).
//!
//! ```text
//! dynamic   training images: a draw for each (seed, epoch, image)
//! fixed     training images: a draw for each image
//! both      validation and test images: a draw for each image
//! ```
//!
//! The draw for each image does not depend on the seed, so runs of several seeds are scored on the same pixels. `dynamic`
//! never shows the model the same pixels twice, which is an augmentation: likelihoods are better than with `fixed`.

use tensor::Generator;

use crate::random::Purpose;

/// Makes a training image binary, in place, by the draw of this seed and epoch. Epochs count from 1.
pub(super) fn dynamic(seed: u64, epoch: usize, image: usize, pixels: &mut [f32]) {
    draw(pixels, Purpose::Binary.stream(seed, (epoch as u64) << 32 | image as u64));
}

/// Makes an image binary, in place, by the draw that it has for ever.
pub(super) fn fixed(image: usize, pixels: &mut [f32]) {
    draw(pixels, Purpose::Binary.stream(0, image as u64)); // no epoch of training has the number 0
}

fn draw(pixels: &mut [f32], mut rng: Generator) {
    pixels.iter_mut().for_each(|x| *x = f32::from(u8::from(rng.uniform() < *x)));
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::data::Dataset;

    fn dataset(settings: &[&str]) -> Dataset {
        let mut all = Settings::default();
        settings.iter().for_each(|setting| all.assignment(setting).unwrap());
        let config = all.resolve().unwrap();
        config.check().unwrap();
        Dataset::built_in(&config).unwrap()
    }

    fn training(dataset: &Dataset, epoch: usize, places: &[usize]) -> Vec<f32> {
        dataset.training_batch(epoch, places).unwrap().input.data().to_vec()
    }

    /// The mean of 400 draws of a pixel is the pixel, within four standard deviations.
    #[test]
    fn the_probability_of_a_pixel_is_its_brightness() {
        let (grey, dynamic) = (dataset(&[]), dataset(&["data.binarise=dynamic"]));
        let exact = training(&grey, 1, &[3]);
        let mut counts = vec![0.0; exact.len()];
        for epoch in 1..=400 {
            let drawn = training(&dynamic, epoch, &[3]);
            assert!(drawn.iter().all(|&x| x == 0.0 || x == 1.0));
            counts.iter_mut().zip(drawn).for_each(|(count, x)| *count += f64::from(x));
        }
        let between = exact.iter().filter(|&&x| x > 0.2 && x < 0.8).count();
        assert!(between > 20, "{between} grey pixels");
        for (count, &x) in counts.iter().zip(&exact) {
            let (mean, x) = (count / 400.0, f64::from(x));
            assert!((mean - x).abs() <= 4.0 * (x * (1.0 - x) / 400.0).sqrt(), "{mean} for {x}");
        }
    }

    #[test]
    fn dynamic_draws_depend_on_seed_epoch_and_image_and_fixed_ones_on_the_image() {
        let [dynamic, other] = [1, 2].map(|seed| dataset(&["data.binarise=dynamic", &format!("seed={seed}")]));
        let image = dynamic.train.indices()[5];
        let there = other.train.indices().iter().position(|&other| other == image);
        assert_ne!(training(&dynamic, 1, &[5]), training(&dynamic, 2, &[5]));
        assert_eq!(training(&dynamic, 1, &[5]), training(&dynamic, 1, &[9, 5])[1024..]);
        if let Some(there) = there {
            assert_ne!(training(&dynamic, 1, &[5]), training(&other, 1, &[there]));
        }
        let fixed = dataset(&["data.binarise=fixed"]);
        assert_eq!(training(&fixed, 1, &[5]), training(&fixed, 2, &[5]));
        assert_ne!(training(&fixed, 1, &[5]), training(&dynamic, 1, &[5]));
    }

    #[test]
    fn validation_and_test_images_have_one_draw_for_all_seeds() {
        let sets = [("dynamic", 1), ("dynamic", 2), ("fixed", 1)]
            .map(|(kind, seed)| dataset(&[&format!("data.binarise={kind}"), &format!("seed={seed}")]));
        // The image is in the test split of the first set, and in any split of the others.
        let image = sets[0].test.indices()[0];
        let drawn = sets.each_ref().map(|set| {
            let splits = [&set.test, &set.validation, &set.train];
            let found = splits.iter().find_map(|split| {
                let place = split.indices().iter().position(|&index| index == image)?;
                Some(set.batch(split, &[place]).unwrap())
            });
            found.expect("each image is in a split").data().to_vec()
        });
        assert!(drawn[0].iter().all(|&x| x == 0.0 || x == 1.0) && drawn[0].contains(&1.0));
        assert_eq!([&drawn[1], &drawn[2]], [&drawn[0]; 2]);
    }

    #[test]
    fn augmentation_comes_before_the_draw() {
        let flipped = dataset(&["data.binarise=dynamic", "data.augment=flip-crop"]);
        assert!(training(&flipped, 1, &[0, 1, 2]).iter().all(|&x| x == 0.0 || x == 1.0));
    }
}
