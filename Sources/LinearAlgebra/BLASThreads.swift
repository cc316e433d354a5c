import COpenBLAS
import Foundation
import Synchronization

/// Runs once, when first read: Swift initialises a global lazily and behind a lock.
private let singleThreaded: Void = openblas_set_num_threads(1)

/// Makes every BLAS call run on the thread that makes it, for the whole process from now on.
///
/// Work is spread over threads outside of BLAS, in pieces. A BLAS with threads of its own would compete with them, and
/// its results would depend on how many there are.
package func useSingleThreadedBLAS() { _ = singleThreaded }

/// What each function does before it calls BLAS or LAPACK: one thread, and a buffer for it.
///
/// OpenBLAS takes a buffer for each call that runs at the time, keeps it for later ones, and where the system gives none asks
/// again for ever. So a thread sees to it, before its first call, that there are as many as threads that call.
func prepareBLAS() {
  useSingleThreadedBLAS()
  guard pthread_getspecific(BLASBuffers.key) == nil else { return }
  pthread_setspecific(BLASBuffers.key, UnsafeRawPointer(bitPattern: 1))
  BLASBuffers.shared.withLock { $0.addThread() }
}

private struct BLASBuffers {
  static let shared = Mutex(BLASBuffers())

  /// Set for a thread that has been counted; one that ends gives its buffer to another.
  static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { _ in BLASBuffers.shared.withLock { $0.threads -= 1 } }
    return key
  }()

  /// OpenBLAS's `BUFFER_SIZE` where it is largest, and a page that it takes with some kernels.
  private static let bytes = 128 << 20 + 4096

  private var threads = 0
  private var buffers = 0

  mutating func addThread() {
    threads += 1
    guard threads > buffers else { return }
    buffers = threads
    // Only where addresses are limited does asking ever fail.
    guard availableAddresses() != nil, let take = Self.take, let giveBack = Self.giveBack else { return }
    // All at once, or OpenBLAS would hand out the same one again.
    let taken = (0..<buffers).map { _ in
      Self.requireAddresses()
      return take(0)
    }
    for buffer in taken { giveBack(buffer) }
  }

  private static func requireAddresses() {
    let flags = MAP_PRIVATE | MAP_ANON
    let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let memory, memory != MAP_FAILED else {
      endWithoutMemory(bytes: bytes, for: " for a thread's buffer in OpenBLAS")
    }
    munmap(memory, bytes)
  }

  // What OpenBLAS's own calls do; no header has them, and a library without them is left alone.
  private static let take = symbol("blas_memory_alloc", as: (@convention(c) (Int32) -> UnsafeMutableRawPointer?).self)
  private static let giveBack = symbol("blas_memory_free", as: (@convention(c) (UnsafeMutableRawPointer?) -> Void).self)

  private static func symbol<Function>(_ name: String, as _: Function.Type) -> Function? {
    dlsym(nil, name).map { unsafeBitCast($0, to: Function.self) }
  }
}
