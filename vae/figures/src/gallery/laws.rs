//! Tests of what the figures show: each picture is compared with the images of the model, and each number in a description with
//! its definition.

use image::RgbaImage;
use pollster::block_on;
use tensor::Tensor;
use vae_core::image_quality::laplacian::laplacian_variance;
use vae_core::image_quality::similarity::mse;

use super::tests::trained;
use super::*;
use crate::figure::format_value;

/// Shapes of 16×16 pixels. The KL has almost no weight, so that the means of images differ and every latent changes the picture.
const SIZE: usize = 16;
pub(super) const PIXELS: usize = SIZE * SIZE;
pub(super) const VIVID: &[&str] =
    &["model.z_dim=3", "model.hidden=32", "loss.beta=1e-4", "train.learning_rate=0.02", "train.epochs=120"];

/// The images of a figure by row and column, as the bytes of their pixels.
pub(super) fn images(drawing: &Drawing) -> Vec<Vec<Vec<u8>>> {
    let tiles = image::load_from_memory(&drawing.page.tiles).unwrap().into_rgba8();
    let [columns, rows] = [true, false].map(|across| starts(&tiles, across));
    let image = |x: u32, y: u32| {
        let zoom = 64 / SIZE as u32; // the middle of each enlarged pixel
        let at = |i: u32| tiles.get_pixel(x + i % SIZE as u32 * zoom + 2, y + i / SIZE as u32 * zoom + 2).0[0];
        (0..PIXELS as u32).map(at).collect()
    };
    let opaque = |x: u32, y: u32| tiles.get_pixel(x, y).0[3] == 255;
    let row = |y: u32| columns.iter().filter(|&&x| opaque(x, y)).map(|&x| image(x, y)).collect();
    rows.iter().map(|&y| row(y)).collect()
}

/// Where images begin, across or down: a line of pixels that is not transparent after one that is.
fn starts(tiles: &RgbaImage, across: bool) -> Vec<u32> {
    let (length, breadth) = if across { tiles.dimensions() } else { (tiles.height(), tiles.width()) };
    let at = |i: u32, j: u32| if across { tiles.get_pixel(i, j) } else { tiles.get_pixel(j, i) };
    let filled: Vec<bool> = (0..length).map(|i| (0..breadth).any(|j| at(i, j).0[3] != 0)).collect();
    (1..length).filter(|&i| filled[i as usize] && !filled[i as usize - 1]).collect()
}

/// Whether an image of a figure has these pixels. The last bit may differ, because other batches add in another order.
#[track_caller]
pub(super) fn shows(image: &[u8], pixels: &[f32]) {
    assert_eq!(image.len(), pixels.len());
    for (&byte, x) in image.iter().zip(pixels) {
        assert!((f32::from(byte) - 255.0 * x.clamp(0.0, 1.0)).abs() <= 1.0, "{byte} for {x}");
    }
}

fn decode(run: &LoadedRun, z: &[f32]) -> Vec<f32> {
    let z_dim = run.predictor.config.model.z_dim;
    let rows = z.len() / z_dim;
    block_on(run.predictor.decode(&Tensor::new(z, [rows, z_dim]), &vec![0; rows])).unwrap().unwrap()
}

fn test_images(run: &LoadedRun, places: &[usize]) -> Vec<f32> {
    let batch = run.predictor.batch(&run.dataset().unwrap().test, places).unwrap();
    block_on(run.predictor.to_unit(&batch)).unwrap()
}

fn means(run: &LoadedRun, places: &[usize]) -> Vec<Vec<f32>> {
    let [mu, _] = block_on(run.predictor.encode(&run.dataset().unwrap().test, places)).unwrap().unwrap();
    mu.data().chunks_exact(run.predictor.config.model.z_dim).map(<[f32]>::to_vec).collect()
}

