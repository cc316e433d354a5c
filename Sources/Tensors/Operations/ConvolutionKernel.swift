import Kernels

/// What is done to a convolution's output while it is in cache.
package struct Epilogue<Scalar: RealScalar> {
  /// Added to each output channel.
  package var bias: UnsafePointer<Scalar>?
  /// Features of the output's shape that are added.
  package var residual: UnsafePointer<Scalar>?
  /// Whether negative results become 0.
  package var relu = false

  package init(bias: UnsafePointer<Scalar>? = nil, residual: UnsafePointer<Scalar>? = nil, relu: Bool = false) {
    (self.bias, self.residual, self.relu) = (bias, residual, relu)
  }

  fileprivate var isEmpty: Bool { bias == nil && residual == nil && !relu }
}

/// A way to convolve.
public enum ConvolutionAlgorithm: String, Sendable, CaseIterable {
  /// im2col and products by BLAS, in either precision.
  case blas
  /// Columns packed and multiplied tile by tile: `Kernels/convolution.c`.
  case direct
  /// Winograd's F(4×4, 3×3): `Kernels/winograd.c`.
  case winograd

  /// Whether this is a way to convolve such a window in this precision.
  func applies<Scalar: RealScalar>(to geometry: covpool_window, _: Scalar.Type) -> Bool {
    switch self {
    case .blas: true
    case .direct: Scalar.self == Float.self
    case .winograd: Scalar.self == Float.self && withUnsafePointer(to: geometry) { covpool_winograd_applies($0) != 0 }
    }
  }

  /// The algorithm for weights that are used again and again.
  ///
  /// Winograd's method wherever it applies and there are enough channels to pay for its transforms. A single image of 7×7
  /// pixels would be better off without it, having 4 tiles for 16 lanes; from the second image on it is not.
  static func best<Scalar: RealScalar>(
    _ geometry: covpool_window, outputChannels: Int, for _: Scalar.Type
  ) -> ConvolutionAlgorithm {
    guard prefersKernels(Scalar.self) else { return .blas }
    let pays = min(geometry.channels, outputChannels) >= 16
    return pays && ConvolutionAlgorithm.winograd.applies(to: geometry, Scalar.self) ? .winograd : .direct
  }

  /// The algorithm for weights that are used once, as in a step of training: transforming them must pay as well.
  static func best<Scalar: RealScalar>(
    _ geometry: covpool_window, outputChannels: Int, batch: Int, for _: Scalar.Type
  ) -> ConvolutionAlgorithm {
    let best = best(geometry, outputChannels: outputChannels, for: Scalar.self)
    let pixels = batch * geometry.out_height * geometry.out_width
    return best == .winograd && pixels < 512 ? .direct : best
  }
}

/// A convolution's weights in the form that its algorithm reads.
package struct ConvolutionWeights<Scalar: RealScalar>: Sendable {
  /// Output channels.
  package let outputChannels: Int
  /// What the weights are prepared for.
  package let algorithm: ConvolutionAlgorithm
  fileprivate let tensor: Tensor<Scalar>

  /// The weights `[O, C, h, w]` of a convolution, times the scale `[O]` if there is one, prepared for the algorithm or the
  /// one that is best for many uses.
  package init(
    _ weight: Tensor<Scalar>, scale: Tensor<Scalar>? = nil, for geometry: covpool_window,
    algorithm: ConvolutionAlgorithm? = nil
  ) {
    let taps = weight.shape[2] * weight.shape[3]
    self.init(
      weight, for: geometry, outputChannels: weight.shape[0], strides: (weight.shape[1] * taps, taps), flipped: false,
      scale: scale,
      algorithm: algorithm.flatMap { $0.applies(to: geometry, Scalar.self) ? $0 : nil }
        ?? .best(geometry, outputChannels: weight.shape[0], for: Scalar.self))
  }

  /// Weights whose element for output o, input c and tap t is `weight[o * strides.output + c * strides.input + t]`, with
  /// the taps in reverse if `flipped`.
  init(
    _ weight: Tensor<Scalar>, for geometry: covpool_window, outputChannels: Int, strides: (output: Int, input: Int),
    flipped: Bool, scale: Tensor<Scalar>? = nil, algorithm: ConvolutionAlgorithm
  ) {
    (self.outputChannels, self.algorithm) = (outputChannels, algorithm)
    var window = geometry
    switch algorithm {
    case .blas:
      precondition(!flipped, "weights for BLAS stay as they are")
      tensor =
        scale.map { scale in
          Tensor(weight.shape) {
            multiplyRows(
              weight.pointer, by: scale.pointer, into: $0.baseAddress!, rows: outputChannels,
              columns: weight.scalarCount / max(outputChannels, 1))
          }
        } ?? weight
    case .direct:
      tensor = Tensor([covpool_packed_weights_size(&window, outputChannels)]) { packed in
        covpool_pack_weights(
          &window, outputChannels, weight.pointer.float, strides.output, strides.input, flipped ? 1 : 0,
          scale?.pointer.float, packed.baseAddress!.float)
      }
    case .winograd:
      tensor = Tensor([covpool_winograd_weights_size(&window, outputChannels)]) { transformed in
        let (from, to) = (weight.pointer.float, transformed.baseAddress!.float)
        WorkerPool.shared.forEach((outputChannels + panelSize - 1) / panelSize) { panel in
          withUnsafePointer(to: geometry) {
            covpool_winograd_weights(
              $0, outputChannels, from, strides.output, strides.input, flipped ? 1 : 0, scale?.pointer.float, panel,
              panel + 1, to)
          }
        }
      }
    }
  }
}

