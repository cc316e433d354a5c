/// A scalar that the package computes with: `Float` or `Double`.
///
/// Networks run in `Float`; gradients are checked by finite differences in `Double` through the same code. The BLAS,
/// LAPACK and C kernels exist for these two types, so conforming another type is a programming error.
public protocol RealScalar: BinaryFloatingPoint, BitwiseCopyable, Sendable, CustomStringConvertible {
  /// The type's name as checkpoints and NumPy spell it: `float32` or `float64`.
  static var name: String { get }
}

extension Float: RealScalar {
  public static var name: String { "float32" }
}

extension Double: RealScalar {
  public static var name: String { "float64" }
}

/// Runs the single- or the double-precision version of a C routine for `Scalar`.
///
/// The check is one comparison of metatypes, so it is cheap where generic code stays unspecialized.
@inline(__always)
package func forPrecision<Scalar: RealScalar, Result>(
  of _: Scalar.Type, float: () throws -> Result, double: () throws -> Result
) rethrows -> Result {
  if Scalar.self == Float.self { return try float() }
  precondition(Scalar.self == Double.self, "RealScalar is Float or Double, not \(Scalar.self)")
  return try double()
}

/// Whether the package's own kernels are faster than BLAS: in single precision, and not in a debug build, where the
/// compiler leaves their loops as slow as they are written.
package func prefersKernels<Scalar: RealScalar>(_: Scalar.Type) -> Bool {
  #if DEBUG
    return false
  #else
    return Scalar.self == Float.self
  #endif
}

extension UnsafePointer where Pointee: RealScalar {
  /// The same memory as single-precision numbers; only where `Pointee` is `Float`.
  @inline(__always) package var float: UnsafePointer<Float> {
    UnsafeRawPointer(self).assumingMemoryBound(to: Float.self)
  }
  /// The same memory as double-precision numbers; only where `Pointee` is `Double`.
  @inline(__always) package var double: UnsafePointer<Double> {
    UnsafeRawPointer(self).assumingMemoryBound(to: Double.self)
  }
}

extension UnsafeMutablePointer where Pointee: RealScalar {
  /// The same memory as single-precision numbers; only where `Pointee` is `Float`.
  @inline(__always) package var float: UnsafeMutablePointer<Float> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: Float.self)
  }
  /// The same memory as double-precision numbers; only where `Pointee` is `Double`.
  @inline(__always) package var double: UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(self).assumingMemoryBound(to: Double.self)
  }
}
