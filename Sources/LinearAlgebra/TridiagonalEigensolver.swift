import Kernels

/// Eigenvalues and eigenvectors of symmetric tridiagonal matrices of one size, by divide and conquer.
///
/// A matrix is two halves on its diagonal and a correction of rank one, down to halves of size 1 (Cuppen, *Numer. Math.*
/// 36, 1981). The eigenvalues of the whole are the roots of a secular equation, and its eigenvectors a product with
/// those of the halves, made from the roots so that they are orthogonal to rounding (Gu and Eisenstat, *SIAM J. Matrix
/// Anal. Appl.* 16, 1995). This is what LAPACK's `stedc` does; here eight roots are found at a time, which makes it
/// twice as fast.
///
/// Errors are a few ε of the largest eigenvalue. It has room for three matrices, and serves one thread at a time.
package final class TridiagonalEigensolver {
  package let size: Int
  /// Numbers from one row of `vectors` to the next. Products are made a multiple of 8 columns wide, the last ones zeros
  /// that may lie past the row's end: OpenBLAS is slow with, and allocates for, a remainder of 1 to 4.
  private let stride: Int
  private let workspace: Workspace<Double>
  /// The eigenvectors so far, one in each row.
  private let vectors: UnsafeMutablePointer<Double>
  /// Rows that take part in a product, side by side; and the other factor.
  private let gathered: UnsafeMutablePointer<Double>, coefficients: UnsafeMutablePointer<Double>
  /// Eigenvalues by the rows of their vectors, and the correction's vector z in the halves' eigenvectors.
  private let values: UnsafeMutablePointer<Double>, z: UnsafeMutablePointer<Double>
  /// The secular equation: its poles in ascending order, z², and its roots as distances from poles.
  private let poles: UnsafeMutablePointer<Double>, squares: UnsafeMutablePointer<Double>
  private let origins: UnsafeMutablePointer<Double>, shifts: UnsafeMutablePointer<Double>
  /// Poles and z in the order in which their rows are gathered.
  private let gatheredPoles: UnsafeMutablePointer<Double>, gatheredZ: UnsafeMutablePointer<Double>
  private let weights: UnsafeMutablePointer<Double>
  /// The numbers beside the diagonal.
  private let couplings: UnsafeMutablePointer<Double>
  /// For each block, its rows in the order of their eigenvalues, counted from its first.
  private let order: UnsafeMutablePointer<Int32>
  /// Of the block at work: all rows in that order, those that take part in the correction, and the others.
  private let sorted: UnsafeMutablePointer<Int32>, kept: UnsafeMutablePointer<Int32>
  private let deflated: UnsafeMutablePointer<Int32>
  /// Where the numbers of a row of the block at work are other than 0.
  private var extents: [Extent]

  private enum Extent {
    case left, whole, right
  }

  /// A solver for matrices of `size` × `size`.
  package init(size: Int) {
    self.size = size
    stride = Self.padded(size + 7)
    // A row is gathered in two halves, each padded.
    let counts = (vectors: size * stride, gathered: size * (stride + 8), coefficients: size * size)
    let matrices = counts.vectors + counts.gathered + counts.coefficients
    workspace = Workspace(numbers: matrices + 10 * size, integers: 4 * size)
    let numbers = workspace.numbers.baseAddress!, integers = workspace.integers.baseAddress!
    (vectors, gathered) = (numbers, numbers + counts.vectors)
    coefficients = gathered + counts.gathered
    func vector(_ index: Int) -> UnsafeMutablePointer<Double> { numbers + matrices + index * size }
    (values, z, poles, squares) = (vector(0), vector(1), vector(2), vector(3))
    (origins, shifts, weights) = (vector(4), vector(5), vector(6))
    (gatheredPoles, gatheredZ, couplings) = (vector(7), vector(8), vector(9))
    (order, sorted, kept, deflated) = (integers, integers + size, integers + 2 * size, integers + 3 * size)
    extents = Array(repeating: .left, count: size)
  }

  private static func padded(_ columns: Int) -> Int { (columns + 7) & ~7 }

  /// Decomposes the matrix with this diagonal and these `size` − 1 numbers beside it.
  /// - Parameters:
  ///   - diagonal: afterwards the eigenvalues, in ascending order.
  ///   - offDiagonal: the numbers beside it.
  /// - Returns: `size` × `size`, the eigenvectors, one in each row: the solver's own memory, until it is used again.
  /// - Throws: `LAPACKError.notConverged`, with everything undefined.
  package func decompose(
    diagonal: UnsafeMutablePointer<Double>, offDiagonal: UnsafePointer<Double>
  ) throws(LAPACKError) -> UnsafeMutablePointer<Double> {
    // What the last product was made with is free afterwards.
    let result = coefficients
    var largest = 0.0
    for i in 0..<size { largest = max(largest, abs(diagonal[i]), i + 1 < size ? abs(offDiagonal[i]) : 0) }
    guard largest > 0 else {
      fill(result, with: 0, count: size * size)
      for i in 0..<size { result[i * size + i] = 1 }
      return result
    }
    // Times a power of two, so that nothing is rounded.
    let exponent = largest.exponent
    func scaled(_ number: Double) -> Double { Double(sign: .plus, exponent: -exponent, significand: number) }
    fill(vectors, with: 0, count: size * stride)
    for i in 0..<size {
      // Each coupling goes into the correction, the two diagonal numbers beside it too.
      values[i] = scaled(diagonal[i])
      if i > 0 { values[i] -= abs(couplings[i - 1]) }
      if i + 1 < size {
        couplings[i] = scaled(offDiagonal[i])
        values[i] -= abs(couplings[i])
      }
      vectors[i * stride + i] = 1
      order[i] = 0
    }
    try solve(first: 0, count: size)
    for i in 0..<size {
      let row = Int(order[i])
      diagonal[i] = Double(sign: .plus, exponent: exponent, significand: values[row])
      (result + i * size).update(from: vectors + row * stride, count: size)
    }
    return result
  }

  /// Decomposes `count` rows and columns from `first` on.
  private func solve(first: Int, count: Int) throws(LAPACKError) {
    guard count > 1 else { return }
    let left = count / 2
    try solve(first: first, count: left)
    try solve(first: first + left, count: count - left)
    try merge(first: first, left: left, count: count)
  }

  /// Joins the decompositions of `left` rows from `first` on and of the rest of `count`.
  private func merge(first: Int, left: Int, count: Int) throws(LAPACKError) {
    let coupling = couplings[first + left - 1]
    let block = vectors + first * stride + first
    let (order, values) = (order + first, values + first)
    mergeOrders(order, values, left: left, count: count)
    // The correction is ρ z zᵀ with ρ = 2 |coupling| and z of length 1.
    let rho = 2 * abs(coupling)
    let (rightSign, half) = (coupling < 0 ? -1.0 : 1.0, 0.5.squareRoot())
    var largest = 0.0, largestZ = 0.0
    for row in 0..<count {
      z[row] = row < left ? block[row * stride + left - 1] * half : block[row * stride + left] * half * rightSign
      extents[row] = row < left ? .left : .right
      largestZ = max(largestZ, abs(z[row]))
      largest = max(largest, abs(values[row]))
    }
    let tolerance = 4 * Double.ulpOfOne * max(largest, largestZ)
    let keptCount = deflate(block, values, count: count, rho: rho, tolerance: tolerance)
    guard keptCount > 0 else { return order.update(from: sorted, count: count) }
    try solveSecularEquation(values, keptCount, rho: rho, first: first, count: count)
    combine(block, values, left: left, count: count, keptCount)
    for i in 0..<keptCount { values[i] = origins[i] + shifts[i] }
    for i in 0..<keptCount { order[i] = Int32(i) }
    for i in keptCount..<count {
      // Deflated ones are nearly in order: rotations move them by rounding.
      var place = i
      while place > keptCount, values[Int(order[place - 1])] > values[i] {
        order[place] = order[place - 1]
        place -= 1
      }
      order[place] = Int32(i)
    }
    mergeOrders(order, values, left: keptCount, count: count, offset: 0)
    order.update(from: sorted, count: count)
  }

  /// Merges the orders of `left` rows and of the rest into `sorted`.
  private func mergeOrders(
    _ order: UnsafePointer<Int32>, _ values: UnsafePointer<Double>, left: Int, count: Int, offset: Int? = nil
  ) {
    let offset = Int32(offset ?? left)
    var (i, j) = (0, left)
    for place in 0..<count {
      let takesLeft = j == count || (i < left && values[Int(order[i])] <= values[Int(order[j] + offset)])
      sorted[place] = takesLeft ? order[i] : order[j] + offset
      if takesLeft { i += 1 } else { j += 1 }
    }
  }

  /// Sorts out what the correction does not change: eigenvectors orthogonal to z, and all but one of those whose
  /// eigenvalues are equal, which a rotation makes orthogonal to z. Returns how many take part, their rows in `kept`.
  private func deflate(
    _ block: UnsafeMutablePointer<Double>, _ values: UnsafeMutablePointer<Double>, count: Int, rho: Double,
    tolerance: Double
  ) -> Int {
    var keptCount = 0, deflatedCount = 0
    var candidate: Int?
    for place in 0..<count {
      let row = Int(sorted[place])
      if rho * abs(z[row]) <= tolerance {
        deflated[deflatedCount] = Int32(row)
        deflatedCount += 1
        continue
      }
      if let previous = candidate {
        let length = (z[row] * z[row] + z[previous] * z[previous]).squareRoot()
        let (c, s) = (z[row] / length, z[previous] / length)
        if abs((values[row] - values[previous]) * c * s) <= tolerance {
          z[row] = length
          rotate(block + previous * stride, block + row * stride, c, s, count: count)
          if extents[row] != extents[previous] { extents[row] = .whole }
          let (low, high) = (values[previous], values[row])
          values[previous] = low * c * c + high * s * s
          values[row] = low * s * s + high * c * c
          deflated[deflatedCount] = Int32(previous)
          deflatedCount += 1
        } else {
          kept[keptCount] = Int32(previous)
          keptCount += 1
        }
      }
      candidate = row
    }
    if let candidate {
      kept[keptCount] = Int32(candidate)
      keptCount += 1
    }
    return keptCount
  }

  /// x ← c x − s y, y ← s x + c y.
  private func rotate(
    _ x: UnsafeMutablePointer<Double>, _ y: UnsafeMutablePointer<Double>, _ c: Double, _ s: Double, count: Int
  ) {
    for i in 0..<count {
      let (a, b) = (x[i], y[i])
      x[i] = c * a - s * b
      y[i] = s * a + c * b
    }
  }

  private func solveSecularEquation(
    _ values: UnsafePointer<Double>, _ keptCount: Int, rho: Double, first: Int, count: Int
  ) throws(LAPACKError) {
    for i in 0..<keptCount {
      let row = Int(kept[i])
      poles[i] = values[row]
      squares[i] = z[row] * z[row]
    }
    guard covpool_secular_roots(keptCount, poles, squares, rho, origins, shifts) == 0 else {
      throw .notConverged(routine: "divide and conquer", block: first...first + count - 1)
    }
  }

  /// The new eigenvectors: first those of the roots, then those that deflation left as they were.
  private func combine(
    _ block: UnsafeMutablePointer<Double>, _ values: UnsafeMutablePointer<Double>, left: Int, count: Int,
    _ keptCount: Int
  ) {
    // Rows of one extent lie together, so that zeros are not multiplied: the left columns of left and whole rows, the
    // right columns of whole and right ones, and all columns of deflated ones.
    var counts = (left: 0, whole: 0, right: 0)
    for i in 0..<keptCount {
      switch extents[Int(kept[i])] {
      case .left: counts.left += 1
      case .whole: counts.whole += 1
      case .right: counts.right += 1
      }
    }
    let leftRows = counts.left + counts.whole, rightRows = counts.whole + counts.right
    let right = count - left
    let (leftWidth, rightWidth) = (Self.padded(left), Self.padded(right))
    let rightStart = gathered + leftRows * leftWidth
    let deflatedStart = rightStart + rightRows * rightWidth
    var next = (left: 0, whole: counts.left, right: leftRows)
    for i in 0..<keptCount {
      let row = Int(kept[i])
      let extent = extents[row]
      let place: Int
      switch extent {
      case .left: (place, next.left) = (next.left, next.left + 1)
      case .whole: (place, next.whole) = (next.whole, next.whole + 1)
      case .right: (place, next.right) = (next.right, next.right + 1)
      }
      (gatheredPoles[place], gatheredZ[place]) = (values[row], z[row])
      let source = block + row * stride
      if extent != .right { gather(source, left, into: gathered + place * leftWidth, width: leftWidth) }
      if extent != .left {
        gather(source + left, right, into: rightStart + (place - counts.left) * rightWidth, width: rightWidth)
      }
    }
    for i in 0..<count - keptCount {
      let row = Int(deflated[i])
      (deflatedStart + i * count).update(from: block + row * stride, count: count)
      weights[i] = values[row]
    }
    for i in 0..<count - keptCount {
      (block + (keptCount + i) * stride).update(from: deflatedStart + i * count, count: count)
      values[keptCount + i] = weights[i]
    }
    covpool_secular_vectors(
      keptCount, gatheredPoles, gatheredZ, poles, origins, shifts, weights, coefficients)
    // The left product's zeros lie where the right one comes, and the right one's where there are zeros or nothing.
    multiply(
      MatrixView(coefficients, rows: keptCount, columns: leftRows, stride: keptCount),
      MatrixView(gathered, rows: leftRows, columns: leftWidth), into: block, stride: stride)
    multiply(
      MatrixView(coefficients + counts.left, rows: keptCount, columns: rightRows, stride: keptCount),
      MatrixView(rightStart, rows: rightRows, columns: rightWidth), into: block + left, stride: stride)
  }

  private func gather(
    _ source: UnsafePointer<Double>, _ count: Int, into row: UnsafeMutablePointer<Double>, width: Int
  ) {
    row.update(from: source, count: count)
    (row + count).update(repeating: 0, count: width - count)
  }
}
