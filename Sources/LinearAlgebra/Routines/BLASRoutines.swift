import COpenBLAS

/// `cblas.h` for one precision.
struct BLASRoutines<Scalar>: @unchecked Sendable {
  typealias In = UnsafePointer<Scalar>
  typealias Out = UnsafeMutablePointer<Scalar>

  let gemm:
    (
      CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, Int32, Int32, Int32, Scalar, In, Int32, In, Int32, Scalar, Out,
      Int32
    ) -> Void
  let syrk: (CBLAS_LAYOUT, CBLAS_UPLO, CBLAS_TRANSPOSE, Int32, Int32, Scalar, In, Int32, Scalar, Out, Int32) -> Void
  let gemv: (CBLAS_LAYOUT, CBLAS_TRANSPOSE, Int32, Int32, Scalar, In, Int32, In, Int32, Scalar, Out, Int32) -> Void
}

extension BLASRoutines<Float> {
  static let single = Self(gemm: cblas_sgemm, syrk: cblas_ssyrk, gemv: cblas_sgemv)
}

extension BLASRoutines<Double> {
  static let double = Self(gemm: cblas_dgemm, syrk: cblas_dsyrk, gemv: cblas_dgemv)
}

/// `lapacke.h` for one precision: routines that are given their workspace and return LAPACK's `info`.
struct LAPACKRoutines<Scalar>: @unchecked Sendable {
  typealias In = UnsafePointer<Scalar>
  typealias Out = UnsafeMutablePointer<Scalar>
  typealias Integers = UnsafeMutablePointer<Int32>

  /// What the names of this precision's routines begin with.
  let prefix: String
  let potrf: (Int32, CChar, Int32, Out?, Int32) -> Int32
  let potri: (Int32, CChar, Int32, Out?, Int32) -> Int32
  let potrs: (Int32, CChar, Int32, Int32, In, Int32, Out, Int32) -> Int32
  let syevd: (Int32, CChar, CChar, Int32, Out?, Int32, Out?, Out, Int32, Integers, Int32) -> Int32
  let syevr:
    (
      Int32, CChar, CChar, CChar, Int32, Out?, Int32, Scalar, Scalar, Int32, Int32, Scalar, Integers, Out?, Out?, Int32,
      Integers?, Out, Int32, Integers, Int32
    ) -> Int32
  let gesdd: (Int32, CChar, Int32, Int32, Out?, Int32, Out?, Out?, Int32, Out?, Int32, Out, Int32, Integers?) -> Int32
}

extension LAPACKRoutines<Float> {
  static let single = Self(
    prefix: "s", potrf: LAPACKE_spotrf_work, potri: LAPACKE_spotri_work, potrs: LAPACKE_spotrs_work,
    syevd: LAPACKE_ssyevd_work, syevr: LAPACKE_ssyevr_work, gesdd: LAPACKE_sgesdd_work)
}

extension LAPACKRoutines<Double> {
  static let double = Self(
    prefix: "d", potrf: LAPACKE_dpotrf_work, potri: LAPACKE_dpotri_work, potrs: LAPACKE_dpotrs_work,
    syevd: LAPACKE_dsyevd_work, syevr: LAPACKE_dsyevr_work, gesdd: LAPACKE_dgesdd_work)
}
