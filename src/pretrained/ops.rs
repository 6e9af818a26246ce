//! Plain formulations.
use burn::tensor::module::conv1d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};

pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    burn::tensor::activation::gelu(x)
}

pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<D> {
    let mean = x.clone().mean_dim(D - 1);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(D - 1);
    centred / (variance + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()
}

pub fn conv1d_channels_last(x: Tensor<3>, weight: Tensor<3>, bias: Option<Tensor<1>>, stride: usize) -> Tensor<3> {
    let options = ConvOptions::new([stride], [0], [1], 1);
    conv1d(x.swap_dims(1, 2), weight, bias, options).swap_dims(1, 2)
}

pub fn grouped_same_conv(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<1>, groups: usize) -> Tensor<3> {
    let kernel = weight.dims()[2];
    let time = x.dims()[1];
    let options = ConvOptions::new([1], [kernel / 2], [1], groups);
    conv1d(x.swap_dims(1, 2), weight, Some(bias), options).narrow(2, 0, time).swap_dims(1, 2)
}

pub fn group_norm_over_time(
    x: Tensor<3>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
    lengths: &[usize],
) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let mut mask = vec![0f32; batch * time];
    for (row, &length) in mask.chunks_exact_mut(time).zip(lengths) {
        row[..length.min(time)].fill(1.0);
    }
    let mask = Tensor::<3>::from_data(TensorData::new(mask, [batch, time, 1]), &x.device());
    let count = mask.clone().sum_dim(1);
    let mean = (x.clone() * mask.clone()).sum_dim(1) / count.clone();
    let centred = (x - mean) * mask.clone();
    let variance = centred.clone().square().sum_dim(1) / count;
    (centred / (variance + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()) * mask
}
