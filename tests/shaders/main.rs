//! Every shader is valid WGSL and translates to the languages of Vulkan, Metal and DirectX. No GPU is needed.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use tensor::{KERNELS, Kernel};

/// Every kernel with f32 in all its buffers, and those that may have f16 also with f16 in all.
fn variants() -> impl Iterator<Item = (&'static Kernel, u32)> {
    KERNELS.iter().flat_map(|&kernel| [Some((kernel, 0)), kernel.any_dtype.then_some((kernel, u32::MAX))]).flatten()
}

/// The parsed module of a kernel whose buffers `f16` hold f16. Panics with the position of an error.
fn parse((kernel, f16): (&Kernel, u32)) -> (naga::Module, ModuleInfo) {
    let source = kernel.source(f16);
    let explain = |what: String| -> ! { panic!("{} is not valid: {what}", kernel.entry) };
    let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| explain(e.emit_to_string(&source)));
    let extensions = if f16 == 0 { Capabilities::empty() } else { Capabilities::SHADER_FLOAT16 };
    let info = Validator::new(ValidationFlags::all(), extensions).validate(&module);
    let info = info.unwrap_or_else(|e| explain(e.emit_to_string(&source)));
    (module, info)
}

#[test]
fn every_kernel_is_valid_without_any_extension_but_f16() {
    for (kernel, f16) in variants() {
        let (module, _) = parse((kernel, f16));
        let entry = module.entry_points.iter().find(|entry| entry.name == kernel.entry);
        let entry = entry.unwrap_or_else(|| panic!("no entry point {}", kernel.entry));
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!((1..=256).contains(&invocations), "{}: {invocations} invocations", kernel.entry);
    }
}

#[test]
fn every_kernel_translates_to_spirv_metal_and_hlsl() {
    for (kernel, f16) in variants() {
        let (module, info) = parse((kernel, f16));
        let stage = naga::ShaderStage::Compute;
        let constants = PipelineConstants::default();
        let (module, info) =
            pipeline_constants::process_overrides(&module, &info, Some((stage, kernel.entry)), &constants)
                .unwrap_or_else(|e| panic!("{}: overrides: {e}", kernel.entry));

        let entry = spv::PipelineOptions { shader_stage: stage, entry_point: kernel.entry.into() };
        let words = spv::write_vec(&module, &info, &spv::Options::default(), Some(&entry))
            .unwrap_or_else(|e| panic!("{}: SPIR-V: {e}", kernel.entry));
        assert_eq!(words[0], 0x0723_0203, "{}: not SPIR-V", kernel.entry);

        let entry = Some((stage, kernel.entry.to_owned()));
        let options = msl::Options { fake_missing_bindings: true, ..msl::Options::default() };
        let pipeline = msl::PipelineOptions { entry_point: entry.clone(), ..msl::PipelineOptions::default() };
        let (metal, _) = msl::write_string(&module, &info, &options, &pipeline)
            .unwrap_or_else(|e| panic!("{}: Metal: {e}", kernel.entry));
        assert!(metal.contains("kernel void"), "{}: {metal}", kernel.entry);

        let mut direct = String::new();
        let options = hlsl::Options { fake_missing_bindings: true, ..hlsl::Options::default() };
        let pipeline = hlsl::PipelineOptions { entry_point: entry };
        hlsl::Writer::new(&mut direct, &options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{}: HLSL: {e}", kernel.entry));
        assert!(direct.contains("numthreads"), "{}: {direct}", kernel.entry);
    }
}

/// Tint, the compiler of Chromium's WebGPU, is stricter than naga about barriers. If it is not installed, the test prints that
/// it was not checked.
#[test]
fn every_kernel_is_valid_for_tint_if_it_is_installed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sources = BTreeSet::new();
    for (kernel, f16) in variants().filter(|(kernel, f16)| sources.insert(kernel.source(*f16))) {
        let path = folder.path().join(format!("{}.wgsl", kernel.entry));
        fs::write(&path, kernel.source(f16)).expect("a file");
        match Command::new("tint").args(["--format", "wgsl", "--output-name", "/dev/null"]).arg(&path).output() {
            Err(_) => return eprintln!("tint is not installed: its opinion is not known"),
            Ok(output) => {
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {errors}", kernel.entry);
            }
        }
    }
}

/// The shaders in `shaders/` are those that tensors launch, with the same entry points.
#[test]
fn every_entry_point_is_launched_by_some_operation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shaders");
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("the folder of shaders") {
        let path = entry.expect("an entry of a folder").path();
        if path.extension().is_some_and(|e| e == "wgsl") {
            let source = fs::read_to_string(&path).expect("a shader is text");
            assert!(source.starts_with("// "), "{} does not open with what it computes", path.display());
            let entries = source.split("@compute").skip(1).filter_map(|rest| rest.split("fn ").nth(1));
            written.extend(entries.filter_map(|rest| rest.split('(').next()).map(str::to_owned));
        }
    }
    let launched: BTreeSet<String> = KERNELS.iter().map(|kernel| kernel.entry.to_owned()).collect();
    assert_eq!(written, launched);
    assert_eq!(launched.len(), KERNELS.len(), "two kernels share a name");
}
