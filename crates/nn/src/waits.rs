//! Where the host waits for a device: all reading of tensors in training, and all seeding of a device's generator.
//!
//! A GPU works off a queue behind the host's back. Whoever reads a number waits until all that was asked for before is
//! done, and with fusion so does whoever seeds the generator, so that the device stands still while the host goes on.
//! Both are counted here, and done nowhere else (`tests/it/architecture.rs`).

use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{Device, Tensor, TensorData};

static READS: AtomicU64 = AtomicU64::new(0);
static SEEDS: AtomicU64 = AtomicU64::new(0);

/// How often the process has waited for devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Tensors, or tensors together, that were read.
    pub reads: u64,
    /// Seeds of a device's generator.
    pub seeds: u64,
}

impl Waits {
    /// Those of the process so far.
    pub fn so_far() -> Self {
        Self {
            reads: READS.load(Ordering::Relaxed),
            seeds: SEEDS.load(Ordering::Relaxed),
        }
    }

    /// Those since an earlier count.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            seeds: self.seeds - earlier.seeds,
        }
    }
}

/// A tensor as it lies on the host.
pub fn data<const D: usize>(tensor: Tensor<D>) -> TensorData {
    READS.fetch_add(1, Ordering::Relaxed);
    tensor.into_data()
}

/// A tensor's numbers in row-major order.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    data(tensor).iter::<f32>().collect()
}

/// The first number of a tensor; not a number where it has none.
pub fn number(tensor: Tensor<1>) -> f32 {
    data(tensor).iter::<f32>().next().unwrap_or(f32::NAN)
}

/// Several tensors of one device in single precision, read at once; the numbers of each.
pub fn together(tensors: Vec<Tensor<1>>) -> Vec<Vec<f32>> {
    let counts: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
    if tensors.is_empty() {
        return Vec::new();
    }
    let all = numbers(Tensor::cat(tensors, 0));
    let mut rest = all.as_slice();
    let parts = counts.into_iter().map(|count| {
        let (own, others) = rest.split_at(count);
        rest = others;
        own.to_vec()
    });
    parts.collect()
}

/// Seeds a device's own generator.
pub fn seed(device: &Device, seed: u64) {
    SEEDS.fetch_add(1, Ordering::Relaxed);
    device.seed(seed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_are_read_together_keep_their_numbers() {
        let device = Device::flex();
        let tensors = vec![
            Tensor::<1>::from_data([1.0, 2.0], &device),
            Tensor::<1>::from_data([3.0], &device),
            Tensor::<1>::from_data([4.0, f32::INFINITY, -1.0], &device),
        ];
        let before = Waits::so_far();
        let read = together(tensors);
        assert_eq!(read, [vec![1.0, 2.0], vec![3.0], vec![4.0, f32::INFINITY, -1.0]]);
        assert!(Waits::so_far().since(before).reads >= 1);
        assert!(together(Vec::new()).is_empty());
    }
}