/// Latents with their KL, the highest first.
fn by_kl(run: &LoadedRun) -> Vec<(usize, f64)> {
    let epoch = run.history.iter().find(|epoch| epoch.epoch == run.epoch).unwrap();
    let mut all: Vec<(usize, f64)> = epoch.validation.kl_per_dim.iter().copied().enumerate().collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

#[track_caller]
pub(super) fn says(drawing: &Drawing, words: &str) {
    assert!(drawing.alt.contains(words), "{}\nlacks {words}", drawing.alt);
}

/// Each row begins at −3 and ends at 3 of its latent. The others are 0, or those of an image.
#[test]
fn a_traversal_shows_one_latent_in_each_row() {
    let (_dir, run) = trained(VIVID);
    let order = by_kl(&run);
    for place in [None, Some(3)] {
        let drawing = traversal::draw(&run, place).unwrap();
        let base = place.map_or(vec![0.0; 3], |place| means(&run, &[place])[0].clone());
        let rows = images(&drawing);
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [11; 3]);
        let mut changes = Vec::new();
        for (row, &(dim, _)) in rows.iter().zip(&order) {
            let at = |t: f32| {
                let mut z = base.clone();
                z[dim] = t;
                decode(&run, &z)
            };
            for (k, image) in row.iter().enumerate() {
                shows(image, &at(-3.0 + 0.6 * k as f32));
            }
            changes.push(format_value(mse(&at(-3.0), &at(3.0)).sqrt()));
            assert_ne!(row[0], row[10]);
        }
        let words = |i: usize| format!("{} along latent {} (KL {:.2} nats)", changes[i], order[i].0, order[i].1);
        says(&drawing, "Decoded images along 3 of 3 latents from -3 to 3");
        says(&drawing, &format!("in root mean square by {} and by {}.", words(0), words(2)));
        assert_eq!(drawing.name, place.map_or("traversal".to_owned(), |place| format!("traversal-{place}")));
        let svg = roxmltree::Document::parse(&drawing.page.svg).unwrap();
        let texts: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
        let heads: Vec<String> = (0..11).map(|k| format!("{:.1}", -3.0 + 0.6 * k as f32)).collect();
        assert!(heads.iter().all(|head| texts.contains(&head.as_str())), "{texts:?}");
    }
    let (_dir, one) = trained(&["model.z_dim=1"]);
    assert!(!traversal::draw(&one, None).unwrap().alt.contains(" and by "));
}

/// The animation goes from −3 to 3 and back in 24 frames, and rests at both ends.
#[test]
fn a_traversal_moves_there_and_back() {
    use image::AnimationDecoder;
    let (_dir, run) = trained(VIVID);
    let gif = traversal::draw(&run, None).unwrap().gif.unwrap();
    let decoder = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(&gif)).unwrap();
    let frames = decoder.into_frames().collect_frames().unwrap();
    let times: Vec<u32> = frames.iter().map(|frame| frame.delay().numer_denom_ms().0).collect();
    assert!(times.len() == 24 && times[0] == 500 && times[12] == 500, "{times:?}");
    assert_eq!(times.iter().filter(|&&time| time == 120).count(), 22);
    // Without the names of the frames, on the left, those on the way back are those on the way there. GIFs have 256 colours.
    let right = |k: usize| {
        let frame = frames[k].buffer();
        let images = image::imageops::crop_imm(frame, frame.width() - 3 * 68, 0, 3 * 68, frame.height());
        images.to_image().into_raw()
    };
    let near = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a.abs_diff(**b) > 16).count() < a.len() / 100;
    assert!((1..12).all(|k| near(&right(k), &right(24 - k))) && !near(&right(0), &right(12)));
}

