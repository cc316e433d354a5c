import Kernels

/// What is done to a convolution's output while it is in cache.
package struct Epilogue<Scalar: RealScalar> {
  /// Added to each output channel.
  package var bias: UnsafePointer<Scalar>?
  /// Features of the output's shape that are added.
  package var residual: UnsafePointer<Scalar>?
  /// Applied last.
  package var activation = Activation.identity

  package init(
    bias: UnsafePointer<Scalar>? = nil, residual: UnsafePointer<Scalar>? = nil, activation: Activation = .identity
  ) {
    (self.bias, self.residual, self.activation) = (bias, residual, activation)
  }

  fileprivate var isEmpty: Bool { bias == nil && residual == nil && activation == .identity }
}

/// A way to convolve. `allCases` are those that can be asked for.
public enum ConvolutionAlgorithm: String, Sendable, CaseIterable {
  public static let allCases: [ConvolutionAlgorithm] = [.blas, .direct, .strassen, .winograd]

  /// im2col and products by BLAS, in either precision.
  case blas
  /// Columns packed and multiplied tile by tile: `Kernels/convolution/convolution.c`.
  case direct
  /// 1×1 convolution with seven products in place of eight, by Strassen's method: `Kernels/convolution/strassen.c`.
  case strassen
  /// Winograd's F(4×4, 3×3): `Kernels/winograd/`.
  case winograd
  /// Each channel by itself, where every channel is a group: `Kernels/depthwise/`.
  case depthwise

  /// Whether this is a way to convolve such a window in this precision.
  func applies<Scalar: RealScalar>(to geometry: covpool_window, outputChannels: Int, _: Scalar.Type) -> Bool {
    guard self != .blas else { return true }
    guard Scalar.routines.packed != nil, geometry.dilation == 1 else { return false }
    return withUnsafePointer(to: geometry) {
      switch self {
      case .strassen: covpool_strassen_applies($0, outputChannels) != 0
      case .winograd: covpool_winograd_applies($0) != 0
      case .depthwise: false
      case .blas, .direct: true
      }
    }
  }

  /// The algorithm for weights that are used again and again: one for all batches, so that an image's result is the same to
  /// the bit in each of them.
  ///
  /// A single image of 7×7 pixels would be better off without Winograd's, having 4 tiles for 16 lanes; from the second
  /// image on it is not. Strassen's for smaller images would save a percent of the time of a batch of eight, and cost ten
  /// of a single image's.
  static func best<Scalar: RealScalar>(
    _ geometry: covpool_window, outputChannels: Int, for _: Scalar.Type
  ) -> ConvolutionAlgorithm {
    best(
      geometry, outputChannels: outputChannels, pixels: geometry.out_height * geometry.out_width, for: Scalar.self)
  }

  /// The algorithm for weights that are used once, as in a step of training: transforming them must pay as well.
  static func best<Scalar: RealScalar>(
    _ geometry: covpool_window, outputChannels: Int, batch: Int, for _: Scalar.Type
  ) -> ConvolutionAlgorithm {
    let pixels = batch * geometry.out_height * geometry.out_width
    let best = best(geometry, outputChannels: outputChannels, pixels: pixels, for: Scalar.self)
    return best == .winograd && pixels < 512 ? .direct : best
  }

  /// Winograd's and Strassen's methods wherever they apply and there are enough channels to pay for their sums, and for
  /// Strassen's sums of the weights enough pixels.
  private static func best<Scalar: RealScalar>(
    _ geometry: covpool_window, outputChannels: Int, pixels: Int, for _: Scalar.Type
  ) -> ConvolutionAlgorithm {
    guard Scalar.preferredPackedKernels != nil, geometry.dilation == 1 else { return .blas }
    func pays(_ algorithm: ConvolutionAlgorithm, from channels: (input: Int, output: Int)) -> Bool {
      geometry.channels >= channels.input && outputChannels >= channels.output
        && algorithm.applies(to: geometry, outputChannels: outputChannels, Scalar.self)
    }
    if pays(.winograd, from: (16, 16)) { return .winograd }
    return pixels >= 1024 && pays(.strassen, from: (128, 64)) ? .strassen : .direct
  }
}

