import Foundation
import LinearAlgebra
import TestSupport
import Testing

@Suite struct ProductTests {
  @Test func `Products by hand: plain, transposed, symmetric, with a vector`() {
    let (a, b): ([Double], [Double]) = ([1, 2, 3, 4, 5, 6], [1, 0, 2, 1, 0, 3])
    var c = [Double](repeating: 0, count: 9)
    a.withUnsafeBufferPointer { a in
      b.withUnsafeBufferPointer { b in
        let left = MatrixView(a.baseAddress!, rows: 2, columns: 3)
        let right = MatrixView(b.baseAddress!, rows: 3, columns: 2)
        multiply(left, right, into: &c)
        #expect(c[..<4] == [5, 11, 14, 23])
        multiply(left.transposed, right.transposed, into: &c)
        #expect(c == [1, 6, 12, 2, 9, 15, 3, 12, 18])
        multiply(left, right, into: &c, scale: 2, keeping: 1)
        #expect(c[..<4] == [11, 28, 40, 48])
        multiplyByTranspose(left, into: &c, scale: 0.5)
        #expect(c[..<4] == [7, 16, 16, 38.5])
        multiply(left, vector: b.baseAddress!, into: &c)
        #expect(c[..<2] == [7, 16])
        multiply(left.transposed, vector: b.baseAddress!, into: &c)
        #expect(c[..<3] == [1, 2, 3])
        multiplyBatch(
          2, MatrixView(a.baseAddress!, rows: 1, columns: 3), MatrixView(b.baseAddress!, rows: 3, columns: 1), into: &c)
        #expect(c[..<2] == [7, 4 + 18])
      }
    }
  }

  @Test func `Rows over threads give the product of one thread`() {
    let n = 130
    let a = unit("a", count: n * n)
    var (one, many) = ([Float](repeating: 0, count: n * n), [Float](repeating: 0, count: n * n))
    a.withUnsafeBufferPointer { a in
      let matrix = MatrixView(a.baseAddress!, rows: n, columns: n)
      multiply(matrix, matrix.transposed, into: &one)
      multiply(matrix, matrix.transposed, into: &many, over: .shared)
    }
    #expect(largestError(many, one.map(Double.init)) < 1e-4)
  }
}

@Suite struct WorkerPoolTests {
  @Test(arguments: [1, 2, 3, 7, 40])
  func `Every index is handed out once, nested jobs too`(_ threads: Int) {
    let pool = WorkerPool()
    pool.width = threads
    let count = 1000
    let hits = UnsafeMutableBufferPointer<Int>.allocate(capacity: count)
    defer { hits.deallocate() }
    for _ in 0..<50 {
      hits.update(repeating: 0)
      pool.forEach(count / 10) { outer in
        pool.forEach(10) { inner in hits[outer * 10 + inner] += 1 }
      }
      #expect(hits.allSatisfy { $0 == 1 })
    }
    // Fewer indices than threads.
    for few in 0..<9 {
      hits.update(repeating: 0)
      pool.forEach(few) { hits[$0] += 1 }
      #expect(hits.enumerated().allSatisfy { $1 == ($0 < few ? 1 : 0) })
    }
  }

  @Test func `Jobs of several callers do not mix`() async {
    await withTaskGroup(of: Bool.self) { group in
      for caller in 0..<8 {
        group.addTask {
          let hits = UnsafeMutableBufferPointer<Int>.allocate(capacity: 64)
          defer { hits.deallocate() }
          for round in 0..<200 {
            hits.update(repeating: -1)
            WorkerPool.shared.forEach(64) { hits[$0] = caller * 1000 + round }
            guard hits.allSatisfy({ $0 == caller * 1000 + round }) else { return false }
          }
          return true
        }
      }
      for await isRight in group { #expect(isRight) }
    }
  }
}
