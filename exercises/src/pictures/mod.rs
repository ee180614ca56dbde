//! The pictures of the book. `cargo run -p exercises --example pictures` writes them to `docs/book/src/images`.

mod beginnings;
mod beyond;
mod models;
mod motion;
mod probability;
pub mod svg;

/// Every picture: the name of its file, and the file.
pub fn all() -> Vec<(&'static str, String)> {
    vec![
        ("broadcasting.svg", beginnings::broadcasting()),
        ("graph.svg", beginnings::graph()),
        ("differences.svg", beginnings::differences()),
        ("difference-error.svg", beginnings::difference_error()),
        ("descent.svg", beginnings::descent()),
        ("step.svg", motion::step()),
        ("network.svg", beginnings::network()),
        ("convolution.svg", motion::convolution()),
        ("transposed.svg", models::transposed()),
        ("transposed-slides.svg", motion::transposed_slides()),
        ("autoencoder.svg", models::autoencoder()),
        ("codes.svg", models::codes()),
        ("density.svg", probability::density()),
        ("expectation.svg", probability::expectation()),
        ("kl.svg", probability::kl()),
        ("bayes.svg", probability::bayes()),
        ("bound.svg", probability::bound()),
        ("balance.svg", motion::balance()),
        ("draw.svg", probability::draw()),
        ("vae.svg", beyond::vae()),
        ("rate-distortion.svg", beyond::rate_distortion()),
        ("traversal.svg", beyond::traversal()),
        ("tighter-bounds.svg", beyond::tighter_bounds()),
        ("diffusion.svg", beyond::diffusion()),
        ("tiles.svg", beyond::tiles()),
    ]
}