/// A convolution's weights in the form that its algorithm reads.
package struct ConvolutionWeights<Scalar: RealScalar>: Sendable {
  /// Output channels.
  package let outputChannels: Int
  /// How they are convolved with.
  package let algorithm: ConvolutionAlgorithm
  let tensor: Tensor<Scalar>
  /// `[O]`, what the sums are multiplied by.
  fileprivate let scales: Tensor<Scalar>?
  /// The weights of each group where there are several; `tensor` is empty then.
  let groups: [ConvolutionWeights]

  /// The weights `[O, C / groups, h, w]` of a convolution, times the scale `[O]` if there is one, prepared for the
  /// algorithm or the one that is best for many uses.
  /// - Parameter geometry: sizes of all groups together.
  package init(
    _ weight: Tensor<Scalar>, scale: Tensor<Scalar>? = nil, for geometry: covpool_window, groups: Int = 1,
    algorithm: ConvolutionAlgorithm? = nil
  ) {
    guard groups == 1 else {
      self.init(weight, scale: scale, for: geometry, severalGroups: groups, algorithm: algorithm)
      return
    }
    let taps = weight.shape[2] * weight.shape[3], outputChannels = weight.shape[0]
    let forced = algorithm.flatMap {
      $0.applies(to: geometry, outputChannels: outputChannels, Scalar.self) ? $0 : nil
    }
    self.init(
      weight, for: geometry, outputChannels: outputChannels, strides: (weight.shape[1] * taps, taps), flipped: false,
      scale: scale, algorithm: forced ?? .best(geometry, outputChannels: outputChannels, for: Scalar.self))
  }

  /// Weights whose element for output o, input c and tap t is `weight[o * strides.output + c * strides.input + t]`, with
  /// the taps in reverse if `flipped`.
  init(
    _ weight: Tensor<Scalar>, for geometry: covpool_window, outputChannels: Int, strides: (output: Int, input: Int),
    flipped: Bool, scale: Tensor<Scalar>? = nil, algorithm: ConvolutionAlgorithm
  ) {
    (self.outputChannels, self.algorithm, groups) = (outputChannels, algorithm, [])
    var window = geometry
    let from = weight.pointer
    /// Calls `body` with each panel of output channels, spread over the pool.
    func forEachPanel(_ body: (_ window: UnsafePointer<covpool_window>, _ panel: Int) -> Void) {
      WorkerPool.shared.forEach((outputChannels + panelSize - 1) / panelSize) { panel in
        withUnsafePointer(to: geometry) { body($0, panel) }
      }
    }
    var factors = scale
    scales =
      algorithm != .strassen
      ? nil
      : Tensor([outputChannels]) { scales in
        factors = Tensor([outputChannels]) { factors in
          let (factors, scales) = (factors.baseAddress!, scales.baseAddress!)
          forEachPanel { window, panel in
            Scalar.routines.packed?.strassenScales(
              window, from, strides.output, strides.input, scale?.pointer, panel * panelSize,
              min((panel + 1) * panelSize, outputChannels), factors, scales)
          }
        }
      }
    switch algorithm {
    case .blas, .depthwise:
      check(!flipped, "weights for \(algorithm) stay as they are")
      tensor = weight.scaledRows(scale)
    case .direct, .strassen:
      tensor = Tensor([covpool_packed_weights_size(&window, outputChannels)]) { packed in
        let (to, factors) = (packed.baseAddress!, factors?.pointer)
        forEachPanel { window, panel in
          Scalar.routines.packed?.packWeights(
            window, outputChannels, from, strides.output, strides.input, flipped ? 1 : 0, factors, panel, panel + 1, to)
        }
      }
    case .winograd:
      tensor = Tensor([covpool_winograd_weights_size(&window, outputChannels)]) { transformed in
        let to = transformed.baseAddress!
        forEachPanel { window, panel in
          Scalar.routines.packed?.winogradWeights(
            window, outputChannels, from, strides.output, strides.input, flipped ? 1 : 0, scale?.pointer, panel,
            panel + 1, to)
        }
      }
    }
  }
}

