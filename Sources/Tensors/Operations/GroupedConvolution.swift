import Kernels

extension covpool_window {
  /// The same window over the channels of one group.
  func ofGroup(_ groups: Int) -> covpool_window {
    var part = self
    part.channels /= groups
    return part
  }
}

extension Tensor {
  /// A group's part of the first axis, in the memory of the whole.
  func group(_ index: Int, of count: Int) -> Tensor {
    let part = Shape([shape[0] / count] + shape.dropFirst())
    guard let storage else { return Tensor(shape: part, storage: nil) }
    return Tensor(part, borrowing: pointer + index * part.scalarCount, owner: storage)
  }
}

/// Convolves each image's groups; they are spread over the pool, and what a group does not share runs on one thread.
func convolveGroups<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, input: UnsafePointer<Scalar>, weights: ConvolutionWeights<Scalar>,
  epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  let groups = weights.groups.count
  let shapes = ConvolutionShapes(
    geometry.ofGroup(groups), batch: 1, outputChannels: weights.outputChannels / groups)
  WorkerPool.shared.forEach(batch * groups) { index in
    var part = epilogue
    part.bias = epilogue.bias.map { $0 + index % groups * shapes.outputChannels }
    part.residual = epilogue.residual.map { $0 + index * shapes.outputSize }
    convolve(
      shapes.geometry, batch: 1, input: input + index * shapes.inputSize, weights: weights.groups[index % groups],
      epilogue: part, output: output + index * shapes.outputSize)
  }
}

/// ∂X of a convolution of several groups, added to `sum` if there is one: group by group, each for the whole batch.
func groupedInputGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ groups: Int, _ gradient: Tensor<Scalar>, _ weight: Tensor<Scalar>,
  adding sum: UnsafePointer<Scalar>?, into result: UnsafeMutablePointer<Scalar>
) {
  let part = shapes.ofGroup(groups)
  let whole = groups * part.inputSize
  for group in 0..<groups {
    let g = gradient.channels(group, of: groups)
    let found = Tensor<Scalar>([part.batch, part.inputSize]) {
      convolutionInputGradient(
        part, g.pointer, weight.group(group, of: groups), adding: nil, into: $0.baseAddress!)
    }
    copyRows(
      found.pointer, stride: part.inputSize, into: result + group * part.inputSize, stride: whole, rows: part.batch,
      columns: part.inputSize)
  }
  guard let sum else { return }
  forEachChunk(of: part.batch * whole) {
    accumulate(sum + $0.lowerBound, into: result + $0.lowerBound, count: $0.count)
  }
}

/// ∂W of a convolution of several groups, group by group.
func groupedWeightGradient<Scalar: RealScalar>(
  _ shapes: ConvolutionShapes, _ groups: Int, _ gradient: Tensor<Scalar>, _ input: Tensor<Scalar>,
  into result: UnsafeMutablePointer<Scalar>
) {
  let part = shapes.ofGroup(groups)
  for group in 0..<groups {
    let (g, x) = (gradient.channels(group, of: groups), input.channels(group, of: groups))
    convolutionWeightGradient(
      part, g.pointer, x.pointer, into: result + group * part.outputChannels * part.taps)
  }
}

extension ConvolutionShapes {
  fileprivate func ofGroup(_ groups: Int) -> ConvolutionShapes {
    ConvolutionShapes(geometry.ofGroup(groups), batch: batch, outputChannels: outputChannels / groups)
  }
}

extension Tensor {
  /// A group's channels of `[B, C, …]`, copied.
  fileprivate func channels(_ group: Int, of groups: Int) -> Tensor {
    let count = shape[1] / groups
    return AxisSlice(axis: 1, group * count..<(group + 1) * count).forward([self])
  }
}
