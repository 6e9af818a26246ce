//! The device itself: what it is called, its driver and headers, and whether a product is right.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use emorun_engine::device::{Chosen, DeviceRequest, count};
use emorun_nodes::samples::noise;

use super::{Part, Row, Verdict, is_cuda};

/// Writes what the device is.
pub fn describe(chosen: &Chosen, request: DeviceRequest, add: &mut dyn FnMut(Row)) {
    let row = |what: &str, found: String| Row::new(Part::Device, what, Verdict::Measured, found);
    let adapter = chosen.adapter.as_deref().unwrap_or("the processor");
    let software = if chosen.is_software { ", in software" } else { "" };
    add(row("name", format!("{}: {adapter}{software}", chosen.name.name)));
    add(row("devices of this kind", count(request).to_string()).with("count", count(request)));
    if is_cuda(chosen) {
        add(driver());
        add(headers());
    }
    let started = Instant::now();
    let found = product(&chosen.device);
    let seconds = started.elapsed().as_secs_f64();
    let expected = product(&Device::flex());
    let worst = found
        .iter()
        .zip(&expected)
        .map(|(found, expected)| (found - expected).abs())
        .fold(0f32, f32::max);
    let holds = found.len() == expected.len() && worst <= 0.05 && found.iter().all(|x| x.is_finite());
    let found = format!("largest difference {worst:.1e}; first operation after {seconds:.2} s");
    add(Row::proof(Part::Device, "a product of 64 × 64", holds, found)
        .with("difference", worst)
        .with("first_operation_s", seconds));
}

fn product(device: &Device) -> Vec<f32> {
    let matrix = |seed| Tensor::<2>::from_data(TensorData::new(noise(seed, 64 * 64), [64, 64]), device);
    matrix(1).matmul(matrix(2)).into_data().iter::<f32>().collect()
}

fn driver() -> Row {
    let asked = Command::new("nvidia-smi")
        .args(["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
        .output();
    match asked {
        Ok(answer) if answer.status.success() => {
            let text = String::from_utf8_lossy(&answer.stdout).trim().replace('\n', "; ");
            Row::new(Part::Device, "driver", Verdict::Measured, text)
        }
        _ => Row::new(Part::Device, "driver", Verdict::LeftOut, "nvidia-smi is not there"),
    }
}

/// The folders that cubecl lets NVRTC look in.
fn headers() -> Row {
    let asked = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    let folders = asked
        .into_iter()
        .chain(["/usr/local/cuda", "/opt/cuda", "/usr"].map(PathBuf::from));
    let found = folders
        .map(|folder| folder.join("include"))
        .find(|folder: &PathBuf| folder.join("cuda_runtime.h").is_file() && folder.join("cuda_fp16.h").is_file());
    let text = found.as_deref().map_or_else(
        || "cuda_runtime.h and cuda_fp16.h lie in no include folder; set CUDA_PATH to the folder above it".into(),
        |folder: &Path| folder.display().to_string(),
    );
    Row::proof(Part::Device, "CUDA headers", found.is_some(), text)
}
