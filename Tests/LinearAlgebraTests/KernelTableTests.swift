import Kernels
import LinearAlgebra
import TestSupport
import Testing

private func numbers<Scalar: RealScalar>(_ name: String, _ count: Int) -> [Scalar] {
  unit(name, count: count).map { Scalar($0) }
}

private func window(_ size: Int, stride: Int) -> covpool_window {
  let out = (size + 2 - 3) / stride + 1
  var window = covpool_window()
  (window.channels, window.height, window.width) = (3, size, size)
  (window.kernel_height, window.kernel_width, window.stride, window.dilation) = (3, 3, stride, 1)
  (window.pad_top, window.pad_left, window.out_height, window.out_width) = (1, 1, out, out)
  return window
}

/// A kernel and what it makes of inputs of some size.
private struct Kernel<Scalar: RealScalar>: Sendable {
  let name: String
  /// Whether it rounds at most once, so that no instruction set gives other bits.
  var isExact = false
  let results: @Sendable (_ size: Int) -> [Scalar]
}

private func kernels<Scalar: RealScalar>(_: Scalar.Type) -> [Kernel<Scalar>] {
  let all = Scalar.routines.kernels
  @Sendable func filled(_ count: Int, _ body: (UnsafeMutablePointer<Scalar>) -> Void) -> [Scalar] {
    var y: [Scalar] = numbers("y", count)
    y.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    return y
  }
  @Sendable func x(_ count: Int) -> [Scalar] { numbers("x", count) }
  /// Beyond both of ReLU6's bounds, with what is not a number.
  @Sendable func wide(_ count: Int) -> [Scalar] { x(count).enumerated().map { $0 == 3 ? .nan : $1 * 9 } }
  var list: [Kernel<Scalar>] = []
  for activation in [COVPOOL_IDENTITY, COVPOOL_RELU, COVPOOL_RELU6] {
    list += [
      Kernel(name: "activate \(activation)", isExact: true) { n in
        filled(n) { all.activate(activation, wide(n), $0, n) }
      },
      Kernel(name: "activation_gradient \(activation)", isExact: true) { n in
        filled(n) { all.activationGradient(activation, wide(n), x(n), $0, n) }
      },
      Kernel(name: "epilogue \(activation)") { n in
        filled(3 * n) { all.epilogue($0, n, x(3), wide(3 * n), n, activation, 3, n) }
      },
      Kernel(name: "batch_affine \(activation)") { n in
        var batch = covpool_batch(images: 2, image_size: 3 * n, channels: 3, pixels: n)
        return filled(6 * n) { all.batchAffine(&batch, x(6 * n), wide(3), x(3), wide(6 * n), activation, $0) }
      },
      Kernel(name: "batch_gradient_sums \(activation)") { n in
        var batch = covpool_batch(images: 2, image_size: 3 * n, channels: 3, pixels: n)
        var (sums, products) = ([Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3))
        let masked = filled(6 * n) {
          all.batchGradientSums(&batch, x(6 * n), x(6 * n), activation, wide(6 * n), x(3), $0, &sums, &products)
        }
        return (sums + products).map { Scalar($0) } + (activation == COVPOOL_IDENTITY ? [] : masked)
      },
      Kernel(name: "batch_combine \(activation)") { n in
        var batch = covpool_batch(images: 2, image_size: 3 * n, channels: 3, pixels: n)
        return filled(6 * n) {
          all.batchCombine(&batch, x(3), x(6 * n), activation, wide(6 * n), wide(3), x(6 * n), x(3), $0)
        }
      },
    ]
  }
  list += [
    Kernel(name: "add", isExact: true) { n in filled(n) { all.add(x(n), wide(n), $0, n) } },
    Kernel(name: "subtract", isExact: true) { n in filled(n) { all.subtract(x(n), wide(n), $0, n) } },
    Kernel(name: "multiply", isExact: true) { n in filled(n) { all.multiply(x(n), wide(n), $0, n) } },
    Kernel(name: "drop", isExact: true) { n in filled(n) { all.drop(wide(n), x(n), 0.1, 1.25, $0, n) } },
    Kernel(name: "sum_rows") { n in
      var (sums, sum) = ([Double](repeating: 0, count: 5), 0.0)
      all.sumRows(x(n * 7), 7, n, 5, &sums)
      all.sumRows(x(n), 1, n, 1, &sum)
      return (sums + [sum]).map { Scalar($0) }
    },
    Kernel(name: "scale", isExact: true) { n in filled(n) { all.scale(x(n), 0.3, $0, n) } },
    Kernel(name: "accumulate") { n in filled(n) { all.accumulate(0.3, x(n), $0, n) } },
    Kernel(name: "blend") { n in filled(n) { all.blend(x(n), 0.3, $0, n) } },
    Kernel(name: "dot") { n in [Scalar(all.dot(x(n), numbers("y", n), n))] },
    Kernel(name: "all_finite", isExact: true) { n in
      [Scalar(all.allFinite(x(n), n)), n > 3 ? Scalar(all.allFinite(wide(n), n)) : 0]
    },
    Kernel(name: "to_double", isExact: true) { n in
      var y = [Double](repeating: 0, count: n)
      all.toDouble(x(n), &y, n)
      return y.map { Scalar($0) }
    },
    Kernel(name: "from_double", isExact: true) { n in
      filled(n) { all.fromDouble(x(n).map { Double($0) / 3 }, $0, n) }
    },
    Kernel(name: "multiply_by_double", isExact: true) { n in
      filled(n) { all.multiplyByDouble(x(n).map { Double($0) / 3 }, $0, n) }
    },
    Kernel(name: "signed_root", isExact: true) { n in filled(n) { all.signedRoot(x(n), 1e-3, $0, n) } },
    Kernel(name: "signed_root_gradient") { n in filled(n) { all.signedRootGradient(x(n), 1e-3, wide(n), $0, n) } },
    Kernel(name: "uniform") { n in filled(n) { all.uniform(7, 5, -1, 2, $0, n) } },
    Kernel(name: "normal", isExact: true) { n in filled(n) { all.normal(7, 5, 2, $0, n) } },
    Kernel(name: "sgd_step") { n in
      var velocity = x(n)
      return filled(n) { all.sgdStep($0, wide(n), &velocity, 0.1, 0.9, 1e-2, n % 2 == 0 ? 1 : 0, n) } + velocity
    },
    Kernel(name: "adamw_step") { n in
      var (mean, square) = (x(n), x(n).map { $0 * $0 })
      return filled(n) { all.adamWStep($0, wide(n), &mean, &square, 0.99, 0.9, 0.99, 0.1, 1.5, 1e-3, n) } + mean
        + square
    },
    Kernel(name: "upper_triangle", isExact: true) { n in
      filled(n * (n + 1) / 2) { all.upperTriangle(x(n * n), $0, n) }
    },
    Kernel(name: "from_upper_triangle", isExact: true) { n in
      filled(n * n) { all.fromUpperTriangle(x(n * (n + 1) / 2), $0, n) }
    },
    Kernel(name: "mirror_upper", isExact: true) { n in filled(n * n) { all.mirrorUpper($0, n) } },
    Kernel(name: "mirror_lower", isExact: true) { n in filled(n * n) { all.mirrorLower($0, n) } },
    Kernel(name: "transpose", isExact: true) { n in filled(n * 5) { all.transpose(x(n * 5), 5, n, 5, $0, n) } },
    Kernel(name: "plus_transpose", isExact: true) { n in filled(n * n) { all.plusTranspose(x(n * n), $0, n) } },
    Kernel(name: "combine") { n in
      filled(n * n) { all.combine(0.3, x(n * n), -0.7, numbers("z", n * n), 1.1, $0, n) }
    },
    Kernel(name: "symmetrize") { n in filled(n * n) { all.symmetrize(0.3, x(n * n), -0.7, $0, n) } },
    Kernel(name: "center") { n in
      var largest = 0.0
      return filled(3 * n) { largest = all.center(x(3 * n), 0.7, $0, 3, n) } + [Scalar(largest)]
    },
    Kernel(name: "center_to_double") { n in
      var y = [Double](repeating: 0, count: 3 * n)
      let largest = all.centerToDouble(x(3 * n), 0.7, &y, 3, n)
      return (y + [largest]).map { Scalar($0) }
    },
    Kernel(name: "row_means") { n in filled(3) { all.rowMeans(x(3 * n), $0, 3, n) } },
    Kernel(name: "batch_moments") { n in
      var batch = covpool_batch(images: 2, image_size: 3 * n, channels: 3, pixels: n)
      var (means, variances) = ([Double](repeating: 0, count: 3), [Double](repeating: 0, count: 3))
      all.batchMoments(&batch, x(6 * n), &means, &variances)
      return (means + variances).map { Scalar($0) }
    },
    Kernel(name: "layer_norm") { n in filled(n) { all.layerNorm(x(n), 0.1, 1.7, wide(n), x(n), $0, n) } },
    Kernel(name: "layer_norm_gradient") { n in
      var (weight, bias) = (x(n), x(n))
      let g: [Scalar] = numbers("g", n)
      return filled(n) { all.layerNormGradient(x(n), 0.1, 1.7, numbers("w", n), g, $0, &weight, &bias, n) } + weight
        + bias
    },
  ]
  for stride in [1, 2, 3] {
    list += [
      Kernel(name: "im2col, stride \(stride)", isExact: true) { n in
        var w = window(n, stride: stride)
        let pixels = w.out_height * w.out_width
        return filled(27 * pixels) { all.im2col(&w, x(3 * n * n), 0, pixels, $0) }
      },
      Kernel(name: "col2im, stride \(stride)") { n in
        var w = window(n, stride: stride)
        let pixels = w.out_height * w.out_width
        return filled(3 * n * n) { all.col2im(&w, x(27 * pixels), 0, pixels, $0) }
      },
      Kernel(name: "depthwise_convolve, stride \(stride)") { n in
        var w = window(n, stride: stride)
        var scratch = x(all.depthwiseScratch(&w) + 1)
        return filled(3 * w.out_height * w.out_width) {
          all.depthwiseConvolve(
            &w, x(3 * n * n), x(27), x(3), wide(3 * w.out_height * w.out_width), COVPOOL_RELU6, 0, 3, &scratch, $0)
        }
      },
      Kernel(name: "depthwise_input_gradient, stride \(stride)") { n in
        var w = window(n, stride: stride)
        var scratch = x(all.depthwiseScratch(&w) + 1)
        return filled(3 * n * n) {
          all.depthwiseInputGradient(
            &w, x(3 * w.out_height * w.out_width), numbers("w", 27), x(3 * n * n), 0, 3, &scratch, $0)
        }
      },
      Kernel(name: "depthwise_weight_gradient, stride \(stride)") { n in
        var w = window(n, stride: stride)
        var (scratch, sums) = (x(all.depthwiseScratch(&w) + 1), [Double](repeating: 0, count: 27))
        all.depthwiseWeightGradient(&w, x(3 * n * n), x(3 * w.out_height * w.out_width), 0, 3, &scratch, &sums)
        return sums.map { Scalar($0) }
      },
      Kernel(name: "max_pool, stride \(stride)", isExact: true) { n in
        var (w, row) = (window(n, stride: stride), x(n))
        return filled(3 * w.out_height * w.out_width) { all.maxPool(&w, wide(3 * n * n), $0, &row) }
      },
      Kernel(name: "max_pool_gradient, stride \(stride)", isExact: true) { n in
        var w = window(n, stride: stride)
        return filled(3 * n * n) {
          all.maxPoolGradient(&w, wide(3 * n * n), x(3 * w.out_height * w.out_width), $0)
        }
      },
      Kernel(name: "average_pool, stride \(stride)") { n in
        var w = window(n, stride: stride)
        return filled(3 * w.out_height * w.out_width) { all.averagePool(&w, x(3 * n * n), $0) }
      },
      Kernel(name: "average_pool_gradient, stride \(stride)") { n in
        var w = window(n, stride: stride)
        return filled(3 * n * n) { all.averagePoolGradient(&w, x(3 * w.out_height * w.out_width), $0) }
      },
      Kernel(name: "pad_channels, stride \(stride)", isExact: true) { n in
        var w = window(n, stride: stride)
        (w.out_height, w.out_width) = ((n - 1) / stride + 1, (n - 1) / stride + 1)
        return filled(6 * w.out_height * w.out_width) { all.padChannels(&w, x(3 * n * n), 1, 2, $0) }
      },
      Kernel(name: "pad_channels_gradient, stride \(stride)", isExact: true) { n in
        var w = window(n, stride: stride)
        (w.out_height, w.out_width) = ((n - 1) / stride + 1, (n - 1) / stride + 1)
        return filled(3 * n * n) {
          all.padChannelsGradient(&w, x(6 * w.out_height * w.out_width), 1, 2, $0)
        }
      },
    ]
  }
  return list
}

