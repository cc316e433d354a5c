import Foundation
import LinearAlgebra
import Synchronization
import Testing

@Suite("Thread limits")
struct ThreadLimitTests {
  /// How often each of `count` pieces was done.
  private func done(_ pool: WorkerPool, _ count: Int) -> [Int] {
    var times = [Int](repeating: 0, count: count)
    times.withUnsafeMutableBufferPointer { times in
      let times = times.baseAddress!
      pool.forEach(count) { times[$0] += 1 }
    }
    return times
  }

  @Test("every piece is done once, whatever number of threads the system has to give", arguments: 0...4)
  func fewThreads(available: Int) {
    let asked = Mutex(0)
    let pool = WorkerPool { name, body in
      let number = asked.withLock { asked in
        asked += 1
        return asked
      }
      return number <= available && startThread(name: name, body)
    }
    pool.width = 4
    for count in [1, 3, 4, 257] { #expect(done(pool, count) == [Int](repeating: 1, count: count)) }
    // A system that had none to give is not asked again for every job.
    #expect(asked.withLock { $0 } == min(available + 1, 3))
    #expect(pool.start() == min(available + 1, 4) && pool.width == min(available + 1, 4))
  }

  @Test("a width has a bound")
  func bound() {
    let pool = WorkerPool()
    #expect((1...WorkerPool.mostThreads).contains(pool.width))
    for width in [100_000, .max] {
      pool.width = width
      #expect(
        pool.width == WorkerPool.mostThreads && pool.width >= 16 && pool.width <= max(16, 4 * availableProcessors))
    }
    pool.width = 3
    #expect(pool.width == 3)
  }
}
