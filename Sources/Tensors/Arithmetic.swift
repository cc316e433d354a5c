import Kernels

extension Tensor {
  /// Multiplies every scalar by `factor`.
  public mutating func scale(by factor: Scalar) {
    withUnsafeMutableScalars { scalars in
      guard let y = scalars.baseAddress else { return }
      forEachChunk(of: scalars.count) { range in
        let start = y + range.lowerBound
        Scalar.routines.kernels.scale(start, factor, start, range.count)
      }
    }
  }

  /// Σ x², in double precision, always in the same order.
  public var squaredNorm: Double {
    withUnsafeScalars { scalars in
      guard let x = scalars.baseAddress else { return 0 }
      return Scalar.routines.kernels.dot(x, x, scalars.count)
    }
  }

  /// Whether no scalar is NaN or infinite.
  public var isFinite: Bool {
    withUnsafeScalars { scalars in
      guard let x = scalars.baseAddress else { return true }
      return Scalar.routines.kernels.allFinite(x, scalars.count) != 0
    }
  }
}
