import Foundation
import LinearAlgebra

/// Why a text names no normalisation.
public struct NormalizationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was found and what is allowed.
  public let description: String
}

/// The `key=value` pairs of a normalisation's text, `name:key=value,key=value`, taken one after another.
public struct NormalizationOptions {
  private let text: String
  private var values: [String: String] = [:]

  init(_ list: Substring, of text: String) throws(NormalizationError) {
    self.text = text
    for pair in list.split(separator: ",") {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard sides.count == 2 else { throw error("expected key=value, found '\(pair)'") }
      guard values.updateValue(sides[1], forKey: sides[0]) == nil else { throw error("\(sides[0]) is given twice") }
    }
  }

  private func error(_ what: String) -> NormalizationError {
    NormalizationError(description: "normalization '\(text)': \(what)")
  }

  /// A finite number greater than 0; `nil` where the text has none.
  public mutating func number(_ key: String) throws(NormalizationError) -> Double? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let number = Double(value), number > 0, number.isFinite else {
      throw error("\(key) must be a number greater than 0, not '\(value)'")
    }
    return number
  }

  /// An integer in a range; `nil` where the text has none.
  public mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(NormalizationError) -> Int? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let number = Int(value), range.contains(number) else {
      throw error("\(key) must be an integer from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
    }
    return number
  }

  /// One of the type's cases; `nil` where the text has none.
  public mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
    _ key: String, _: Choice.Type = Choice.self
  ) throws(NormalizationError) -> Choice? {
    guard let value = values.removeValue(forKey: key) else { return nil }
    guard let choice = Choice(rawValue: value) else {
      throw error("\(key) must be \(Choice.allCases.map(\.rawValue).joined(separator: " or ")), not '\(value)'")
    }
    return choice
  }

  /// - Throws: where a key was not taken.
  func finish() throws(NormalizationError) {
    guard let key = values.keys.min() else { return }
    throw error("'\(key)' does not apply")
  }
}

/// Collects options that are not as by default.
struct OptionList {
  private(set) var pairs: [(key: String, value: String)] = []

  mutating func add<Value: Equatable>(_ key: String, _ value: Value, unless usual: Value? = nil) {
    if value != usual { pairs.append((key, "\(value)")) }
  }
}

extension NormalizationError: LocalizedError {
  /// The description, which `localizedDescription` shows.
  public var errorDescription: String? { description }
}
