//! Choosing the device: explicitly, with a reason, and without touching what is not there.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::exit::Failure;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceRequest {
    /// CUDA where it works, else a GPU through wgpu, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
    /// A device of wgpu (Vulkan, DirectX 12, Metal) by number: GPUs first, discrete ones before others, a software one
    /// last.
    Wgpu(usize),
}

/// How a device is named on the command line.
pub const NAMES: &str = "auto, cpu, cuda, cuda:N, wgpu or wgpu:N";

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbered = |prefix: &str| {
            let number = text.strip_prefix(prefix)?;
            match number.strip_prefix(':') {
                None => number.is_empty().then_some(0),
                Some(number) => number.parse().ok(),
            }
        };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => numbered("cuda")
                .map(Self::Cuda)
                .or_else(|| numbered("wgpu").map(Self::Wgpu))
                .ok_or_else(|| format!("unknown device `{text}`; use {NAMES}")),
        }
    }
}

/// What runs a device's operations; results differ in their last bits from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Cpu,
    Cuda,
    Wgpu,
}

/// A chosen device and why.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The device, without autodiff.
    pub device: Device,
    runtime: Runtime,
    /// Name and reason, such as `cpu (built without CUDA)`.
    pub name: DeviceName,
    /// What the device's driver calls it, such as `NVIDIA H100 PCIe`; `None` for the CPU.
    pub adapter: Option<String>,
    /// Whether a GPU's interface is only played by the CPU.
    pub is_software: bool,
}

impl Chosen {
    /// The devices, with autodiff, that a training over `count` takes beside this one. The CPU stands for all of them
    /// itself.
    ///
    /// # Errors
    /// It is a GPU and there are to be several: constants of frozen encoders would stay on the first, and all would
    /// draw from one generator.
    pub fn beside(&self, count: usize) -> Result<Vec<Device>, Failure> {
        if self.runtime == Runtime::Cpu {
            return Ok(vec![self.device.clone().autodiff(); count.saturating_sub(1)]);
        }
        if count > 1 {
            return Err(Failure::Usage(format!(
                "training.devices is {count}: training on several GPUs is not proven yet (frozen encoders and the random generator of {} would be shared), and is refused rather than wrong; leave it out, or use --device cpu",
                self.name.name
            )));
        }
        Ok(Vec::new())
    }

    /// The kind of device, by which results differ in their last bits: `cpu`, `cuda` or `wgpu`.
    pub fn kind(&self) -> &'static str {
        match self.runtime {
            Runtime::Cpu => "cpu",
            Runtime::Cuda => "cuda",
            Runtime::Wgpu => "wgpu",
        }
    }
}

/// Name of a device and the reason for choosing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName {
    /// `cpu`, `cuda:N` or `wgpu:N`.
    pub name: String,
    /// Why, behind what a GPU calls itself.
    pub reason: String,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reason)
    }
}

/// A device of a machine.
struct Found {
    device: Device,
    adapter: String,
    is_software: bool,
}

/// Chooses the device.
///
/// # Errors
/// The device that was asked for by name is not there.
pub fn choose(request: DeviceRequest) -> Result<Chosen, Failure> {
    match request {
        DeviceRequest::Cpu => Ok(cpu("asked for".into())),
        DeviceRequest::Auto => Ok(first_gpu()),
        DeviceRequest::Cuda(number) => numbered(Runtime::Cuda, number),
        DeviceRequest::Wgpu(number) => numbered(Runtime::Wgpu, number),
    }
}

/// How many devices there are of the kind that a request is for; one CPU.
pub fn count(request: DeviceRequest) -> usize {
    let found = match request {
        DeviceRequest::Cpu => return 1,
        DeviceRequest::Auto => match first_gpu().runtime {
            Runtime::Cpu => return 1,
            runtime => devices(runtime),
        },
        DeviceRequest::Cuda(_) => devices(Runtime::Cuda),
        DeviceRequest::Wgpu(_) => devices(Runtime::Wgpu),
    };
    found.map_or(0, |found| found.len())
}

/// CUDA, else a GPU through wgpu, which is no software one, else the CPU.
fn first_gpu() -> Chosen {
    let mut reasons = Vec::new();
    for runtime in [Runtime::Cuda, Runtime::Wgpu] {
        match devices(runtime) {
            Ok(found) => match found.into_iter().next() {
                Some(found) if !found.is_software => return gpu(runtime, found, 0, "found by auto"),
                Some(found) => reasons.push(format!("{} is no GPU", found.adapter)),
                None => reasons.push(none_found(runtime).into()),
            },
            Err(Unusable::NotBuilt) if runtime == Runtime::Wgpu => {}
            Err(reason) => reasons.push(reason.to_string()),
        }
    }
    cpu(reasons.join("; "))
}

