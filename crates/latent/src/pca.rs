//! Principal components.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::Vectors;

/// The first two principal components of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// Places of items on them, `[items, 2]`.
    places: Vec<[f64; 2]>,
    /// Their share of the variance.
    pub variance_share: [f64; 2],
}

impl Principal {
    /// Places of items, `[items, 2]`.
    pub fn plane(&self) -> Vec<[f64; 2]> {
        self.places.clone()
    }
}

/// The first two principal components, exactly: of the covariance of dimensions, or of the products of items where these
/// are fewer, which has the same eigenvalues. A component points to where its largest weight is positive, as in
/// scikit-learn since 1.5; one without variance is 0.
///
/// # Source
/// Pearson, On Lines and Planes of Closest Fit, 1901.
pub fn principal(vectors: &Vectors) -> Principal {
    let mut centred = vectors.matrix().clone();
    for mut column in centred.column_iter_mut() {
        let mean = column.mean();
        column.add_scalar_mut(-mean);
    }
    let wide = vectors.width() > vectors.items();
    let products: DMatrix<f64> = match wide {
        true => &centred * centred.transpose(),
        false => centred.transpose() * &centred,
    };
    let total = products.trace();
    let eigen = SymmetricEigen::new(products);
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let mut places = vec![[0.0; 2]; vectors.items()];
    let mut variance_share = [0.0; 2];
    for (component, index) in order.into_iter().take(2).enumerate() {
        let value = eigen.eigenvalues[index].max(0.0);
        // Below the rounding of the sums that it comes from.
        if value <= total * 1e-14 {
            continue;
        }
        let vector = eigen.eigenvectors.column(index);
        let direction: DVector<f64> = match wide {
            true => centred.tr_mul(&vector) / value.sqrt(),
            false => vector.into_owned(),
        };
        let sign = direction[direction.iamax()].signum();
        for (place, projected) in places.iter_mut().zip((&centred * direction).iter()) {
            place[component] = sign * projected;
        }
        variance_share[component] = value / total;
    }
    Principal { places, variance_share }
}
