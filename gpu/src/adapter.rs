//! Chooses a GPU. Hardware is preferred to software, and the environment variable `VAE_GPU` restricts the choice by name.

use std::fmt;
use std::time::Duration;

use tensor::{Error, Result};
use wgpu::DeviceType;

/// Which adapters may be opened, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether a software adapter may be opened. Hardware is preferred in any case.
    pub software: bool,
    /// Act as a small hardware GPU, which has only what every WebGPU machine has: for tests.
    pub default_limits: bool,
    /// Time every launch, which makes launches slower.
    pub profile: bool,
    /// Check indices and loops in every kernel, even in those that are marked as unchecked: for tests.
    pub checked: bool,
    /// How long a submission may take before the device counts as hanging. By default two minutes, and without a limit for a
    /// software adapter.
    pub time_limit: Option<Duration>,
    /// How to cut matrix products, instead of by what the adapter reports.
    pub tuning: Option<Tuning>,
    /// Which of the hardware adapters to open, counted from 0, where several processes of one machine take one each.
    pub place: usize,
}

/// How matrix products and convolutions are cut into the work of invocations. What is fastest depends on the GPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// The number of sums that an invocation keeps in registers: 32, 64 or 128 ([`Limits::registers`](tensor::Limits::registers)).
    pub registers: u32,
    /// Workgroups that a launch should have, at least 1.
    pub target_workgroups: u32,
    /// Whether convolutions of 3 × 3 with stride 1 use Winograd's algorithm.
    pub winograd: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            software: true,
            default_limits: false,
            profile: false,
            checked: false,
            time_limit: None,
            tuning: None,
            place: 0,
        }
    }
}

/// A description of a GPU, or of a program that acts as one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Adapter {
    /// Its name, as its maker gives it.
    pub name: String,
    /// The graphics API that drives it: `Vulkan`, `Metal`, `Dx12` or `BrowserWebGpu`.
    pub backend: String,
    /// Whether it is a program on the CPU.
    pub software: bool,
    /// The driver and its version, as it gives them; may be empty.
    pub driver: String,
    /// The most bytes in a buffer.
    pub buffer_bytes: u64,
    /// The most buffers in a kernel.
    pub buffers: u32,
    /// The fewest invocations of a subgroup; 0 if it is not known.
    pub subgroup_min_size: u32,
    /// Whether it can store f16.
    pub f16: bool,
    /// Its address on the PCI bus; empty if that is not known. A GPU with several drivers is listed once for each.
    pub pci_bus: String,
    /// What it lacks to run the kernels, if anything.
    pub lacks: Option<String>,
}

impl Adapter {
    fn of(adapter: &wgpu::Adapter) -> Adapter {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let driver = [info.driver, info.driver_info].join(" ");
        Adapter {
            name: info.name,
            backend: format!("{:?}", info.backend),
            software: info.device_type == DeviceType::Cpu,
            driver: driver.trim().to_owned(),
            buffer_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            buffers: limits.max_storage_buffers_per_shader_stage,
            subgroup_min_size: info.subgroup_min_size,
            f16: adapter.features().contains(wgpu::Features::SHADER_F16),
            pci_bus: info.device_pci_bus_id,
            lacks: lacks(&limits),
        }
    }
}

/// What a kernel may need and these limits do not offer. WebGPU guarantees all of it; older drivers may offer less.
fn lacks(limits: &wgpu::Limits) -> Option<String> {
    let needed = [
        ("invocations in a workgroup", u64::from(limits.max_compute_invocations_per_workgroup), 256),
        ("bytes of workgroup memory", u64::from(limits.max_compute_workgroup_storage_size), 16_384),
        ("buffers in a kernel", u64::from(limits.max_storage_buffers_per_shader_stage), 8),
        ("groups of bindings", u64::from(limits.max_bind_groups), 2),
    ];
    let missing = needed.into_iter().find(|(_, has, needs)| has < needs);
    missing.map(|(what, has, needs)| format!("it offers {has} {what}, and {needs} are needed"))
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}{}", self.name, if self.software { "software, " } else { "" }, self.backend)
    }
}

