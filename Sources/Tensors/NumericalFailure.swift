import Foundation
import Synchronization

/// Why an operation has no result for one sample of a batch. The sample's result is NaN then.
public struct NumericalFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The operation's name.
  public let operation: String
  /// The sample's position in the batch, from 0.
  public let sample: Int
  /// What was expected and what was found.
  public let reason: String

  /// The failure of an operation for a sample of the batch.
  package init(operation: String, sample: Int, reason: String) {
    (self.operation, self.sample, self.reason) = (operation, sample, reason)
  }

  /// One line that names the operation and the sample.
  public var description: String { "\(operation): sample \(sample) of the batch: \(reason)" }
}

/// Calls `body` and throws the first numerical failure that an operation met in it: a decomposition or an iteration that
/// did not converge, for the sample that it names.
///
/// Without this, such a sample's result is NaN and nothing says why. `valueWithGradients(of:)` and plans use it.
/// Only what `body` computes on the calling thread, and what operations share out from there, is looked at.
public func checkingNumerics<Result>(_ body: () throws -> Result) throws -> Result {
  let (result, failure) = try collectingNumericalFailures(body)
  if let failure { throw failure }
  return result
}

/// What `body` makes, and the first numerical failure that an operation met in it.
package func collectingNumericalFailures<Result>(
  _ body: () throws -> Result
) rethrows -> (result: Result, first: NumericalFailure?) {
  let outer = FailureCollector.current
  let collector = FailureCollector()
  FailureCollector.current = collector
  defer { FailureCollector.current = outer }
  let result = try body()
  return (result, collector.first)
}

/// Failures of one operation, found by whichever thread works on the sample.
package final class FailureLog: Sendable {
  private let found = Mutex<NumericalFailure?>(nil)

  package init() {}

  /// Notes that `operation` has no result for `sample`; the first sample of the batch counts.
  package func note(_ operation: String, sample: Int, _ reason: String) {
    found.withLock { found in
      if let found, found.sample <= sample { return }
      found = NumericalFailure(operation: operation, sample: sample, reason: reason)
    }
  }

  /// Tells whoever called `checkingNumerics`; on the thread that runs the operation.
  package func report() {
    guard let failure = found.withLock({ $0 }), let collector = FailureCollector.current else { return }
    if collector.first == nil { collector.first = failure }
  }
}

/// Where the calling thread's failures go.
private final class FailureCollector {
  var first: NumericalFailure?

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// Kept alive by `checkingNumerics`, which sets and resets it.
  static var current: FailureCollector? {
    get { pthread_getspecific(key).map { Unmanaged<FailureCollector>.fromOpaque($0).takeUnretainedValue() } }
    set { pthread_setspecific(key, newValue.map { Unmanaged.passUnretained($0).toOpaque() }) }
  }
}

extension NumericalFailure: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
