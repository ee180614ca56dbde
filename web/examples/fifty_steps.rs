//! The losses of 50 steps, natively. `tests/pages/arithmetic.mjs` compares them with those of the page.
//!
//!     cargo run -p web --example fifty_steps
//!
//! It prints the settings on the first line and the losses on the second, both as JSON.

use pollster::block_on;
use web::Laboratory;
use web::laboratory::Start;

const SETTINGS: [&str; 8] = [
    "model.kind=basic",
    "model.widths=8,16",
    "model.z_dim=2",
    "data.image_size=28",
    "train.batch_size=32",
    "train.learning_rate=0.002",
    "loss.reconstruction=bce",
    "model.output=sigmoid",
];

fn main() -> vae_core::Result<()> {
    let settings = SETTINGS.map(str::to_owned).to_vec();
    let start = Start { settings, ..Start::default() };
    let mut laboratory = block_on(Laboratory::start(start, None, &|_, _| {}))?;
    let mut steps = 0;
    block_on(laboratory.train(&mut || {
        steps += 1;
        steps == 50
    }))?;
    let losses: Vec<f32> = laboratory.take_losses(50).into_iter().skip(1).step_by(4).collect();
    assert!(losses[49] < 0.6 * losses[0], "it did not learn");
    println!("{SETTINGS:?}\n{losses:?}");
    Ok(())
}
