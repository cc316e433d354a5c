import Foundation
import Tensors

/// The `count` largest scores, the largest first; of equal ones the first, and NaN last.
public func topK(_ scores: UnsafeBufferPointer<Float>, _ count: Int) -> [(index: Int, value: Float)] {
  var best: [(index: Int, value: Float)] = []
  for (index, value) in scores.enumerated() {
    if best.count == count, let last = best.last, !isBetter(value, than: last.value) { continue }
    let place = best.firstIndex { isBetter(value, than: $0.value) } ?? best.count
    best.insert((index, value), at: place)
    if best.count > count { best.removeLast() }
  }
  return best
}

private func isBetter(_ a: Float, than b: Float) -> Bool { a > b || (b.isNaN && !a.isNaN) }

/// How often images of each class were taken for which.
public struct ConfusionTable: Sendable, Equatable {
  private var counts: [Int: [Int: Int]] = [:]

  /// Nothing yet.
  public init() {}

  /// Classes that have images, in their order.
  public var labels: [Int] { counts.keys.sorted() }

  /// Counts one image by its logits; one without a label does not count, nor one of NaN alone.
  public mutating func add(_ logits: UnsafeBufferPointer<Float>, label: Int?) {
    guard let label, let best = topK(logits, 1).first, !best.value.isNaN else { return }
    counts[label, default: [:]][best.index, default: 0] += 1
  }

  /// Images of class `label` that were taken for class `prediction`.
  public subscript(label: Int, prediction: Int) -> Int { counts[label]?[prediction] ?? 0 }

  /// Images of a class.
  public func images(_ label: Int) -> Int { counts[label]?.values.reduce(0, +) ?? 0 }

  /// The share of a class that was recognised, in percent; `nil` where there are no images of it.
  public func accuracy(_ label: Int) -> Double? {
    let all = images(label)
    return all == 0 ? nil : 100 * Double(self[label, label]) / Double(all)
  }
}

/// Accuracy and loss over images.
public struct ClassificationMetrics: Sendable, Equatable {
  /// Images with a label.
  public private(set) var images = 0
  /// Those whose likeliest class is right.
  public private(set) var correct1 = 0
  /// Those with the right class among the five likeliest.
  public private(set) var correct5 = 0
  private var lossSum = 0.0

  /// Nothing yet.
  public init() {}

  /// Share of `correct1`, in percent.
  public var top1: Double { images == 0 ? 0 : 100 * Double(correct1) / Double(images) }
  /// Share of `correct5`, in percent.
  public var top5: Double { images == 0 ? 0 : 100 * Double(correct5) / Double(images) }
  /// Mean cross-entropy.
  public var loss: Double { images == 0 ? 0 : lossSum / Double(images) }

  /// Counts one image by its logits; one without a label does not count. NaN is never right.
  /// - Precondition: the label is one of the classes.
  public mutating func add(_ logits: UnsafeBufferPointer<Float>, label: Int?) {
    guard let label else { return }
    check(logits.indices.contains(label), "label \(label) of \(logits.count) classes")
    images += 1
    let top = topK(logits, 5).filter { !$0.value.isNaN }
    if top.first?.index == label { correct1 += 1 }
    if top.contains(where: { $0.index == label }) { correct5 += 1 }
    let highest = Double(logits.max() ?? 0)
    let sum = logits.reduce(0) { $0 + exp(Double($1) - highest) }
    lossSum += log(sum) + highest - Double(logits[label])
  }
}
