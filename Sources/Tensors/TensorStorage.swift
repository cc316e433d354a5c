import Foundation

/// Whoever lends memory that it can fetch again when it is looked at: a mapped file.
package protocol RefetchableMemory: AnyObject {
  /// Releases clean pages, which fault in again when they are read.
  func releasePages(_ memory: UnsafeRawBufferPointer)
}

/// The memory behind tensors: aligned to a cache line, and its own or somebody else's.
///
/// A storage that several tensors share is never written; `Tensor` copies first.
package final class TensorStorage<Scalar: RealScalar>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Scalar>
  package let count: Int
  /// Whoever owns the memory, kept alive with this storage; `nil` where the storage owns it.
  private let owner: AnyObject?

  /// Uninitialised memory for `count` scalars.
  package init(count: Int) {
    let bytes = max(count, 1) * MemoryLayout<Scalar>.stride
    pointer = allocateMemory(bytes: bytes).bindMemory(to: Scalar.self, capacity: max(count, 1))
    self.count = count
    owner = nil
  }

  /// Memory that `owner` keeps: a mapped file, a plan's arena.
  package init(borrowing pointer: UnsafePointer<Scalar>, count: Int, owner: AnyObject) {
    self.pointer = UnsafeMutablePointer(mutating: pointer)
    self.count = count
    self.owner = owner
  }

  /// Whether the memory may be written by a sole user of this storage.
  package var isOwned: Bool { owner == nil }

  /// Releases the pages of a mapped file, which fault in again when they are read; of other memory none.
  package func releasePages(_ range: Range<Int>? = nil) {
    let range = range ?? 0..<count
    (owner as? any RefetchableMemory)?.releasePages(
      UnsafeRawBufferPointer(
        start: pointer + range.lowerBound, count: range.count * MemoryLayout<Scalar>.stride))
  }

  deinit {
    if owner == nil { free(pointer) }
  }
}
