import ModelZoo

/// An operation of your own: the signed square root of every number, as bilinear pooling normalises its features.
///
/// It lives outside of the package, and networks, gradients and plans take it like any other.
struct SignedRoot: TensorOperation {
  /// Added under the root, so that the slope at 0 stays finite.
  var eps = 1e-3

  func outputShape(_ inputs: [Shape]) -> Shape { inputs[0] }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    inputs[0].withUnsafeScalars { x in
      for i in x.indices {
        result[i] = Scalar(signOf(x[i]) * ((abs(Double(x[i])) + eps).squareRoot() - eps.squareRoot()))
      }
    }
  }

  /// The pullback looks at the inputs only; the result may be freed.
  var pullbackNeeds: PullbackNeeds { .inputs }

  /// ∂x = ∂y / (2 √(|x| + eps)).
  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    let (x, g) = (application.inputs[0].scalars, gradient.scalars)
    return [Tensor(gradient.shape, zip(x, g).map { Scalar(Double($1) / (2 * (abs(Double($0)) + eps).squareRoot())) })]
  }

  private func signOf<Scalar: RealScalar>(_ x: Scalar) -> Double { x < 0 ? -1 : 1 }
}

/// A classifier on covariances whose elements go through that operation.
struct SignedRootNetwork<Scalar: RealScalar>: Module {
  var convolution = Conv2d<Scalar>(inputChannels: 1, outputChannels: 8, kernelSize: 3)
  var norm = BatchNorm2d<Scalar>(8)
  var classifier = Linear<Scalar>(inputs: 36, outputs: 2)

  mutating func visitTensors(_ visit: ModuleVisitor<Scalar>) {
    visit("convolution", &convolution)
    visit("norm", &norm)
    visit("classifier", &classifier)
  }

  func callAsFunction(_ x: Tensor<Scalar>) -> Tensor<Scalar> {
    let features = norm(convolution(x)).relu()
    let covariance = UpperTriangle().applied(to: Covariance().applied(to: features))
    return classifier(SignedRoot().applied(to: covariance))
  }
}

// First of all: is the pullback right? Central differences in double precision tell.
let x = Tensor<Double>([1, 4], [-2, -0.1, 0.3, 5])
let sum = LinearMap()
let ones = Tensor<Double>([1, 4], repeating: 1)
func total(_ x: Tensor<Double>) -> Tensor<Double> {
  sum.applied(to: SignedRoot().applied(to: x), ones, Tensor([1], repeating: 0))
}
let slope = valueWithGradients(at: [x]) { total($0[0]) }.gradients[0]
for i in 0..<4 {
  func moved(_ by: Double) -> Double {
    var scalars = x.scalars
    scalars[i] += by
    return total(Tensor(x.shape, scalars)).item
  }
  let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6
  precondition(abs(difference - slope.scalars[i]) < 1e-6, "the pullback is wrong at \(x.scalars[i])")
}
print("gradient of the signed root: \(slope.scalars)")

// Then train: noise with and without a horizontal pattern, told apart by its covariance.
var network = SignedRootNetwork<Float>()
network.initialize(seed: 1)
var optimizer = SGD<Float>(momentum: 0.9, weightDecay: 1e-4)
for step in 0..<60 {
  let noise = RandomStream(seed: UInt64(step), name: "noise").normal([16, 1, 8, 8], deviation: Float(1))
  let images = Tensor<Float>(
    noise.shape,
    noise.scalars.enumerated().map { index, value in
      // Images with an odd number: rows alternate.
      (index / 64) % 2 == 1 ? value + ((index / 8) % 2 == 0 ? 1 : -1) : value
    })
  let result = try valueWithGradients(of: network) {
    SoftmaxCrossEntropy(labels: (0..<16).map { $0 % 2 }).applied(to: $0(images))
  }
  optimizer.step(&network, result.gradients, learningRate: 0.05)
  network.apply(result.updates)
  if step % 20 == 0 || step == 59 { print("step \(step): loss \(result.value.item)") }
}