/// Rows from above are the second latent from its highest quantile, columns the first latent from its lowest.
#[test]
fn a_grid_of_latents_is_at_quantiles_of_the_prior() {
    let (_dir, run) = trained(VIVID);
    let drawing = latent_grid::draw(&run, Some([2, 0])).unwrap();
    let rows = images(&drawing);
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [15; 15]);
    // P(z < x) of the positions, by summing the density.
    let svg = roxmltree::Document::parse(&drawing.page.svg).unwrap();
    let texts: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
    let at: Vec<f64> = texts[..15].iter().map(|text| text.parse().unwrap()).collect();
    for (i, &x) in at.iter().enumerate() {
        let density = |k: usize| (-0.5 * (k as f64 * 1e-3).powi(2)).exp() / (2.0 * std::f64::consts::PI).sqrt() * 1e-3;
        let half: f64 = (0..(x.abs() * 1e3) as usize).map(density).sum();
        let below = 0.5 + half * x.signum();
        assert!((below - (i as f64 + 0.5) / 15.0).abs() < 3e-3, "{x}: {below}");
    }
    let image = |row: usize, column: usize| decode(&run, &[at[14 - row] as f32, 0.0, at[column] as f32]);
    for (row, column) in [(0, 0), (0, 14), (14, 0), (7, 7), (3, 11)] {
        let (shown, pixels) = (&rows[row][column], image(row, column));
        let far = shown.iter().zip(&pixels).filter(|(byte, x)| (f32::from(**byte) - 255.0 * **x).abs() > 4.0).count();
        assert_eq!(far, 0, "row {row}, column {column}"); // the positions were rounded to two decimals
    }
    let steps: Vec<f64> = (0..15)
        .flat_map(|r| (1..15).map(move |c| (r, c)))
        .map(|(r, c)| mse(&image(r, c - 1), &image(r, c)).sqrt())
        .collect();
    let mean = steps.iter().sum::<f64>() / steps.len() as f64;
    let told = drawing.alt.split("a pixel changes by ").nth(1).unwrap().split(' ').next().unwrap();
    assert!((told.parse::<f64>().unwrap() / mean - 1.0).abs() < 0.02, "{told}, expected {mean}");
    assert!(
        drawing.title.contains("latent 2 to the right and latent 0 upwards") && drawing.title.contains("others at 0")
    );
    let (_dir, two) = trained(&["model.z_dim=2"]);
    assert!(!latent_grid::draw(&two, None).unwrap().title.contains("others"));
}

/// Each row: an image, ten decoded steps from its mean to that of the other image, and the other image.
#[test]
fn an_interpolation_goes_from_mean_to_mean() {
    let (_dir, run) = trained(VIVID);
    // The two images whose means are furthest apart, there and back.
    let mu = means(&run, &(0..run.dataset().unwrap().test.count()).collect::<Vec<_>>());
    let apart = |&[i, j]: &[usize; 2]| mu[i].iter().zip(&mu[j]).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let pairs = (0..mu.len()).flat_map(|i| (0..i).map(move |j| [i, j]));
    let [one, other] = pairs.max_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap();
    let drawing = interpolation::draw(&run, &[one, other], &[other, one]).unwrap();
    let rows = images(&drawing);
    let moves = |row: &[Vec<u8>]| row[1].iter().zip(&row[10]).any(|(a, b)| a.abs_diff(*b) > 20);
    assert!(rows.iter().all(|row| moves(row)), "one end looks like the other");
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [12; 4]);
    let mut largest = 0.0_f64;
    for (pair, [from, to]) in [[one, other], [other, one]].into_iter().enumerate() {
        let mu = means(&run, &[from, to]);
        let ends = test_images(&run, &[from, to]);
        let linear = |t: f32| mu[0].iter().zip(&mu[1]).map(|(a, b)| a + t * (b - a)).collect::<Vec<_>>();
        // z has the angle tω to a in the plane of a and b, and the proportions of Shoemake.
        let spherical = |t: f32| {
            let product = |(&a, &b): (&f32, &f32)| f64::from(a) * f64::from(b);
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(product).sum::<f64>();
            let angle = (dot(&mu[0], &mu[1]) / (dot(&mu[0], &mu[0]) * dot(&mu[1], &mu[1])).sqrt()).acos();
            let [from, to] = [1.0 - f64::from(t), f64::from(t)].map(|t| (t * angle).sin() / angle.sin());
            mu[0]
                .iter()
                .zip(&mu[1])
                .map(|(&a, &b)| (from * f64::from(a) + to * f64::from(b)) as f32)
                .collect::<Vec<_>>()
        };
        for (row, way) in [&linear as &dyn Fn(f32) -> Vec<f32>, &spherical].into_iter().enumerate() {
            let row = &rows[2 * pair + row];
            shows(&row[0], &ends[..PIXELS]);
            shows(&row[11], &ends[PIXELS..]);
            let steps: Vec<Vec<f32>> = (0..10).map(|k| decode(&run, &way(k as f32 / 9.0))).collect();
            steps.iter().zip(&row[1..]).for_each(|(step, image)| shows(image, step));
            largest = steps.windows(2).map(|pair| mse(&pair[0], &pair[1]).sqrt()).fold(largest, f64::max);
        }
    }
    let test = &run.dataset().unwrap().test;
    let class = |place: usize| run.class_names()[test.label(place)].clone();
    says(&drawing, &format!("({0} to {1}, {1} to {0})", class(one), class(other)));
    says(&drawing, &format!("by more than {} in root mean square", format_value(largest)));
    assert_eq!(images(&interpolation::draw(&run, &[], &[]).unwrap()).len(), 8, "four pairs, two ways");
    let svg = &drawing.page.svg;
    let heads: Vec<usize> = (0..10).map(|k| svg.find(&format!(">{:.2}<", k as f64 / 9.0)).unwrap()).collect();
    assert!(heads.is_sorted() && svg.matches(">image<").count() == 2);
    assert!(!drawing.title.contains("label"));
}

