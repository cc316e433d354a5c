/// A scalar that the package computes with: `Float` or `Double`.
///
/// Networks run in `Float`; gradients are checked by finite differences in `Double` through the same code.
public protocol RealScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable, CustomStringConvertible {
  /// The type's name as checkpoints and NumPy spell it: `float32` or `float64`.
  static var name: String { get }
  /// What C kernels, BLAS and LAPACK offer for this precision.
  static var routines: ScalarRoutines<Self> { get }
}

extension Float: RealScalar {
  public static var name: String { "float32" }
  public static let routines = ScalarRoutines(
    kernels: ScalarKernels<Float>.single, packed: .single, blas: .single, lapack: .single)
}

extension Double: RealScalar {
  public static var name: String { "float64" }
  public static let routines = ScalarRoutines(
    kernels: ScalarKernels<Double>.double, packed: nil, blas: .double, lapack: .double)
}

/// The routines of one precision. Generic code calls them as `Scalar.routines.kernels.add(…)`; which there are is the
/// package's own business.
public final class ScalarRoutines<Scalar>: Sendable {
  package let kernels: ScalarKernels<Scalar>
  /// `nil` in a precision that has none, where BLAS does their work.
  package let packed: PackedKernels<Scalar>?
  let blas: BLASRoutines<Scalar>
  let lapack: LAPACKRoutines<Scalar>

  init(
    kernels: ScalarKernels<Scalar>, packed: PackedKernels<Scalar>?, blas: BLASRoutines<Scalar>,
    lapack: LAPACKRoutines<Scalar>
  ) {
    (self.kernels, self.packed, self.blas, self.lapack) = (kernels, packed, blas, lapack)
  }
}

extension RealScalar {
  /// The packed kernels where they are faster than BLAS: not in a debug build, where the compiler leaves their loops as
  /// slow as they are written.
  package static var preferredPackedKernels: PackedKernels<Self>? {
    #if DEBUG
      return nil
    #else
      return routines.packed
    #endif
  }
}
