//! A language model of characters, which is a small GPT (Radford et al., 2019): it learns to predict the next character of a text, and
//! then writes some of its own.
//!
//!     cargo run -p nn --example character_model
//!
//!   h = token[x] + position;   for each block: h ← h + attention(norm h), h ← h + W₂·gelu(W₁·norm h);   logits = W·norm h
//!
//! The attention is causal: a character sees itself and those before it, so all characters of a batch are predicted in one pass. AdamW
//! updates the weights, with a rate that first rises and then falls along a cosine. The loss is the mean of −ln p(next character), in
//! nats. A guess among all characters alike has ln 46 = 3.83. The program panics if the loss does not come below 1.6.

use autograd::{Var, no_grad};
use nn::optim::{Optimizer, Schedule};
use nn::{Embedding, ForwardContext, Layer, LayerNorm, Linear, TransformerEncoderLayer, loss};
use tensor::{Generator, Tensor};

const CONTEXT: usize = 32; // characters that the model sees at once
const BATCH: usize = 16;
const STEPS: usize = 600;

/// The sizes of a model.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// The number of different characters.
    pub(crate) characters: usize,
    /// The largest number of characters that the model sees at once.
    pub(crate) context: usize,
    /// The width of the vectors h.
    pub(crate) width: usize,
    /// The number of heads of each attention.
    pub(crate) heads: usize,
    /// The number of blocks.
    pub(crate) blocks: usize,
}

/// The model. Its parameters have the names of these fields.
pub(crate) struct CharacterModel {
    tokens: Embedding,
    positions: Embedding,
    blocks: Vec<TransformerEncoderLayer>,
    norm: LayerNorm,
    head: Linear,
}
nn::module!(CharacterModel { tokens, positions, blocks, norm, head });

impl CharacterModel {
    /// A model with PyTorch's initialisation.
    pub(crate) fn new(rng: &mut Generator, sizes: Sizes) -> CharacterModel {
        let Sizes { characters, context, width, heads, blocks } = sizes;
        CharacterModel {
            tokens: Embedding::new(rng, characters, width),
            positions: Embedding::new(rng, context, width),
            blocks: (0..blocks).map(|_| TransformerEncoderLayer::new(rng, width, heads)).collect(),
            norm: LayerNorm::new([width]),
            head: Linear::new(rng, width, characters).no_bias(),
        }
    }

    /// The logits of the character after each one: `[batch, length]` → `[batch, length, characters]`.
    pub(crate) fn forward(&self, tokens: &Tensor, ctx: &ForwardContext) -> Var {
        let (length, device) = (tokens.shape()[1], tokens.device());
        let places: Vec<f32> = (0..length).map(|i| i as f32).collect();
        let places = Var::constant(Tensor::new(&places, [length]).upload(&device));
        let mask = Var::constant(Tensor::causal_mask(length).upload(&device));
        let tokens = self.tokens.forward(&Var::constant(tokens.clone()), ctx);
        let h = tokens + self.positions.forward(&places, ctx);
        let h = self.blocks.iter().fold(h, |h, block| block.forward(&h, Some(&mask), ctx));
        self.head.forward(&self.norm.forward(&h, ctx), ctx)
    }

    /// The mean of −ln p(next character) over a batch: inputs and the characters after them, both `[batch, length]`.
    pub(crate) fn loss(&self, tokens: &Tensor, next: &Tensor, ctx: &ForwardContext) -> Var {
        let logits = self.forward(tokens, ctx);
        let (count, characters) = (next.shape().count(), logits.shape()[2]);
        loss::cross_entropy(&logits.reshape([count, characters]), &next.reshape([count]))
    }
}

fn main() {
    let text = include_str!("text.txt");
    let mut alphabet: Vec<char> = text.chars().collect();
    alphabet.sort_unstable();
    alphabet.dedup();
    let number = |c: char| alphabet.binary_search(&c).expect("a character of the text") as f32;
    let text: Vec<f32> = text.chars().map(number).collect();

    let mut rng = Generator::new(1);
    let sizes = Sizes { characters: alphabet.len(), context: CONTEXT, width: 64, heads: 4, blocks: 2 };
    let model = CharacterModel::new(&mut rng, sizes);
    let sample = Tensor::zeros([1, CONTEXT]);
    println!("{}", nn::summary(&model, |ctx| drop(model.forward(&sample, ctx))));
    println!("{} characters of text, {} different ones", text.len(), alphabet.len());

    let params = nn::parameters(&model);
    let mut adam = Optimizer::adamw(0.01);
    let schedule = Schedule::WarmUp { epochs: 50, then: Box::new(Schedule::Cosine) };
    let mut last = 0.0;
    for step in 0..STEPS {
        let starts: Vec<usize> = (0..BATCH).map(|_| rng.below(text.len() - CONTEXT)).collect();
        let cut = |shift: usize| {
            let rows: Vec<f32> = starts.iter().flat_map(|&s| text[s + shift..][..CONTEXT].to_vec()).collect();
            Tensor::new(&rows, [BATCH, CONTEXT])
        };
        let loss = model.loss(&cut(0), &cut(1), &ForwardContext::train(1, step as u64));
        adam.step(&params, &mut loss.backward(), schedule.rate(5e-3, step, STEPS));
        last = if step == 0 { loss.item() } else { 0.95 * last + 0.05 * loss.item() };
        if step % 100 == 0 || step + 1 == STEPS {
            println!("step {step:4}: loss {last:.3}");
        }
    }

    // Writes a text: each character is drawn from the model's probabilities, given those before it.
    let mut written: Vec<f32> = "The ".chars().map(number).collect();
    for _ in 0..300 {
        let seen = &written[written.len().saturating_sub(CONTEXT)..];
        let seen = Tensor::new(seen, [1, seen.len()]);
        let logits = no_grad(|| model.forward(&seen, &ForwardContext::eval())).at((0, seen.shape()[1] - 1));
        let p = logits.mul_scalar(1.0 / 0.7).softmax(0); // below 1, a temperature prefers likely characters
        let mut left = rng.uniform();
        let chosen = p.value().data().iter().position(|&p| {
            left -= p;
            left < 0.0
        });
        written.push(chosen.unwrap_or(0) as f32); // rounding may leave a little
    }
    println!("{}", written.iter().map(|&i| alphabet[i as usize]).collect::<String>());
    assert!(last < 1.6, "the loss should come below 1.6: {last}");
}
