import Kernels

/// svPN: the largest singular value of each matrix is replaced by its root, the others are divided by that root. One step
/// of power iteration from a learned vector finds it (So-ViT, Xie et al. 2021, §3.3).
///
/// Inputs: matrices X `[B, d, d]` and the vector v `[d]`; result `[B, d, d]`. u = Xv/‖Xv‖, w = Xᵀu/‖Xᵀu‖, σ = ‖Xᵀu‖;
/// Y = √σ u wᵀ + (X − σ u wᵀ)/(√σ + eps). Where Xv = 0 the result is 0.
public struct SingularValueNormalization: TensorOperation {
  /// Added to the root that divides.
  public var eps: Double

  /// The operation.
  public init(eps: Double = 1e-5) { self.eps = eps }

  public func outputShape(_ inputs: [Shape]) -> Shape {
    require(
      inputs.count == 2 && inputs[0].rank == 3 && inputs[0][1] == inputs[0][2] && inputs[1] == [inputs[0][1]],
      "expected [B, d, d] and [d]", inputs)
    return inputs[0]
  }

  public func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    let (d, x, v, y) = (inputs[1].scalarCount, inputs[0].pointer, inputs[1].pointer, result.baseAddress!)
    WorkerPool.shared.forEach(inputs[0].shape[0]) { sample in
      let (source, target) = (x + sample * d * d, y + sample * d * d)
      withScratch(of: Scalar.self, 2 * d) { u in
        guard let step = PowerStep(source, v, size: d, u: u, w: u + d, eps: eps) else {
          return fill(target, with: 0, count: d * d)
        }
        scaled(source, by: Scalar(step.rest), into: target, count: d * d)
        addProduct(u, u + d, times: Scalar(step.leading), to: target, size: d)
      }
    }
  }

  public var pullbackNeeds: PullbackNeeds { .inputs }

  /// With Y = a X + b u wᵀ, a = 1/(√σ + eps) and b = √σ − a σ, walked backwards through the power step: G reaches X through
  /// a, b, u = Xv/‖Xv‖ and w = Xᵀu/‖Xᵀu‖, and v through u.
  public func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (shape, d) = (application.inputs[0].shape, application.inputs[1].scalarCount)
    let (x, v, g) = (application.inputs[0].pointer, application.inputs[1].pointer, gradient.pointer)
    let parts = Tensor<Scalar>([shape[0], d], repeating: 0)
    let result = Tensor<Scalar>(shape) { result in
      WorkerPool.shared.forEach(shape[0]) { sample in
        let (source, slope, target) = (
          x + sample * d * d, g + sample * d * d, result.baseAddress! + sample * d * d
        )
        withScratch(of: Scalar.self, 6 * d) { u in
          let (w, du, dw, dp) = (u + d, u + 2 * d, u + 3 * d, u + 4 * d)
          let product = u + 5 * d
          guard let step = PowerStep(source, v, size: d, u: u, w: w, eps: eps) else {
            return fill(target, with: 0, count: d * d)
          }
          let (matrix, gradient) = (
            MatrixView(source, rows: d, columns: d), MatrixView(slope, rows: d, columns: d)
          )
          multiply(gradient, vector: w, into: du)
          let leadingSlope = dot(u, du, count: d)
          scaled(du, by: Scalar(step.leading), into: du, count: d)
          multiply(gradient.transposed, vector: u, into: dw)
          scaled(dw, by: Scalar(step.leading), into: dw, count: d)
          // ∂q for q = Xᵀu, σ = ‖q‖, w = q/σ, in the place of ∂w.
          let valueSlope =
            dot(slope, source, count: d * d) * step.restSlope + leadingSlope * step.leadingSlope
          project(dw, away: w, dividing: step.value, adding: valueSlope, size: d)
          multiply(matrix, vector: dw, into: product)
          accumulate(product, times: 1, into: du, count: d)
          // ∂p for p = Xv, u = p/‖p‖.
          dp.update(from: du, count: d)
          project(dp, away: u, dividing: step.norm, adding: 0, size: d)
          scaled(slope, by: Scalar(step.rest), into: target, count: d * d)
          addProduct(u, dw, times: 1, to: target, size: d)
          addProduct(dp, v, times: 1, to: target, size: d)
          multiply(matrix.transposed, vector: dp, into: UnsafeMutablePointer(mutating: parts.pointer) + sample * d)
        }
      }
    }
    var vectorGradient = Tensor<Scalar>([d], repeating: 0)
    vectorGradient.withUnsafeMutableScalars { sum in
      for sample in 0..<shape[0] { accumulate(parts.pointer + sample * d, times: 1, into: sum.baseAddress!, count: d) }
    }
    return [result, vectorGradient]
  }

  /// x ← (x − ⟨x, unit⟩ unit) / divisor + more · unit.
  private func project<Scalar: RealScalar>(
    _ x: UnsafeMutablePointer<Scalar>, away unit: UnsafePointer<Scalar>, dividing divisor: Double, adding more: Double,
    size: Int
  ) {
    let along = dot(x, unit, count: size)
    scaled(x, by: Scalar(1 / divisor), into: x, count: size)
    accumulate(unit, times: Scalar(more - along / divisor), into: x, count: size)
  }
}

/// One step of power iteration, and what is made of the value it finds.
private struct PowerStep {
  /// ‖Xv‖ and σ.
  let norm, value: Double
  /// a and b of Y = a X + b u wᵀ.
  let rest, leading: Double
  /// Their derivatives by σ.
  let restSlope, leadingSlope: Double

  /// Writes u and w; `nil` where Xv = 0.
  init?<Scalar: RealScalar>(
    _ x: UnsafePointer<Scalar>, _ v: UnsafePointer<Scalar>, size d: Int, u: UnsafeMutablePointer<Scalar>,
    w: UnsafeMutablePointer<Scalar>, eps: Double
  ) {
    let matrix = MatrixView(x, rows: d, columns: d)
    multiply(matrix, vector: v, into: u)
    norm = sumOfSquares(u, count: d).squareRoot()
    guard norm != 0 else { return nil }
    scaled(u, by: Scalar(1 / norm), into: u, count: d)
    multiply(matrix.transposed, vector: u, into: w)
    value = sumOfSquares(w, count: d).squareRoot()
    guard value != 0 else { return nil }
    scaled(w, by: Scalar(1 / value), into: w, count: d)
    let root = value.squareRoot()
    rest = 1 / (root + eps)
    leading = root - value * rest
    restSlope = -rest * rest / (2 * root)
    leadingSlope = 1 / (2 * root) - rest - value * restSlope
  }
}

/// y ← y + factor · a bᵀ.
private func addProduct<Scalar: RealScalar>(
  _ a: UnsafePointer<Scalar>, _ b: UnsafePointer<Scalar>, times factor: Scalar, to y: UnsafeMutablePointer<Scalar>,
  size: Int
) {
  for i in 0..<size { accumulate(b, times: factor * a[i], into: y + i * size, count: size) }
}
