//! Choosing the device: explicitly, with a reason, and without touching what is not there.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::exit::Failure;

/// What `--device` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceRequest {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("unknown device `{text}`; use auto, cpu, cuda or cuda:N")),
        }
    }
}

/// A chosen device and why.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The device, without autodiff.
    pub device: Device,
    /// Its number among the GPUs; `None` for the CPU.
    gpu: Option<usize>,
    /// Name and reason, such as `cpu (built without CUDA)`.
    pub name: DeviceName,
}

impl Chosen {
    /// The devices, with autodiff, that a training over `count` takes beside this one. The CPU stands for all of them
    /// itself.
    ///
    /// # Errors
    /// It is a GPU and there are to be several: constants of frozen encoders would stay on the first, and all would
    /// draw from one generator.
    pub fn beside(&self, count: usize) -> Result<Vec<Device>, Failure> {
        if self.gpu.is_none() {
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

    /// The kind of device, by which results differ in their last bits: `cpu` or `cuda`.
    pub fn kind(&self) -> &'static str {
        self.gpu.map_or("cpu", |_| "cuda")
    }
}

/// Name of a device and the reason for choosing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceName {
    /// `cpu` or `cuda:N`.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.reason)
    }
}

/// Chooses the device.
///
/// # Errors
/// The device that was asked for by name is not there.
pub fn choose(request: DeviceRequest) -> Result<Chosen, Failure> {
    match request {
        DeviceRequest::Cpu => Ok(cpu("asked for".into())),
        DeviceRequest::Auto => match cuda() {
            Ok(devices) => match devices.into_iter().next() {
                Some(device) => Ok(gpu(device, 0, "found by auto")),
                None => Ok(cpu("no CUDA device found".into())),
            },
            Err(reason) => Ok(cpu(reason)),
        },
        DeviceRequest::Cuda(number) => {
            let devices = cuda().map_err(|reason| {
                Failure::Usage(format!(
                    "--device cuda:{number} cannot be used: {reason}; use --device cpu"
                ))
            })?;
            let count = devices.len();
            devices.into_iter().nth(number).map_or_else(
                || {
                    Err(Failure::Usage(format!(
                        "--device cuda:{number} does not exist: {count} CUDA device(s) found; use --device cpu"
                    )))
                },
                |device| Ok(gpu(device, number, "asked for")),
            )
        }
    }
}

fn gpu(device: Device, number: usize, reason: &str) -> Chosen {
    Chosen {
        device,
        gpu: Some(number),
        name: DeviceName {
            name: format!("cuda:{number}"),
            reason: reason.into(),
        },
    }
}

fn cpu(reason: String) -> Chosen {
    Chosen {
        device: Device::flex(),
        gpu: None,
        name: DeviceName {
            name: "cpu".into(),
            reason,
        },
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Vec<Device>, String> {
    Err("built without CUDA".into())
}

/// The CUDA devices of this machine, or why there are none to use.
///
/// Burn's CUDA runtime panics at first use without a driver, so enumeration runs apart.
#[cfg(feature = "cuda")]
fn cuda() -> Result<Vec<Device>, String> {
    use burn::tensor::DeviceType;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::panic::catch_unwind(|| Device::enumerate(DeviceType::Cuda).into_vec());
    std::panic::set_hook(hook);
    match found {
        Ok(devices) if devices.is_empty() => Err("no CUDA device found".into()),
        Ok(devices) => Ok(devices),
        Err(_) => Err("no CUDA driver could be loaded".into()),
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
        ] {
            assert_eq!(text.parse(), Ok(request));
        }
        for text in ["gpu", "cuda:", "cuda:x", ""] {
            assert!(
                text.parse::<DeviceRequest>()
                    .unwrap_err()
                    .contains("use auto, cpu, cuda")
            );
        }
    }
}
