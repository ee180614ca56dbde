//! The laws of operations, layers and gradients in a browser: on WebGPU, whose shaders the browser's own compiler reads, and on the
//! CPU with WebAssembly's vectors. `tests/pages/laws/worker.js` runs them, `tests/pages/laws.mjs` opens the page.
//!
//! A law reads what a device has computed in the middle of its function, and a browser gives it only to a function that has returned. So the
//! worker suspends the module's stack while the law waits (`reference::wait`, and `WebAssembly.Suspending` in the worker). A panic
//! ends the module; the worker is then replaced.

#![forbid(unsafe_code)]
#![cfg(target_arch = "wasm32")]
#![allow(dead_code)] // a law that is not run leaves its helpers alone

use wasm_bindgen::prelude::*;

include!(concat!(env!("OUT_DIR"), "/laws.rs"));

/// A test.
struct Law {
    name: &'static str,
    run: fn(),
    /// What its panic says, if it must panic.
    panics: Option<&'static str>,
    /// Why it cannot run here.
    ignored: Option<&'static str>,
}

#[wasm_bindgen]
extern "C" {
    /// Lets the browser work. The worker suspends the module meanwhile.
    fn let_the_browser_work();
    /// Takes the message of a panic.
    fn panicked(message: &str);
}

#[wasm_bindgen(start)]
fn begin() {
    std::panic::set_hook(Box::new(|panic| panicked(&panic.to_string())));
    reference::wait::suspend_with(let_the_browser_work);
}

/// The laws as JSON: `[{"name", "panics", "ignored"}, …]`.
#[wasm_bindgen]
pub fn laws() -> String {
    let text = |text: Option<&str>| text.map_or("null".to_owned(), |text| format!("{text:?}"));
    let law = |law: &Law| {
        format!("{{\"name\":{:?},\"panics\":{},\"ignored\":{}}}", law.name, text(law.panics), text(law.ignored))
    };
    format!("[{}]", LAWS.iter().map(law).collect::<Vec<_>>().join(","))
}

/// The kernels that operations launch, by their entry points.
#[wasm_bindgen]
pub fn kernels() -> Vec<String> {
    tensor::KERNELS.iter().map(|kernel| kernel.entry.to_owned()).collect()
}

/// The places where laws are tested here.
#[wasm_bindgen]
pub fn places() -> String {
    tensor::Isa::available().iter().map(ToString::to_string).chain(["WebGPU".to_owned()]).collect::<Vec<_>>().join(", ")
}

/// Runs a law. It may suspend the module: the worker calls it through `WebAssembly.promising`.
#[wasm_bindgen]
pub fn run(law: usize) {
    (LAWS[law].run)();
}
