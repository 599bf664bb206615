//! The inverse of a symmetric positive definite matrix, by halves: almost all of the work is matrix products, which
//! Candle does at full speed.

use candle_core::{DType, Device, Tensor};

use super::FitError;

/// At this size and below, elimination is quicker than products.
const LEAF: usize = 48;

/// The inverse of `matrix`, f64 `[n, n]`, symmetric positive definite. `None` where rounding has left it indefinite.
///
/// With `A` the upper left half, `B` the upper right, `D` the lower right and `S = D - Bᵀ·A⁻¹·B`, the inverse is
/// `[A⁻¹ + E·S⁻¹·Eᵀ, -E·S⁻¹; ·, S⁻¹]`, `E = A⁻¹·B`.
///
/// # Errors
/// Those of the tensor operations.
pub fn inverse(matrix: &Tensor) -> Result<Option<Tensor>, FitError> {
    let n = matrix.dim(0)?;
    if n <= LEAF {
        return leaf(matrix, n);
    }
    let half = n / 2;
    let quarter = |row: usize, column: usize, rows: usize, columns: usize| {
        matrix.narrow(0, row, rows)?.narrow(1, column, columns)?.contiguous()
    };
    let b = quarter(0, half, half, n - half)?;
    let Some(a_inverse) = inverse(&quarter(0, 0, half, half)?)? else { return Ok(None) };
    let e = a_inverse.matmul(&b)?;
    let s = (quarter(half, half, n - half, n - half)? - b.t()?.matmul(&e)?)?;
    let Some(s_inverse) = inverse(&s)? else { return Ok(None) };
    let es = e.matmul(&s_inverse)?;
    let upper_left = (a_inverse + es.matmul(&e.t()?)?)?;
    let off = es.neg()?;
    let upper = Tensor::cat(&[&upper_left, &off], 1)?;
    let lower = Tensor::cat(&[&off.t()?.contiguous()?, &s_inverse], 1)?;
    Ok(Some(Tensor::cat(&[&upper, &lower], 0)?))
}

/// Gauss-Jordan without pivoting, which is stable for a positive definite matrix.
fn leaf(matrix: &Tensor, n: usize) -> Result<Option<Tensor>, FitError> {
    let mut a = matrix.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    for k in 0..n {
        let pivot = a[k][k];
        // Also false for NaN.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Ok(None);
        }
        a[k][k] = 1.0;
        a[k].iter_mut().for_each(|x| *x /= pivot);
        let pivot_row = a[k].clone();
        for (_, row) in a.iter_mut().enumerate().filter(|(i, _)| *i != k) {
            let factor = std::mem::replace(&mut row[k], 0.0);
            row.iter_mut().zip(&pivot_row).for_each(|(x, p)| *x -= factor * p);
        }
    }
    Ok(Some(Tensor::from_vec(a.into_iter().flatten().collect::<Vec<f64>>(), (n, n), &Device::Cpu)?))
}

#[cfg(test)]
mod tests {
    use super::super::naive::Random;
    use super::*;

    #[test]
    fn the_product_with_the_inverse_is_the_identity() {
        for n in [1, 2, LEAF, LEAF + 1, 3 * LEAF + 5, 300] {
            let mut random = Random(n as u64);
            let half: Vec<f64> = (0..n * n).map(|_| random.unit()).collect();
            let half = Tensor::from_vec(half, (n, n), &Device::Cpu).unwrap();
            let eye = Tensor::eye(n, DType::F64, &Device::Cpu).unwrap();
            let matrix = (half.t().unwrap().matmul(&half).unwrap() + (&eye * 0.1).unwrap()).unwrap();
            let product = inverse(&matrix).unwrap().unwrap().matmul(&matrix).unwrap();
            let error = (product - eye).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
            assert!(error < 1e-9, "{n}: {error}");
        }
    }

    #[test]
    fn an_indefinite_matrix_has_none() {
        let matrix = Tensor::new(&[[1.0, 2.0], [2.0, 1.0]], &Device::Cpu).unwrap();
        assert!(inverse(&matrix).unwrap().is_none());
        let matrix = Tensor::new(&[[f64::NAN]], &Device::Cpu).unwrap();
        assert!(inverse(&matrix).unwrap().is_none());
    }
}