/// Noisy images above what the model makes of them.
#[test]
fn noise_is_added_to_test_images_and_errors_are_against_the_clean_ones() {
    let (_dir, run) = trained(&[VIVID, &["data.images=120"]].concat());
    let test = &run.dataset().unwrap().test;
    let places: Vec<usize> = (0..test.count()).collect();
    assert!(places.len() <= 12, "all are shown");
    let drawing = noise::draw(&run).unwrap();
    let rows = images(&drawing);
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [places.len(); 10]);
    let clean = test_images(&run, &places);
    let guess = block_on(run.predictor.reconstructions(test, &places)).unwrap().unwrap()[1].clone();
    for i in 0..places.len() {
        shows(&rows[0][i], &clean[i * PIXELS..][..PIXELS]);
        shows(&rows[1][i], &guess[i * PIXELS..][..PIXELS]);
    }
    let shown = |row: usize| rows[row].concat().iter().map(|&byte| f32::from(byte) / 255.0).collect::<Vec<f32>>();
    let svg = roxmltree::Document::parse(&drawing.page.svg).unwrap();
    let names: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
    for (i, deviation) in [0.0, 0.1, 0.2, 0.4, 0.8].into_iter().enumerate() {
        let [before, after] = [2 * i, 2 * i + 1].map(|row| mse(&shown(row), &clean));
        let number = |name: &str, start: &str| name.strip_prefix(start).unwrap().parse::<f64>().unwrap();
        let told = [number(names[2 * i], &format!("σ = {deviation}, MSE ")), number(names[2 * i + 1], "decoded, MSE ")];
        assert!((told[0] - before).abs() < 2e-4 && (told[1] - after).abs() < 2e-4, "{told:?}, {before}, {after}");
        says(&drawing, &format!("{} at σ = {deviation}", names[2 * i + 1].strip_prefix("decoded, MSE ").unwrap()));
        // Of black and white images, clamping removes about half of the noise.
        assert!(before <= deviation * deviation && before >= 0.2 * deviation * deviation, "σ = {deviation}: {before}");
    }
}

#[test]
fn bars_of_sharpness_are_means_over_few_and_many() {
    let (_dir, run) = trained(VIVID);
    let test = &run.dataset().unwrap().test;
    let places: Vec<usize> = (0..test.count()).collect();
    let [originals, guesses] = block_on(run.predictor.reconstructions(test, &places)).unwrap().unwrap();
    let samples = block_on(run.predictor.sample(places.len())).unwrap().unwrap();
    let drawing = laplacian::draw(&run).unwrap();
    let svg = roxmltree::Document::parse(drawing.svg.as_ref().unwrap()).unwrap();
    let tips: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("title")).filter_map(|n| n.text()).collect();
    let mut words = Vec::new();
    for (name, pixels) in [("test images", originals), ("reconstructions", guesses), ("samples", samples)] {
        let of = |image: &[f32]| laplacian_variance(image, [1, SIZE, SIZE]);
        let mean = |count: usize| pixels.chunks_exact(PIXELS).take(count).map(of).sum::<f64>() / count as f64;
        for count in [5, places.len()] {
            let tip = format!("{name}, images of each kind {count}: {} mean variance", format_value(mean(count)));
            assert!(tips.iter().any(|known| known.starts_with(&tip)), "{tips:?} lack {tip}");
        }
        words.push(format!("{name} {}", format_value(mean(places.len()))));
    }
    says(&drawing, &format!("over {} of each: {}.", places.len(), words.join(", ")));
}

