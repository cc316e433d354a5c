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

  /// How many threads work on a job, the caller's among them; to begin with the number of processors that the process may
  /// use. Like `torch.set_num_threads`: for the whole process, and results do not depend on it beyond rounding. More than
  /// `mostThreads` are not taken, and where the system has fewer to give, those there are do the work.
  public var width: Int {
    get { widthSetting.load(ordering: .relaxed) }
    set {
      check(newValue >= 1, "a pool needs at least one thread, not \(newValue)")
      widthSetting.store(min(newValue, Self.mostThreads), ordering: .relaxed)
    }
  }

  /// The largest width: beyond four threads for each processor they only wait for each other.
  public static let mostThreads = min(1024, max(16, 4 * availableProcessors))

  private static let closed = -1
  /// How long an idle worker spins before it sleeps: about the time between two layers of a network.
  private static let spins = 4_000

  private let widthSetting = Atomic<Int>(availableProcessors)
  /// Held by the caller whose job is running; a second caller finds it taken and works alone.
  private let running = Atomic<Bool>(false)
  /// `closed`, or how many workers are inside the current job.
  private let gate = Atomic<Int>(WorkerPool.closed)
  private let generation = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let wake = NSCondition()
  private var started = 0
  /// Whether the system had no more threads to give; then it is not asked again.
  private var isExhausted = false
  // The current job: written while the gate is closed, read by workers that passed it.
  private var count = 0
  private var seats = 0
  private var next = NextIndices(seats: 0)
  private var body: ((Int) -> Void)?

  package typealias ThreadStart = (_ name: String, _ body: @escaping @Sendable () -> Void) -> Bool
  private let startThread: ThreadStart

  /// - Parameter startThread: makes a thread, or says that there is none.
  package init(startThread: @escaping ThreadStart = LinearAlgebra.startThread) { self.startThread = startThread }

  /// Calls `body` with each of `0 ..< count`, spread over the pool's threads; returns when all are done.
  ///
  /// A thread begins with its share of the indices, the same part of the range in every job: what it wrote in one layer
  /// and its core's caches still hold, it reads in the next. Then it helps with the others' shares.
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
    if next.seats < threads { next = NextIndices(seats: threads) }
    for seat in 0..<threads { next[seat].pointee.store(seat * count / threads, ordering: .relaxed) }
    self.count = count
    self.seats = threads
    self.body = body
    gate.store(0, ordering: .releasing)
    generation.add(1, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 {
      wake.lock()
      wake.broadcast()
      wake.unlock()
    }
    Self.isInsideJob = true
    takePieces(seat: 0)
    Self.isInsideJob = false
    // Workers still inside finish their last piece; then nobody can enter.
    var spins = 0
    while !gate.compareExchange(expected: 0, desired: Self.closed, ordering: .acquiring).exchanged {
      spins += 1
      if spins < Self.spins { covpool_spin_hint() } else { sched_yield() }
    }
    self.body = nil
  }

  private func takePieces(seat: Int) {
    guard let body else { return }
    for turn in 0..<seats {
      let share = (seat + turn) % seats
      let end = (share + 1) * count / seats
      while true {
        let index = next[share].pointee.add(1, ordering: .relaxed).oldValue
        guard index < end else { break }
        body(index)
      }
    }
  }

  /// Starts the threads that are missing, as far as there are any to be had; seats that stay empty have their shares done by
  /// the others.
  private func startWorkers(_ wanted: Int) {
    while started < wanted, !isExhausted {
      let seat = started + 1
      if startThread("covpool-\(seat)", { [self] in work(seat: seat) }) {
        started = seat
      } else {
        isExhausted = true
      }
    }
  }

  /// Starts the threads of a job at once, and is from then on no wider than there are.
  /// - Returns: how many there are, the caller's among them.
  package func start() -> Int {
    guard running.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged else { return width }
    startWorkers(width - 1)
    width = min(width, started + 1)
    running.store(false, ordering: .releasing)
    return width
  }

  private func work(seat: Int) {
    Self.isInsideJob = true
    var seen = 0
    while true {
      waitForJob(after: &seen)
      guard enter(seat: seat) else { continue }
      takePieces(seat: seat)
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

  /// Joins the current job if it is open and has this seat.
  private func enter(seat: Int) -> Bool {
    var inside = gate.load(ordering: .acquiring)
    while inside >= 0 {
      // `seats` may only be read once inside: enter first, leave again if the job is for fewer.
      let attempt = gate.weakCompareExchange(expected: inside, desired: inside + 1, ordering: .acquiringAndReleasing)
      if attempt.exchanged {
        if seat < seats { return true }
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

/// For each seat the next index of its share, two cache lines apart so that threads do not wait for each other's.
private final class NextIndices {
  let seats: Int
  private let counters: UnsafeMutablePointer<Atomic<Int>>
  private static let stride = 16

  init(seats: Int) {
    self.seats = seats
    counters = .allocate(capacity: seats * Self.stride)
    for seat in 0..<seats { (counters + seat * Self.stride).initialize(to: Atomic(0)) }
  }

  subscript(seat: Int) -> UnsafeMutablePointer<Atomic<Int>> { counters + seat * Self.stride }

  deinit { counters.deallocate() }
}