/// Every adapter of this machine, in the order in which [`Context::open`](crate::Context::open) prefers them.
pub async fn adapters() -> Vec<Adapter> {
    enumerate().await.iter().map(Adapter::of).collect()
}

/// The adapter that the options and `VAE_GPU` allow: of hardware the one at `place`, else the first.
pub(crate) async fn choose(options: Options) -> Result<(wgpu::Adapter, Adapter)> {
    let part = std::env::var("VAE_GPU").unwrap_or_default();
    let found: Vec<_> = enumerate().await.into_iter().map(|a| (Adapter::of(&a), a)).collect();
    let names = found.iter().map(|(a, _)| a.to_string()).collect::<Vec<_>>().join("; ");
    let lacking =
        found.iter().filter(|(a, _)| !a.software).find_map(|(a, _)| Some(format!("{a}: {}", a.lacks.as_ref()?)));
    let mut serving: Vec<_> = found.into_iter().filter(|(a, _)| serves(a, options, &part)).collect();
    let hardware = distinct_hardware(&serving.iter().map(|(a, _)| a).collect::<Vec<_>>());
    let place = place_of(&hardware, serving.len(), options.place);
    match place {
        Some(place) => {
            let (adapter, raw) = serving.swap_remove(place);
            Ok((raw, adapter))
        }
        None if !serving.is_empty() => {
            let (count, wanted) = (hardware.len(), options.place + 1);
            let what = format!(
                "process {wanted} of this machine finds only {count} GPUs ({names}), one for each; start fewer processes or use --device cpu"
            );
            Err(Error::Device { device: "gpu".into(), what })
        }
        None => Err(Error::Device { device: "gpu".into(), what: nothing_serves(&names, &part, lacking.as_deref()) }),
    }
}

/// Where in a list of adapters the GPUs are, each once.
fn distinct_hardware(adapters: &[&Adapter]) -> Vec<usize> {
    let known = |i: usize| !adapters[i].pci_bus.is_empty();
    let is_again = |i: usize| known(i) && adapters[..i].iter().any(|other| other.pci_bus == adapters[i].pci_bus);
    (0..adapters.len()).filter(|&i| !adapters[i].software && !is_again(i)).collect()
}

/// Which of `count` adapters, of which these are hardware, the process with this place takes. Programs serve every process, but only if
/// there is no hardware.
fn place_of(hardware: &[usize], count: usize, place: usize) -> Option<usize> {
    match hardware.is_empty() {
        true => (count > 0).then_some(0),
        false => hardware.get(place).copied(),
    }
}

fn serves(adapter: &Adapter, options: Options, part: &str) -> bool {
    adapter.lacks.is_none()
        && (options.software || !adapter.software)
        && adapter.name.to_lowercase().contains(&part.to_lowercase())
}

/// `lacking` names hardware that lacks something, and what.
fn nothing_serves(names: &str, part: &str, lacking: Option<&str>) -> String {
    match (names, part, lacking) {
        (_, "", Some(lacking)) => format!("no GPU adapter can be used ({lacking}); use --device cpu"),
        ("", ..) => "no GPU adapter found; install a Vulkan driver (Debian: mesa-vulkan-drivers, a software one) \
                    or use --device cpu"
            .into(),
        (_, "", None) => {
            format!("no hardware GPU adapter found, only {names}; allow a software one or use --device cpu")
        }
        _ => format!("no GPU adapter that may serve has VAE_GPU={part} in its name; there are: {names}"),
    }
}

async fn enumerate() -> Vec<wgpu::Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let mut adapters = instance.enumerate_adapters(wgpu::Backends::all()).await;
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type)); // stable: backends keep wgpu's order
    adapters
}

