import Tensors

/// The square root of the covariance of features `[B, d, …]`, by a root of matrices `[B, d, d]`.
///
/// Covariances are taken of features over a power of two, by which the root is multiplied: root(c² Σ) = c root(Σ). So it
/// is there for all features, though Σ itself, with its squares, would be out of the range of `Scalar`. Newton–Schulz
/// iterations may work on the Gram matrix instead: see `NewtonSchulz.Form`.
package struct CovarianceRoot: TensorOperation {
  /// The root, or one with another gradient.
  let root: any TensorOperation

  /// The root of features by `root`, which is one of matrices.
  package init(root: any TensorOperation) { self.root = root }

  package var name: String { root.name }

  /// The same in Gram form, where that is chosen for features of this shape.
  private func gramForm(_ shape: Shape) -> GramNewtonSchulz? {
    guard let root = root as? NewtonSchulz, root.usesGramForm(ofShape: shape) else { return nil }
    return GramNewtonSchulz(options: root)
  }

  package func outputShape(_ inputs: [Shape]) -> Shape { Covariance().outputShape(inputs) }

  package func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    if let gramForm = gramForm(inputs[0].shape) { return gramForm.forward(inputs, into: result) }
    let shape = outputShape(inputs.map(\.shape))
    // Before the next operation runs nobody looks at Σ.
    withScratch(of: Scalar.self, shape.scalarCount) { sigma in
      withScratch(of: Double.self, shape[0]) { scales in
        Covariance().forward(inputs[0], into: sigma, scales: scales)
        root.forward([Tensor(shape, borrowing: UnsafePointer(sigma), owner: Self.noOwner)], into: result)
        multiply(result.baseAddress!, by: scales, shape)
      }
    }
  }

  package func apply<Scalar>(_ inputs: [Tensor<Scalar>], needsGradient: [Bool]) -> Application<Scalar> {
    if let gramForm = gramForm(inputs[0].shape) { return gramForm.apply(inputs, needsGradient: needsGradient) }
    let shape = outputShape(inputs.map(\.shape))
    let scales = Tensor<Double>(shape: [shape[0]], storage: TensorStorage(count: shape[0]))
    let ofScales = UnsafeMutablePointer(mutating: scales.pointer)
    let sigma = Tensor<Scalar>(shape) { Covariance().forward(inputs[0], into: $0.baseAddress!, scales: ofScales) }
    let inner = root.apply([sigma], needsGradient: [true])
    var output = inner.output
    if !scales.scalars.allSatisfy({ $0 == 1 }) {
      output.withUnsafeMutableScalars { multiply($0.baseAddress!, by: scales.pointer, shape) }
    }
    var application = Application(
      inputs: inputs, output: output, saved: [sigma, inner.output] + inner.saved, needsGradient: needsGradient)
    application.savedInDouble = [scales] + inner.savedInDouble
    return application
  }

  package var pullbackNeeds: PullbackNeeds { .inputs }

  /// The root's gradient with respect to Σ, then Σ's with respect to the features. The power of two cancels.
  package func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    if let gramForm = gramForm(application.inputs[0].shape) { return gramForm.pullback(gradient, application) }
    var inner = Application(
      inputs: [application.saved[0]], output: application.saved[1], saved: Array(application.saved.dropFirst(2)),
      needsGradient: [true])
    inner.savedInDouble = Array(application.savedInDouble.dropFirst())
    return root.pullback(gradient, inner).map { ofSigma in
      ofSigma.map {
        Covariance().pullback($0, features: application.inputs[0], scales: application.savedInDouble[0].pointer)
      }
    }
  }

  private func multiply<Scalar: RealScalar>(
    _ roots: UnsafeMutablePointer<Scalar>, by scales: UnsafePointer<Double>, _ shape: Shape
  ) {
    let size = shape[1] * shape[2]
    for sample in 0..<shape[0] where scales[sample] != 1 {
      scaled(roots + sample * size, by: Scalar(scales[sample]), into: roots + sample * size, count: size)
    }
  }

  /// For a tensor that does not outlive its memory.
  private final class NoOwner: Sendable {}
  private static let noOwner = NoOwner()
}
