/// Which part of the arena each computed value lives in: values whose lifetimes do not meet share memory.
///
/// Sizes and offsets are for one image; a batch multiplies them, so one plan serves every batch size.
struct MemoryPlan: Sendable {
  /// Offset of each computed value, in scalars.
  private(set) var offsets: [Int: Int] = [:]
  /// Shape of each computed value without the batch axis.
  private(set) var imageShapes: [Int: Shape] = [:]
  /// Size of the arena, in scalars.
  private(set) var scalarsPerImage = 0

  /// Places the outputs of `steps`, largest first, each at the lowest offset that is free while it lives.
  init<Scalar>(_ trace: Trace<Scalar>, steps: [PlanStep<Scalar>]) {
    var spans: [Span] = []
    var position: [Int: Int] = [:]
    for (index, step) in steps.enumerated() {
      let shape = Shape(Array(trace.values[step.output].shape.dropFirst()))
      imageShapes[step.output] = shape
      position[step.output] = spans.count
      // Multiples of a cache line keep every value aligned for any batch.
      spans.append(Span(value: step.output, size: (shape.scalarCount + 15) & ~15, first: index, last: index))
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
      offsets[span.value] = span.offset
      scalarsPerImage = max(scalarsPerImage, span.offset + span.size)
    }
  }
}

/// A computed value's size and the steps from which to which it lives.
private struct Span {
  var value: Int
  var size: Int
  var first: Int
  var last: Int
  var offset = 0
}