fn numbered(runtime: Runtime, number: usize) -> Result<Chosen, Failure> {
    let name = name_of(runtime);
    let found = devices(runtime).map_err(|reason| {
        let reason = match reason {
            Unusable::NotBuilt => format!("built without {} (cargo build --features {name})", title(runtime)),
            reason => reason.to_string(),
        };
        Failure::Usage(format!(
            "--device {name}:{number} cannot be used: {reason}; use --device cpu"
        ))
    })?;
    let count = found.len();
    let found = found.into_iter().nth(number).ok_or_else(|| {
        let what = title(runtime);
        Failure::Usage(format!(
            "--device {name}:{number} does not exist: {count} {what} device(s) found; use --device cpu"
        ))
    })?;
    Ok(gpu(runtime, found, number, "asked for"))
}

fn name_of(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Cpu => "cpu",
        Runtime::Cuda => "cuda",
        Runtime::Wgpu => "wgpu",
    }
}

fn title(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Cpu => "CPU",
        Runtime::Cuda => "CUDA",
        Runtime::Wgpu => "wgpu",
    }
}

fn none_found(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Cpu | Runtime::Cuda => "no CUDA device found",
        Runtime::Wgpu => "no GPU found through Vulkan, DirectX 12 or Metal",
    }
}

fn gpu(runtime: Runtime, found: Found, number: usize, reason: &str) -> Chosen {
    let software = if found.is_software { ", in software" } else { "" };
    Chosen {
        device: found.device,
        runtime,
        name: DeviceName {
            name: format!("{}:{number}", name_of(runtime)),
            reason: format!("{}{software}; {reason}", found.adapter),
        },
        adapter: Some(found.adapter),
        is_software: found.is_software,
    }
}

fn cpu(reason: String) -> Chosen {
    Chosen {
        device: Device::flex(),
        runtime: Runtime::Cpu,
        name: DeviceName {
            name: "cpu".into(),
            reason,
        },
        adapter: None,
        is_software: false,
    }
}

/// Why a runtime has no devices to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    /// Its feature is off.
    #[error("built without CUDA")]
    NotBuilt,
    /// Opening its devices failed.
    #[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), expect(dead_code))]
    #[error("{0}")]
    NoDriver(&'static str),
}

/// The devices of this machine, GPUs first, or why there are none to use.
fn devices(runtime: Runtime) -> Result<Vec<Found>, Unusable> {
    match runtime {
        #[cfg(feature = "cuda")]
        Runtime::Cuda => enumerate(burn::tensor::DeviceType::Cuda, "no CUDA driver could be loaded"),
        #[cfg(feature = "wgpu")]
        Runtime::Wgpu => enumerate(
            burn::tensor::DeviceType::Wgpu,
            "no driver of Vulkan, DirectX 12 or Metal could be used",
        ),
        _ => Err(Unusable::NotBuilt),
    }
}

/// Burn's GPU runtimes panic at first use without a driver, so enumeration runs apart.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn enumerate(of: burn::tensor::DeviceType, without: &'static str) -> Result<Vec<Found>, Unusable> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::panic::catch_unwind(|| {
        let opened = Device::enumerate(of).into_vec().into_iter().map(|device| {
            let identity = device.identity();
            Found {
                is_software: identity.as_ref().is_some_and(|identity| identity.physical.is_none()),
                adapter: identity.map_or_else(|| "unnamed".into(), |identity| identity.name),
                device,
            }
        });
        let mut opened: Vec<Found> = opened.collect();
        opened.sort_by_key(|found| (found.is_software, !is_discrete(&found.device)));
        opened
    });
    std::panic::set_hook(hook);
    found.map_err(|_| Unusable::NoDriver(without))
}

/// Whether a device of wgpu is a card of its own; true for those of other runtimes.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn is_discrete(device: &Device) -> bool {
    #[cfg(feature = "wgpu")]
    {
        use burn::tensor::DeviceKind;
        let is = |kind: fn(usize) -> DeviceKind| (0..16).any(|number| *device == Device::wgpu(kind(number)));
        !is(DeviceKind::IntegratedGpu) && !is(DeviceKind::VirtualGpu)
    }
    #[cfg(not(feature = "wgpu"))]
    {
        let _ = device;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_from_their_names() {
        for (text, request) in [
            ("auto", DeviceRequest::Auto),
            ("cpu", DeviceRequest::Cpu),
            ("cuda", DeviceRequest::Cuda(0)),
            ("cuda:3", DeviceRequest::Cuda(3)),
            ("wgpu", DeviceRequest::Wgpu(0)),
            ("wgpu:2", DeviceRequest::Wgpu(2)),
        ] {
            assert_eq!(text.parse(), Ok(request));
        }
        for text in ["gpu", "cuda:", "cuda:x", "cuda3", "wgpu:", "wgpux", ""] {
            assert!(
                text.parse::<DeviceRequest>()
                    .unwrap_err()
                    .contains("use auto, cpu, cuda")
            );
        }
    }
}