extension ConvolutionWeights {
  private init(
    _ weight: Tensor<Scalar>, scale: Tensor<Scalar>?, for geometry: covpool_window, severalGroups count: Int,
    algorithm: ConvolutionAlgorithm?
  ) {
    let outputs = weight.shape[0]
    if geometry.channels == count, outputs == count, algorithm != .blas {
      self.init(outputChannels: outputs, algorithm: .depthwise, tensor: weight.scaledRows(scale), groups: [])
      return
    }
    let part = geometry.ofGroup(count)
    let weights = (0..<count).map { group in
      ConvolutionWeights(
        weight.group(group, of: count), scale: scale?.group(group, of: count), for: part, algorithm: algorithm)
    }
    self.init(outputChannels: outputs, algorithm: weights[0].algorithm, tensor: Tensor([0], []), groups: weights)
  }

  private init(
    outputChannels: Int, algorithm: ConvolutionAlgorithm, tensor: Tensor<Scalar>, groups: [ConvolutionWeights]
  ) {
    (self.outputChannels, self.algorithm, self.tensor) = (outputChannels, algorithm, tensor)
    (self.groups, scales) = (groups, nil)
  }
}

extension Tensor {
  /// Each row of the first axis times its scale, if there are scales.
  fileprivate func scaledRows(_ scale: Tensor?) -> Tensor {
    guard let scale else { return self }
    return Tensor(shape) {
      multiplyRows(
        pointer, by: scale.pointer, into: $0.baseAddress!, rows: shape[0], columns: scalarCount / max(shape[0], 1))
    }
  }
}

/// Output channels of a panel of weights, and pixels or Winograd's tiles that are multiplied at once.
let panelSize = Int(COVPOOL_PANEL), tileSize = Int(COVPOOL_TILE)

/// Convolves a batch in the way that the weights are prepared for; the work is spread over the pool.
package func convolve<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, input: UnsafePointer<Scalar>, weights: ConvolutionWeights<Scalar>,
  epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  guard weights.groups.isEmpty else {
    return convolveGroups(
      geometry, batch: batch, input: input, weights: weights, epilogue: epilogue, output: output)
  }
  guard weights.algorithm != .depthwise else {
    return depthwiseConvolve(
      geometry, batch: batch, input: input, weights: weights.tensor.pointer, bias: epilogue.bias,
      residual: epilogue.residual, activation: epilogue.activation, output: output)
  }
  guard weights.algorithm != .blas, let packed = Scalar.routines.packed else {
    convolveByProducts(
      geometry, batch: batch, outputChannels: weights.outputChannels, input: input, weight: weights.tensor.pointer,
      epilogue: epilogue, output: output)
    return
  }
  let job = packed.convolution(
    geometry, batch, weights.outputChannels, input, weights.tensor.pointer, weights.scales?.pointer, epilogue.bias,
    epilogue.residual, epilogue.activation.kernel, output)
  switch weights.algorithm {
  case .winograd: convolveByWinograd(job)
  case .strassen: convolveByStrassen(job)
  case .direct, .blas, .depthwise: convolveDirectly(job)
  }
}

/// The batch's pixels, or where they are few its output channels, are shared out.
private func convolveDirectly(_ job: covpool_convolution) {
  let pixels = job.batch * job.window.out_height * job.window.out_width
  forEachPiece(
    of: job, tiles: (pixels + tileSize - 1) / tileSize, panels: (job.out_channels + panelSize - 1) / panelSize,
    scratch: { job, piece in covpool_convolution_scratch(job, piece.tiles.count) }, covpool_convolve)
}