#[test]
fn bars_of_the_kl_are_sorted_and_counted() {
    let (_dir, run) = trained(&["model.z_dim=4", "loss.beta=2"]);
    let order = by_kl(&run);
    let drawing = kl::draw(&run).unwrap();
    let sum: f64 = order.iter().map(|(_, kl)| kl).sum();
    let used = order.iter().filter(|(_, kl)| *kl > 0.1).count();
    assert!(
        drawing.title.ends_with(&format!("KL of each latent, highest first; {sum:.2} nats in all")),
        "{}",
        drawing.title
    );
    let ends = [order[0], order[3]];
    says(&drawing, &format!("of the KL of 4 latents, {sum:.2} nats in all"));
    says(
        &drawing,
        &format!(
            "the highest is {:.2} of latent {}, the lowest {:.4} of latent {};",
            ends[0].1, ends[0].0, ends[1].1, ends[1].0
        ),
    );
    says(&drawing, &format!("{used} of them are in use"));
    let svg = roxmltree::Document::parse(drawing.svg.as_ref().unwrap()).unwrap();
    let tips: Vec<&str> =
        svg.descendants().filter(|n| n.has_tag_name("title")).skip(1).filter_map(|n| n.text()).collect();
    let expected = order.iter().map(|(dim, kl)| format!("latent {dim}: {} KL in nats", format_value(*kl)));
    assert_eq!(tips, expected.collect::<Vec<_>>());
    let (_dir, many) = trained(&["model.z_dim=257"]);
    let title = kl::draw(&many).unwrap().title;
    assert!(title.contains("highest first, the first 256 of 257;"), "{title}");
}

#[test]
fn samples_are_those_of_the_predictor() {
    for (settings, rows, words) in [
        (&[][..], 8, "96 images decoded from random draws of the prior;"),
        (&["model.conditional=true"], 3, "36 images decoded from random draws of the prior, 12 of each label;"),
    ] {
        let (_dir, run) = trained(&[VIVID, settings].concat());
        let drawing = samples::draw("t", &run.predictor, run.class_names()).unwrap();
        let pixels = block_on(run.predictor.sample(12 * rows)).unwrap().unwrap();
        let shown = images(&drawing);
        assert_eq!(shown.iter().map(Vec::len).collect::<Vec<_>>(), vec![12; rows]);
        shown.concat().iter().zip(pixels.chunks_exact(PIXELS)).for_each(|(image, pixels)| shows(image, pixels));
        let mean = pixels.iter().map(|&x| f64::from(x)).sum::<f64>() / pixels.len() as f64;
        says(&drawing, &format!("{words} their mean pixel, 0 black to 1 full, is {}.", format_value(mean)));
        let named = run.class_names().iter().filter(|name| drawing.page.svg.contains(&format!(">{name}<"))).count();
        assert_eq!(named, if settings.is_empty() { 0 } else { 3 });
        let unnamed = samples::draw("t", &run.predictor, &[]).unwrap();
        assert_eq!(unnamed.page.svg.contains(">label 2<"), !settings.is_empty());
    }
}

