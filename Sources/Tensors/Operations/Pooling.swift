import Kernels

/// The maximum over a sliding window; padding never wins.
///
/// Input `[B, C, H, W]`, result `[B, C, H′, W′]`.
public struct MaxPooling2d: TensorOperation {
  /// Size, stride and padding.
  public var window: Window

  /// Pooling over this window.
  public init(_ window: Window) { self.window = window }

  public func outputShape(_ inputs: [Shape]) -> Shape { pooledShape(self, window, inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    forEachPlane(window, inputs[0], result) { geometry, x, y in
      withScratch(of: Scalar.self, geometry.pointee.width) { row in
        Scalar.routines.kernels.maxPool(geometry, x, y, row)
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// Each gradient goes to the first largest pixel of its window, as in PyTorch.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let x = application.inputs[0]
    return [
      Tensor(x.shape) { result in
        forEachPlane(window, x, gradient, into: result) { geometry, x, g, target in
          Scalar.routines.kernels.maxPoolGradient(geometry, x, g, target)
        }
      }
    ]
  }
}

/// The mean over a sliding window; pixels of the padding do not count.
///
/// Input `[B, C, H, W]`, result `[B, C, H′, W′]`.
public struct AveragePooling2d: TensorOperation {
  /// Size, stride and padding.
  public var window: Window

  /// Pooling over this window.
  public init(_ window: Window) { self.window = window }

  public func outputShape(_ inputs: [Shape]) -> Shape { pooledShape(self, window, inputs) }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    forEachPlane(window, inputs[0], result) { geometry, x, y in
      Scalar.routines.kernels.averagePool(geometry, x, y)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  /// Each gradient is shared out evenly over the pixels of its window.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    return [
      Tensor(shape) { result in
        let (g, target) = (gradient.pointer, result.baseAddress!)
        let geometry = window.geometry(channels: 1, height: shape[2], width: shape[3])
        let (inputSize, outputSize) = (shape[2] * shape[3], geometry.out_height * geometry.out_width)
        WorkerPool.shared.forEach(shape[0] * shape[1]) { plane in
          let (from, to) = (g + plane * outputSize, target + plane * inputSize)
          withUnsafePointer(to: geometry) { geometry in
            Scalar.routines.kernels.averagePoolGradient(geometry, from, to)
          }
        }
      }
    ]
  }
}

/// The mean of each channel (GAP): `[B, C, H, W]` to `[B, C]`.
public struct GlobalAveragePooling: TensorOperation {
  /// The operation.
  public init() {}

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(inputs.count == 1 && inputs[0].rank >= 3, "expected [B, C, …]", inputs)
    require(inputs[0].dropFirst(2).reduce(1, *) > 0, "no pixels to take the mean of", inputs)
    return Shape(Array(inputs[0].prefix(2)))
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (shape, x, y) = (inputs[0].shape, inputs[0].pointer, result.baseAddress!)
    let (channels, pixels) = (shape[1], shape.dropFirst(2).reduce(1, *))
    WorkerPool.shared.forEach(shape[0]) { image in
      let (from, to) = (x + image * channels * pixels, y + image * channels)
      Scalar.routines.kernels.rowMeans(from, to, channels, pixels)
    }
  }

  public var pullbackNeeds: PullbackNeeds { [] }

  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let shape = application.inputs[0].shape
    let pixels = shape.dropFirst(2).reduce(1, *)
    return [
      Tensor(shape) { result in
        let (g, target) = (gradient.pointer, result.baseAddress!)
        WorkerPool.shared.forEach(shape[0]) { image in
          for plane in image * shape[1]..<(image + 1) * shape[1] {
            fill(target + plane * pixels, with: g[plane] / Scalar(pixels), count: pixels)
          }
        }
      }
    ]
  }
}

private func pooledShape(_ operation: some TensorOperation, _ window: Window, _ inputs: [Shape]) -> Shape {
  operation.require(inputs.count == 1 && inputs[0].rank == 4, "expected [B, C, H, W]", inputs)
  operation.require(window.dilation == 1, "pooling has no dilation", inputs)
  let out = window.outputSize(height: inputs[0][2], width: inputs[0][3])
  operation.require(out.height > 0 && out.width > 0, "the window does not fit", inputs)
  if case .symmetric(let pixels) = window.padding {
    operation.require(2 * pixels <= min(window.height, window.width), "padding of more than half the window", inputs)
  }
  return [inputs[0][0], inputs[0][1], out.height, out.width]
}

/// Calls `body` for every plane of a batch, spread over the pool.
private func forEachPlane<Scalar: RealScalar>(
  _ window: Window, _ input: Tensor<Scalar>, _ result: UnsafeMutableBufferPointer<Scalar>,
  _ body: (UnsafePointer<covpool_window>, UnsafePointer<Scalar>, UnsafeMutablePointer<Scalar>) -> Void
) {
  let (shape, x, y) = (input.shape, input.pointer, result.baseAddress!)
  let geometry = window.geometry(channels: 1, height: shape[2], width: shape[3])
  let (inputSize, outputSize) = (shape[2] * shape[3], geometry.out_height * geometry.out_width)
  WorkerPool.shared.forEach(shape[0] * shape[1]) { plane in
    withUnsafePointer(to: geometry) { body($0, x + plane * inputSize, y + plane * outputSize) }
  }
}

/// Calls `body` with every plane of the input, its pooled gradient and its gradient, spread over the pool.
private func forEachPlane<Scalar: RealScalar>(
  _ window: Window, _ input: Tensor<Scalar>, _ gradient: Tensor<Scalar>,
  into result: UnsafeMutableBufferPointer<Scalar>,
  _ body: (
    UnsafePointer<covpool_window>, UnsafePointer<Scalar>, UnsafePointer<Scalar>, UnsafeMutablePointer<Scalar>
  ) -> Void
) {
  let (shape, x, g, target) = (input.shape, input.pointer, gradient.pointer, result.baseAddress!)
  let geometry = window.geometry(channels: 1, height: shape[2], width: shape[3])
  let (inputSize, outputSize) = (shape[2] * shape[3], geometry.out_height * geometry.out_width)
  WorkerPool.shared.forEach(shape[0] * shape[1]) { plane in
    withUnsafePointer(to: geometry) {
      body($0, x + plane * inputSize, g + plane * outputSize, target + plane * inputSize)
    }
  }
}

extension Tensor {
  /// The mean of each channel: `[B, C, H, W]` to `[B, C]`.
  public func globalAverage() -> Tensor { GlobalAveragePooling().applied(to: self) }
}
