import Foundation
import Kernels
import Synchronization

/// Threads that share the pieces of one job: images, tiles, matrices.
///
/// BLAS runs single-threaded inside the pieces. A piece that itself asks for the pool runs its pieces in place, so
/// nesting is safe and never deadlocks.
public final class WorkerPool: @unchecked Sendable {
  /// The pool that operations and plans use.
  public static let shared = WorkerPool()

  /// How many threads work on a job, the caller's among them; the number of active processors to begin with. Like
  /// `torch.set_num_threads`: for the whole process, and results do not depend on it beyond rounding.
  public var width: Int {
    get { widthSetting.load(ordering: .relaxed) }
    set {
      precondition(newValue >= 1, "a pool needs at least one thread, not \(newValue)")
      widthSetting.store(newValue, ordering: .relaxed)
    }
  }

  private static let closed = -1
  /// How long an idle worker spins before it sleeps: about the time between two layers of a network.
  private static let spins = 4_000

  private let widthSetting = Atomic<Int>(max(1, ProcessInfo.processInfo.activeProcessorCount))
  /// Held by the caller whose job is running; a second caller finds it taken and works alone.
  private let running = Atomic<Bool>(false)
  /// `closed`, or how many workers are inside the current job.
  private let gate = Atomic<Int>(WorkerPool.closed)
  private let next = Atomic<Int>(0)
  private let generation = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let wake = NSCondition()
  private var started = 0
  // The current job: written while the gate is closed, read by workers that passed it.
  private var count = 0
  private var seats = 0
  private var body: ((Int) -> Void)?

  init() {}

  /// Calls `body` with each of `0 ..< count`, spread over the pool's threads; returns when all are done. Indices are
  /// handed out in ascending order to whoever is free.
  public func forEach(_ count: Int, _ body: (Int) -> Void) {
    let threads = min(width, count)
    guard threads > 1, !Self.isInsideJob,
      running.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else {
      for index in 0..<max(count, 0) { body(index) }
      return
    }
    withoutActuallyEscaping(body) { body in run(count, threads: threads, body) }
    running.store(false, ordering: .releasing)
  }

  private func run(_ count: Int, threads: Int, _ body: @escaping (Int) -> Void) {
    startWorkers(threads - 1)
    self.count = count
    self.seats = threads - 1
    self.body = body
    next.store(0, ordering: .relaxed)
    gate.store(0, ordering: .releasing)
    generation.add(1, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      wake.lock()
      wake.broadcast()
      wake.unlock()
    }
    Self.isInsideJob = true
    takePieces()
    Self.isInsideJob = false
    // Workers still inside finish their last piece; then nobody can enter.
    var spins = 0
    while !gate.compareExchange(expected: 0, desired: Self.closed, ordering: .acquiring).exchanged {
      spins += 1
      if spins < Self.spins { covpool_spin_hint() } else { sched_yield() }
    }
    self.body = nil
  }

  private func takePieces() {
    guard let body else { return }
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < count else { return }
      body(index)
    }
  }

  private func startWorkers(_ wanted: Int) {
    while started < wanted {
      started += 1
      let thread = Thread { [self] in work() }
      thread.name = "covpool-\(started)"
      thread.stackSize = 4 << 20
      thread.start()
    }
  }

  private func work() {
    Self.isInsideJob = true
    var seen = 0
    while true {
      waitForJob(after: &seen)
      guard enter() else { continue }
      takePieces()
      gate.subtract(1, ordering: .releasing)
    }
  }

  private func waitForJob(after seen: inout Int) {
    for _ in 0..<Self.spins {
      let current = generation.load(ordering: .acquiring)
      if current != seen {
        seen = current
        return
      }
      covpool_spin_hint()
    }
    wake.lock()
    sleepers.add(1, ordering: .sequentiallyConsistent)
    while generation.load(ordering: .sequentiallyConsistent) == seen { wake.wait() }
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
    wake.unlock()
    seen = generation.load(ordering: .acquiring)
  }

  /// Takes a seat at the current job if it is open and has one left.
  private func enter() -> Bool {
    var inside = gate.load(ordering: .acquiring)
    while inside >= 0 {
      // `seats` may only be read once inside: enter first, leave again if the job is full.
      let attempt = gate.weakCompareExchange(expected: inside, desired: inside + 1, ordering: .acquiringAndReleasing)
      if attempt.exchanged {
        if inside < seats { return true }
        gate.subtract(1, ordering: .releasing)
        return false
      }
      inside = attempt.original
    }
    return false
  }

  private static let insideKey: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// Whether the current thread is working on a piece.
  private static var isInsideJob: Bool {
    get { pthread_getspecific(insideKey) != nil }
    set { pthread_setspecific(insideKey, newValue ? UnsafeRawPointer(bitPattern: 1) : nil) }
  }
}