/// Images above their reconstructions, twelve in a row, in groups.
#[test]
fn reconstructions_are_below_their_images() {
    let (_dir, run) = trained(VIVID);
    let (_other_dir, other) = trained(&[VIVID, &["seed=3"]].concat());
    let validation = &run.dataset().unwrap().validation;
    assert!(validation.count() > 14);
    let places: Vec<usize> = (0..14).collect();
    let [originals, guesses] = block_on(run.predictor.reconstructions(validation, &places)).unwrap().unwrap();
    let theirs = block_on(other.predictor.reconstructions(validation, &places)).unwrap().unwrap()[1].clone();
    let with = [("other".to_owned(), &other.predictor)];
    for (others, kinds) in [(&[][..], vec![&originals, &guesses]), (&with, vec![&originals, &guesses, &theirs])] {
        let drawing = reconstructions::draw("own", &run.predictor, validation, others, 14).unwrap();
        let rows = images(&drawing);
        let count = kinds.len();
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        assert_eq!(lengths, [vec![12; count], vec![2; count]].concat());
        for (kind, pixels) in kinds.iter().enumerate() {
            let shown = [rows[kind].as_slice(), &rows[count + kind]].concat();
            shown.iter().zip(pixels.chunks_exact(PIXELS)).for_each(|(image, pixels)| shows(image, pixels));
        }
        let errors: Vec<String> = kinds[1..].iter().map(|pixels| format_value(mse(pixels, &originals))).collect();
        let words = match &errors[..] {
            [own] => format!("is {own}."),
            [own, other] => format!("is {own} (own), {other} (other)."),
            _ => unreachable!("one or two"),
        };
        says(
            &drawing,
            &format!(
                "14 validation images, each above its reconstruction; the mean squared error of a pixel in [0, 1] {words}"
            ),
        );
    }
}

/// Points of test images at their means, with the KL of both latents at the axes.
#[test]
fn a_scatter_plot_has_the_means_of_all_test_images() {
    let (_dir, run) = trained(VIVID);
    let test = &run.dataset().unwrap().test;
    let places: Vec<usize> = (0..test.count()).collect();
    let drawing = scatter::draw(&run, Some([2, 0])).unwrap();
    let svg = roxmltree::Document::parse(drawing.svg.as_ref().unwrap()).unwrap();
    let texts: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
    for dim in [2, 0] {
        let kl = by_kl(&run).iter().find(|(known, _)| *known == dim).unwrap().1;
        assert!(texts.contains(&format!("mean of latent {dim} (KL {kl:.2} nats)").as_str()), "{texts:?}");
    }
    let mu = means(&run, &places);
    let labels = test.labels(&places);
    let nearest = |i: usize| {
        let apart = |j: usize| (mu[i][2] - mu[j][2]).powi(2) + (mu[i][0] - mu[j][0]).powi(2);
        (0..mu.len()).filter(|&j| j != i).min_by(|&j, &k| apart(j).total_cmp(&apart(k))).unwrap()
    };
    let same = places.iter().filter(|&&i| labels[i] == labels[nearest(i)]).count();
    let percent = 100.0 * same as f64 / places.len() as f64;
    says(
        &drawing,
        &format!(
            "{} test images at their means in latents 2 and 0, coloured by label; for {percent:.0} % of them",
            places.len()
        ),
    );
    // Discs are circles, the other two labels have paths. Each also has a mark in the legend.
    let marks = svg.descendants().filter(|n| n.has_tag_name("circle") || n.has_tag_name("path")).count();
    assert_eq!(marks, places.len() + 3);
    let default = scatter::draw(&run, None).unwrap();
    let mut best = [by_kl(&run)[0].0, by_kl(&run)[1].0];
    best.sort_unstable();
    says(&default, &format!("in latents {} and {}, coloured", best[0], best[1]));
}

#[test]
fn feature_maps_are_described_by_their_first_and_last_stage() {
    let (_dir, run) = trained(&["model.kind=resnet18", "model.width=2"]);
    let drawing = features::draw(&run, 1).unwrap();
    let class = run.class_names()[run.dataset().unwrap().test.label(1)].clone();
    let start = format!("Test image 1 ({class}) and four maps at each of ");
    assert!(drawing.alt.starts_with(&start), "{}", drawing.alt);
    let svg = roxmltree::Document::parse(&drawing.page.svg).unwrap();
    let names: Vec<&str> = svg.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
    let stages = &names[1..]; // the first row is the image
    let of = |name: &str| {
        let (stage, shape) = name.split_once("  ").unwrap();
        format!("{} of {} maps", stage, shape.split('×').next().unwrap())
    };
    let last = of(stages[stages.len() - 1]);
    says(
        &drawing,
        &format!("each of {} stages, from {} to {}.", stages.len(), of(stages[0]), last.trim_end_matches(" maps")),
    );
    shows(&images(&drawing)[0][0], &test_images(&run, &[1]));
}
