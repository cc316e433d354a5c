import Foundation

/// Golden values kept as JSON beside the tests that use them.
public func golden<Value: Decodable>(_ name: String, in bundle: Bundle, as _: Value.Type = Value.self) throws -> Value {
  guard let url = bundle.url(forResource: name, withExtension: "json", subdirectory: "Resources") else {
    throw GoldenError.missing(name)
  }
  return try JSONDecoder().decode(Value.self, from: Data(contentsOf: url))
}

/// A golden file that is not there.
public enum GoldenError: Error {
  /// No file of this name is in the bundle.
  case missing(String)
}

/// The largest |got − want|, infinite where the counts differ or a value is not finite.
public func largestError(_ got: [some BinaryFloatingPoint], _ want: [Double]) -> Double {
  guard got.count == want.count else { return .infinity }
  return zip(got, want).reduce(0) { worst, pair in
    let error = abs(Double(pair.0) - pair.1)
    return error.isNaN ? .infinity : max(worst, error)
  }
}