/// Output channels of a panel of weights, and pixels or Winograd's tiles that are multiplied at once.
let panelSize = Int(COVPOOL_PANEL), tileSize = Int(COVPOOL_TILE)

/// Convolves a batch by the algorithm that the weights are prepared for; the work is spread over the pool.
package func convolve<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, input: UnsafePointer<Scalar>, weights: ConvolutionWeights<Scalar>,
  epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  guard weights.algorithm != .blas else {
    convolveByProducts(
      geometry, batch: batch, outputChannels: weights.outputChannels, input: input, weight: weights.tensor.pointer,
      epilogue: epilogue, output: output)
    return
  }
  var job = covpool_convolution()
  job.window = geometry
  (job.batch, job.out_channels) = (batch, weights.outputChannels)
  (job.x, job.weights, job.y) = (input.float, weights.tensor.pointer.float, output.float)
  (job.bias, job.residual) = (epilogue.bias?.float, epilogue.residual?.float)
  job.relu = epilogue.relu ? 1 : 0
  if weights.algorithm == .winograd { convolveByWinograd(job) } else { convolveDirectly(job) }
}

/// The batch's pixels, or where they are few its output channels, are shared out.
private func convolveDirectly(_ job: covpool_convolution) {
  let work = ConvolutionPieces(job, threads: WorkerPool.shared.width)
  WorkerPool.shared.forEach(work.count) { index in
    withUnsafePointer(to: job) { job in
      let (tiles, panels) = (work.tiles(index), work.panels(index))
      withScratch(of: Float.self, covpool_convolution_scratch(job, tiles.count)) { scratch in
        covpool_convolve(
          job, tiles.lowerBound, tiles.upperBound, panels.lowerBound, panels.upperBound, scratch)
      }
    }
  }
}

/// How a convolution is cut: into runs of tiles, and into groups of panels where there are few tiles.
private struct ConvolutionPieces {
  let tileCount: Int, panelCount: Int
  let runs: Int, groups: Int

  init(_ job: covpool_convolution, threads: Int) {
    let pixels = job.batch * job.window.out_height * job.window.out_width
    tileCount = (pixels + Int(COVPOOL_TILE) - 1) / Int(COVPOOL_TILE)
    panelCount = (job.out_channels + Int(COVPOOL_PANEL) - 1) / Int(COVPOOL_PANEL)
    // A run of 32 tiles reuses each weight 1024 times; every thread gets as many runs as the others.
    let wanted = (tileCount + 31) / 32
    if tileCount >= 8 * threads {
      runs = (wanted + threads - 1) / threads * threads
      groups = 1
    } else {
      runs = max(1, min(wanted, tileCount))
      groups = max(1, min(threads, panelCount))
    }
  }

  var count: Int { runs * groups }

  func tiles(_ index: Int) -> Range<Int> {
    let run = index / groups
    return run * tileCount / runs..<(run + 1) * tileCount / runs
  }

  func panels(_ index: Int) -> Range<Int> {
    let group = index % groups
    return group * panelCount / groups..<(group + 1) * panelCount / groups
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
  let pieces = max((pixels + pixelsPerPiece - 1) / pixelsPerPiece, min(pool.width / max(batch, 1), pixels / 64), 1)
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
        im2col(geometry, features, pixels: range, into: columns)
        multiply(
          weights, MatrixView(columns, rows: taps, columns: range.count), into: target, stride: pixels)
      }
    }
    if !epilogue.isEmpty {
      let residual = epilogue.residual.map { $0 + image * outputChannels * pixels + range.lowerBound }
      finish(
        target, stride: pixels, bias: epilogue.bias, residual: residual, relu: epilogue.relu, rows: outputChannels,
        columns: range.count)
    }
  }
}

func im2col<Scalar: RealScalar>(
  _ geometry: covpool_window, _ x: UnsafePointer<Scalar>, pixels: Range<Int>, into columns: UnsafeMutablePointer<Scalar>
) {
  withUnsafePointer(to: geometry) { window in
    forPrecision(
      of: Scalar.self,
      float: { covpool_im2col_f32(window, x.float, pixels.lowerBound, pixels.upperBound, columns.float) },
      double: { covpool_im2col_f64(window, x.double, pixels.lowerBound, pixels.upperBound, columns.double) })
  }
}

private func finish<Scalar: RealScalar>(
  _ y: UnsafeMutablePointer<Scalar>, stride: Int, bias: UnsafePointer<Scalar>?, residual: UnsafePointer<Scalar>?,
  relu: Bool, rows: Int, columns: Int
) {
  forPrecision(
    of: Scalar.self,
    float: {
      covpool_epilogue_f32(y.float, stride, bias?.float, residual?.float, stride, relu ? 1 : 0, rows, columns)
    },
    double: {
      covpool_epilogue_f64(y.double, stride, bias?.double, residual?.double, stride, relu ? 1 : 0, rows, columns)
    })
}
