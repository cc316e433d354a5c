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

/// A convolution's weights in the order in which they are read: panels of output channels for the kernels, `[O, C, h, w]` as
/// they are for BLAS.
package struct ConvolutionWeights<Scalar: RealScalar>: Sendable {
  /// Output channels.
  package let outputChannels: Int
  fileprivate let tensor: Tensor<Scalar>

  /// The weights `[O, C, h, w]` of a convolution.
  package init(_ weight: Tensor<Scalar>, for geometry: covpool_window) {
    let taps = weight.shape[2] * weight.shape[3]
    self.init(
      weight, for: geometry, outputChannels: weight.shape[0], strides: (weight.shape[1] * taps, taps), flipped: false)
  }

  /// Weights whose element for output o, input c and tap t is `weight[o * strides.output + c * strides.input + t]`, with
  /// the taps in reverse if `flipped`.
  init(
    _ weight: Tensor<Scalar>, for geometry: covpool_window, outputChannels: Int, strides: (output: Int, input: Int),
    flipped: Bool
  ) {
    self.outputChannels = outputChannels
    guard usesPackedKernels(Scalar.self) else {
      precondition(!flipped, "weights for BLAS stay as they are")
      tensor = weight
      return
    }
    tensor = withUnsafePointer(to: geometry) { window in
      Tensor([covpool_packed_weights_size(window, outputChannels)]) { packed in
        covpool_pack_weights(
          window, outputChannels, weight.pointer.float, strides.output, strides.input, flipped ? 1 : 0,
          packed.baseAddress!.float)
      }
    }
  }
}

/// Whether convolutions run on `Kernels/convolution.c`: in single precision, and not in a debug build, where the compiler
/// leaves those loops as slow as they are written and BLAS is many times faster.
func usesPackedKernels<Scalar: RealScalar>(_: Scalar.Type) -> Bool {
  #if DEBUG
    return false
  #else
    return Scalar.self == Float.self
  #endif
}

/// Convolves a batch; its pixels, or where they are few its output channels, are spread over the pool.
///
/// In single precision by the kernels of `Kernels/convolution.c`, otherwise by im2col and BLAS.
package func convolve<Scalar: RealScalar>(
  _ geometry: covpool_window, batch: Int, input: UnsafePointer<Scalar>, weights: ConvolutionWeights<Scalar>,
  epilogue: Epilogue<Scalar>, output: UnsafeMutablePointer<Scalar>
) {
  guard usesPackedKernels(Scalar.self) else {
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
