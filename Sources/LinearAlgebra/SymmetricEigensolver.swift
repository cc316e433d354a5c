import COpenBLAS

public final class SymmetricEigensolver {
  let n: Int
  var work: [Double]
  var iwork: [Int32]
  public init(size n: Int) {
    self.n = n
    work = [Double](repeating: 0, count: 1 + 6 * n + 2 * n * n)
    iwork = [Int32](repeating: 0, count: 3 + 5 * n)
    useSingleThreadedBLAS()
  }
  public func decompose(_ a: UnsafeMutablePointer<Double>, values: UnsafeMutablePointer<Double>) -> Bool {
    for i in 0..<n * n where !a[i].isFinite { return false }
    return LAPACKE_dsyevd_work(
      LAPACK_COL_MAJOR, 0x56, 0x4C, Int32(n), a, Int32(n), values, &work, Int32(work.count), &iwork, Int32(iwork.count))
      == 0
  }
}
