//! Compiles kernels with RADV, Mesa's Vulkan driver for AMD GPUs. With `RADV_FORCE_FAMILY` set, the driver offers a device without
//! hardware ("null device"): it compiles for that family and reports what came out, but cannot run anything.
//!
//! wgpu does not open this device, so a kernel goes the same way through naga here: WGSL, constants, SPIR-V, and then the driver.

use std::ffi::CStr;

use anyhow::{Context, Result, anyhow};
use ash::vk;
use naga::back::{PipelineConstants, pipeline_constants, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use tensor::Kernel;

/// What the driver made of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    /// The invocations that run in lockstep.
    pub(crate) wave: u32,
    /// Vector registers.
    pub(crate) registers: u64,
    /// Registers that did not fit and are kept in memory, vector and scalar ones.
    pub(crate) spilled: u64,
    /// Waves that one SIMD unit can hold at once.
    pub(crate) waves: u64,
    /// The program in AMD's assembly.
    pub(crate) assembly: String,
}

/// The driver's device.
pub(crate) struct Driver {
    // The library must outlive what was loaded from it.
    _entry: ash::Entry,
    instance: ash::Instance,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
}

impl Driver {
    /// Opens the null device that the environment asks for.
    pub(crate) fn open() -> Result<Driver> {
        // SAFETY: the loader is the system's Vulkan library, which runs its initialisation as for every program. All structures live
        // until the calls that use them have returned.
        unsafe {
            let entry = ash::Entry::load().context("Vulkan's loader is missing: install libvulkan1")?;
            let version = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
            let instance =
                entry.create_instance(&vk::InstanceCreateInfo::default().application_info(&version), None)?;
            let adapters = instance.enumerate_physical_devices()?;
            let adapter = *adapters.first().context("RADV offers no device: install Mesa's Vulkan drivers for AMD")?;
            let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
            let extensions = [vk::KHR_PIPELINE_EXECUTABLE_PROPERTIES_NAME.as_ptr()];
            let mut feature =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let wanted = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut feature);
            let device = instance.create_device(adapter, &wanted, None)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Driver { _entry: entry, instance, device, executables })
        }
    }

    /// Compiles a kernel with these constants, which binds this many buffers.
    pub(crate) fn compile(
        &self,
        kernel: &Kernel,
        constants: &[(&str, f64)],
        f16: u32,
        buffers: usize,
    ) -> Result<Compiled> {
        let words = spirv(kernel, constants, f16)?;
        let entry = std::ffi::CString::new(kernel.entry)?;
        let device = &self.device;
        let bindings: Vec<_> = (0..buffers as u32)
            .map(|i| {
                let binding = vk::DescriptorSetLayoutBinding::default().binding(i).descriptor_count(1);
                binding.descriptor_type(vk::DescriptorType::STORAGE_BUFFER).stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let params = [vk::DescriptorSetLayoutBinding::default()
            .descriptor_type(vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC)
            .descriptor_count(1)
            .stage_flags(vk::ShaderStageFlags::COMPUTE)];
        // SAFETY: naga wrote valid SPIR-V, the layout has a binding for each variable of the kernel, every handle comes from this
        // device, and it is destroyed once, after its last use.
        unsafe {
            let module = device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None)?;
            let set = |bindings: &[_]| {
                device.create_descriptor_set_layout(
                    &vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings),
                    None,
                )
            };
            let sets = [set(&bindings)?, set(&params)?];
            let layout =
                device.create_pipeline_layout(&vk::PipelineLayoutCreateInfo::default().set_layouts(&sets), None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default();
            let stage = stage.stage(vk::ShaderStageFlags::COMPUTE).module(module).name(&entry);
            let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let info = vk::ComputePipelineCreateInfo::default().layout(layout).flags(flags).stage(stage);
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None);
            let pipeline = made.map_err(|(_, error)| error)?[0];
            let compiled = self.inspect(pipeline);
            device.destroy_pipeline(pipeline, None);
            device.destroy_pipeline_layout(layout, None);
            sets.into_iter().for_each(|set| device.destroy_descriptor_set_layout(set, None));
            device.destroy_shader_module(module, None);
            compiled.with_context(|| format!("kernel {}", kernel.entry))
        }
    }

    /// What the driver reports about a pipeline.
    ///
    /// # Safety
    /// The pipeline was made by this device, with statistics and representations captured.
    unsafe fn inspect(&self, pipeline: vk::Pipeline) -> Result<Compiled> {
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: the caller's promise. The function is called first for the sizes, and then with buffers of these sizes.
        unsafe {
            let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
            let wave = self.executables.get_pipeline_executable_properties(&info)?[0].subgroup_size;
            let found = self.executables.get_pipeline_executable_statistics(&executable)?;
            let number = |name: &str| {
                let same =
                    |s: &&vk::PipelineExecutableStatisticKHR<'_>| CStr::from_ptr(s.name.as_ptr()).to_str() == Ok(name);
                found.iter().find(same).map(|s| s.value.u64).ok_or_else(|| anyhow!("the driver reports no {name:?}"))
            };

            let get = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let device = self.device.handle();
            let mut count = 0;
            get(device, &executable, &mut count, std::ptr::null_mut()).result()?;
            let mut texts = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            get(device, &executable, &mut count, texts.as_mut_ptr()).result()?;
            let mut buffers: Vec<Vec<u8>> = texts.iter().map(|text| vec![0; text.data_size]).collect();
            texts.iter_mut().zip(&mut buffers).for_each(|(text, buffer)| text.p_data = buffer.as_mut_ptr().cast());
            get(device, &executable, &mut count, texts.as_mut_ptr()).result()?;
            let is_assembly = |text: &vk::PipelineExecutableInternalRepresentationKHR<'_>| {
                CStr::from_ptr(text.name.as_ptr()).to_string_lossy().contains("ssembly")
            };
            let at = texts.iter().position(is_assembly).context("the driver reports no assembly")?;
            Ok(Compiled {
                wave,
                registers: number("VGPRs")?,
                spilled: number("Spilled VGPRs")? + number("Spilled SGPRs")?,
                waves: number("Subgroups per SIMD")?,
                assembly: String::from_utf8_lossy(&buffers[at]).into_owned(),
            })
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: nothing that was made from the device is left.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

/// The SPIR-V that wgpu would pass to a driver with robust buffer access.
fn spirv(kernel: &Kernel, constants: &[(&str, f64)], f16: u32) -> Result<Vec<u32>> {
    let source = kernel.source(f16);
    let module = naga::front::wgsl::parse_str(&source).map_err(|error| anyhow!(error.emit_to_string(&source)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16).validate(&module)?;
    let constants: PipelineConstants = constants.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let entry = (naga::ShaderStage::Compute, kernel.entry);
    let (module, info) = pipeline_constants::process_overrides(&module, &info, Some(entry), &constants)?;
    let index = if kernel.unchecked { BoundsCheckPolicy::Unchecked } else { BoundsCheckPolicy::Restrict };
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 3),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: !kernel.unchecked,
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: entry.0, entry_point: entry.1.into() };
    Ok(spv::write_vec(&module, &info, &options, Some(&entry))?)
}