fn rank(kind: DeviceType) -> usize {
    let order = [DeviceType::DiscreteGpu, DeviceType::IntegratedGpu, DeviceType::VirtualGpu, DeviceType::Other];
    order.iter().position(|k| *k == kind).unwrap_or(order.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, software: bool) -> Adapter {
        Adapter { name: name.into(), backend: "Vulkan".into(), software, ..Adapter::default() }
    }

    #[test]
    fn an_adapter_below_webgpu_s_limits_is_listed_and_not_chosen() {
        let least = wgpu::Limits::default();
        assert_eq!(lacks(&least), None);
        let few = wgpu::Limits { max_compute_workgroup_storage_size: 16_383, ..least };
        let lacks = lacks(&few);
        assert_eq!(lacks.as_deref(), Some("it offers 16383 bytes of workgroup memory, and 16384 are needed"));
        assert!(serves(&adapter("old", false), Options::default(), ""));
        assert!(!serves(&Adapter { lacks, ..adapter("old", false) }, Options::default(), ""));
    }

    #[test]
    fn a_part_of_a_name_and_the_options_choose_an_adapter() {
        let (hardware, software) = (adapter("Quick 9000", false), adapter("llvmpipe", true));
        let only_hardware = Options { software: false, ..Options::default() };
        for (adapter, options, part, expected) in [
            (&hardware, Options::default(), "", true),
            (&software, Options::default(), "", true),
            (&hardware, only_hardware, "", true),
            (&software, only_hardware, "", false),
            (&hardware, only_hardware, "qUICK", true),
            (&hardware, Options::default(), "pipe", false),
            (&software, only_hardware, "pipe", false),
        ] {
            assert_eq!(serves(adapter, options, part), expected, "{adapter}, {options:?}, {part}");
        }
        assert_eq!(hardware.to_string(), "Quick 9000, Vulkan");
        assert_eq!(software.to_string(), "llvmpipe, software, Vulkan");
    }

    #[test]
    fn each_process_takes_hardware_of_its_own_and_all_share_a_program() {
        assert_eq!([0, 1, 2].map(|place| place_of(&[0, 2], 3, place)), [Some(0), Some(2), None]);
        assert_eq!([0, 1].map(|place| place_of(&[], 2, place)), [Some(0), Some(0)]);
        assert_eq!(place_of(&[], 0, 0), None);
    }

    #[test]
    fn a_gpu_with_two_drivers_is_one_gpu() {
        let at = |pci_bus: &str, software| Adapter { pci_bus: pci_bus.into(), ..adapter("Quick 9000", software) };
        let all = [at("0:1", false), at("0:2", false), at("0:1", false), at("", true), at("", false), at("", false)];
        assert_eq!(distinct_hardware(&all.iter().collect::<Vec<_>>()), [0, 1, 4, 5]);
    }

    #[test]
    fn a_message_says_what_is_missing() {
        assert!(nothing_serves("", "", None).starts_with("no GPU adapter found; install"));
        assert!(nothing_serves("", "quick", None).starts_with("no GPU adapter found; install"));
        let only = "no hardware GPU adapter found, only llvmpipe; allow a software one or use --device cpu";
        assert_eq!(nothing_serves("llvmpipe", "", None), only);
        let none = "no GPU adapter that may serve has VAE_GPU=quick in its name; there are: llvmpipe";
        assert_eq!(nothing_serves("llvmpipe", "quick", None), none);
        let lacking = nothing_serves("old, Vulkan", "", Some("old, Vulkan: it offers 4 buffers"));
        assert_eq!(lacking, "no GPU adapter can be used (old, Vulkan: it offers 4 buffers); use --device cpu");
    }

    #[test]
    fn hardware_comes_before_software() {
        let order = [
            DeviceType::DiscreteGpu,
            DeviceType::IntegratedGpu,
            DeviceType::VirtualGpu,
            DeviceType::Other,
            DeviceType::Cpu,
        ];
        assert!(order.map(rank).is_sorted_by(|a, b| a < b), "{:?}", order.map(rank));
    }
}
