import Tensors

/// Which part of the arena each computed value lives in: values whose lifetimes do not meet share memory.
///
/// Sizes and offsets are for one image; a batch multiplies them, so one plan serves every batch size.
struct MemoryPlan: Sendable {
  /// Where a value lives.
  struct Slot: Sendable {
    /// The value's shape without the batch axis, which is its first.
    var imageShape: Shape
    /// In bytes, for one image.
    var offset: Int, size: Int
  }

  /// The slot of each computed value.
  private(set) var slots: [Int: Slot] = [:]
  /// The slots and the steps from which to which they are in use.
  private(set) var lifetimes: [(slot: Slot, steps: ClosedRange<Int>)] = []
  /// Size of the arena, in bytes, for one image.
  private(set) var bytesPerImage = 0

  /// Places the outputs of `steps`, largest first, each at the lowest offset that is free while it lives.
  init<Scalar>(_ trace: Trace<Scalar>, steps: [any PlanStep<Scalar>]) {
    var spans: [Span] = []
    var position: [Int: Int] = [:]
    for (index, step) in steps.enumerated() {
      for output in step.outputs {
        let shape = Shape(Array(trace.values[output].shape.dropFirst()))
        // Multiples of a cache line keep every value aligned for any batch.
        let size = (shape.scalarCount * step.scalarSize + 63) & ~63
        position[output] = spans.count
        spans.append(Span(value: output, shape: shape, size: size, first: index, last: index))
      }
      for input in step.inputs {
        if let place = position[input] { spans[place].last = index }
      }
    }
    if let place = position[trace.output] { spans[place].last = steps.count }

    var placed: [Span] = []
    for var span in spans.sorted(by: { ($1.size, $0.first) < ($0.size, $1.first) }) {
      let living = placed.filter { $0.first <= span.last && span.first <= $0.last }.sorted { $0.offset < $1.offset }
      for other in living where span.offset + span.size > other.offset {
        span.offset = max(span.offset, other.offset + other.size)
      }
      placed.append(span)
      let slot = Slot(imageShape: span.shape, offset: span.offset, size: span.size)
      slots[span.value] = slot
      lifetimes.append((slot, span.first...span.last))
      bytesPerImage = max(bytesPerImage, span.offset + span.size)
    }
  }
}

/// A computed value's size and the steps from which to which it lives.
private struct Span {
  var value: Int
  var shape: Shape
  var size: Int
  var first: Int
  var last: Int
  var offset = 0
}
