//! `bindgen MODULE.wasm FOLDER` writes `FOLDER/web.js` and `FOLDER/web_bg.wasm`.

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let [module, folder] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| anyhow::anyhow!("usage: bindgen MODULE.wasm FOLDER"))?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&module).web(true)?.typescript(false).remove_name_section(true).remove_producers_section(true);
    bindgen.generate(folder).with_context(|| format!("{module} cannot be converted"))
}