/// The same inputs through the tables of all instruction sets: those that this processor has not are the next lesser's.
@Suite(.serialized) struct KernelTableTests {
  @Test func `The limit reaches the table`() {
    for level in 0...2 {
      withInstructions(ofLevel: level) { #expect(covpool_processor_level() <= level) }
    }
    withInstructions(ofLevel: 0) { #expect(covpool_processor_level() == 0) }
  }

  @Test(arguments: [1, 7, 16, 35, 70]) func `Every kernel in single precision`(_ size: Int) {
    // Fused multiplication rounds once where the baseline rounds twice.
    compare(Float.self, size, tolerance: 4e-6)
  }

  @Test(arguments: [1, 7, 16, 35, 70]) func `Every kernel in double precision`(_ size: Int) {
    compare(Double.self, size, tolerance: 1e-14)
  }

  private func compare<Scalar: RealScalar>(_: Scalar.Type, _ size: Int, tolerance: Scalar) {
    for kernel in kernels(Scalar.self) {
      let results = (0...2).map { level in withInstructions(ofLevel: level) { kernel.results(size) } }
      // Sums cancel: rounding is small beside the largest result.
      let scale = results[0].filter(\.isFinite).reduce(1) { max($0, abs($1)) }
      for (level, result) in results.enumerated().dropFirst() {
        let isSame = zip(results[0], result).allSatisfy { want, got in
          if want.isNaN || got.isNaN { return want.isNaN && got.isNaN }
          return want == got || !kernel.isExact && abs(want - got) <= tolerance * scale
        }
        #expect(isSame && results[0].count == result.count, "\(kernel.name) of \(Scalar.name), level \(level)")
      }
    }
  }

  @Test(arguments: [1, 2, 40, 131]) func `Eigenvalues of the secular equation`(_ size: Int) throws {
    let symmetric = symmetricMatrix(size, seed: 7, as: Double.self)
    let values = try (0...2).map { level in
      try withInstructions(ofLevel: level) {
        var (matrix, values) = (symmetric, [Double](repeating: 0, count: size))
        try SymmetricEigensolver<Double>(size: size).decompose(&matrix, values: &values)
        return values
      }
    }
    for got in values.dropFirst() {
      #expect(zip(values[0], got).allSatisfy { abs($0 - $1) <= 1e-12 * Double(size) })
    }
  }
}