/// The same with pairs of pixels and panels for each half of the output channels.
private func convolveByStrassen(_ job: covpool_convolution) {
  forEachPiece(
    of: job, tiles: withUnsafePointer(to: job, covpool_strassen_tiles),
    panels: job.out_channels / Int(COVPOOL_STRASSEN_PANEL),
    scratch: { job, piece in covpool_strassen_scratch(job, piece.panels.count) }, covpool_strassen)
}

/// Calls a kernel with all pieces of a convolution, spread over the pool, and with scratch for each.
private func forEachPiece(
  of job: covpool_convolution, tiles: Int, panels: Int,
  scratch: (UnsafePointer<covpool_convolution>, ConvolutionPieces.Piece) -> Int,
  _ kernel: (
    UnsafePointer<covpool_convolution>?, _ firstTile: Int, _ lastTile: Int, _ firstPanel: Int, _ lastPanel: Int,
    _ scratch: UnsafeMutablePointer<Float>?
  ) -> Void
) {
  let work = ConvolutionPieces(tiles: tiles, panels: panels, threads: WorkerPool.shared.width)
  WorkerPool.shared.forEach(work.count) { index in
    let piece = work[index]
    guard !piece.tiles.isEmpty, !piece.panels.isEmpty else { return }
    withUnsafePointer(to: job) { job in
      withScratch(of: Float.self, scratch(job, piece)) {
        kernel(
          job, piece.tiles.lowerBound, piece.tiles.upperBound, piece.panels.lowerBound, piece.panels.upperBound, $0)
      }
    }
  }
}

/// Output pixels of one product: enough that packing the weights is small beside multiplying, few enough that the
/// columns stay in the second-level cache.
private let pixelsPerPiece = 512

/// Convolves a batch by im2col and one product for each piece of an image; pieces are spread over the pool.
///
/// A 1×1 convolution of stride 1 multiplies the features where they are.
private func convolveByProducts<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, outputChannels: Int, input: UnsafePointer<Scalar>,
  weight: UnsafePointer<Scalar>, epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  let pixels = geometry.out_height * geometry.out_width
  let taps = geometry.channels * geometry.kernel_height * geometry.kernel_width
  let inputSize = geometry.channels * geometry.height * geometry.width
  let isPointwise = ConvolutionShapes(geometry, batch: batch, outputChannels: outputChannels).isPointwise
  let pool = WorkerPool.shared
  // A single image is work for several threads. For other numbers of columns BLAS rounds differently: so neither the batch
  // nor the threads have a say.
  let pieces = max((pixels + pixelsPerPiece - 1) / pixelsPerPiece, min(2, pixels / 64), 1)
  let longest = (pixels + pieces - 1) / pieces
  pool.forEach(batch * pieces) { index in
    let (image, piece) = (index / pieces, index % pieces)
    let range = piece * pixels / pieces..<(piece + 1) * pixels / pieces
    let features = input + image * inputSize
    let target = output + image * outputChannels * pixels + range.lowerBound
    let weights = MatrixView(weight, rows: outputChannels, columns: taps)
    if isPointwise {
      let columns = MatrixView(features + range.lowerBound, rows: taps, columns: range.count, stride: pixels)
      multiply(weights, columns, into: target, stride: pixels)
    } else {
      withScratch(of: Scalar.self, taps * longest) { columns in
        withUnsafePointer(to: geometry) {
          Scalar.routines.kernels.im2col($0, features, range.lowerBound, range.upperBound, columns)
        }
        multiply(
          weights, MatrixView(columns, rows: taps, columns: range.count), into: target, stride: pixels)
      }
    }
    if !epilogue.isEmpty {
      let residual = epilogue.residual.map { $0 + image * outputChannels * pixels + range.lowerBound }
      Scalar.routines.kernels.epilogue(
        target, pixels, epilogue.bias, residual, pixels, epilogue.activation.kernel, outputChannels, range.count)
    }
  }
}
